#!/usr/bin/env python3
"""Shows that bash and zsh complete pgrid's words with the scripts that it prints, and that its man page is clean roff."""
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import tap
from cli_case import PGRID, PROCESS, RIGHT, Case

# Sets what a shell would set at TAB, calls the function, prints what it offers.
BASH = """
source <("$1" completion bash)
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
compopt() { echo "option $2"; }
_pgrid
printf '%s\\n' "${COMPREPLY[@]}"
"""
ZSH = """
compdef() { :; }
source <("$1" completion zsh)
shift
_describe() { print -l -- "${(@P)2}"; }
_files() { print file names; }
words=("$@") CURRENT=$#
_pgrid
"""


class Completion(Case):
    def shell(self, program, *words):
        command = {"bash": ["bash", "--norc", "-c", BASH, "bash"], "zsh": ["zsh", "-f", "-c", ZSH, "zsh"]}[program]
        done = subprocess.run([*command, PGRID, PGRID, *map(str, words)], capture_output=True, text=True, timeout=30,
                              env={**os.environ, "PGRID_NODE": str(self.directory)})
        self.assertEqual(done.stderr, "")  # its status says whether anything fits
        return done.stdout.split("\n")[:-1]

    def check(self, program, plain):
        """`plain` takes a shell's description off a line."""
        offered = lambda *words: [plain(line) for line in self.shell(program, *words)]
        self.assertEqual(offered("in"), ["inspect", "invoke"])
        self.assertEqual(offered("cap", "rev"), ["revoke"])
        self.assertEqual(offered("deploy", "--mem"), ["--memory"])
        self.assertIn("--lang", offered("new", "--"))
        with self.control({"GET /v1/processes": (200, {"processes": [PROCESS, {**PROCESS, "name": "a\x1b[2J"}]}),
                           "GET /v1/rights": (200, {"rights": [{**RIGHT, "name": "desk"}, {**RIGHT, "internal": True, "slot": 6}]})}):
            self.assertEqual(offered("inspect", ""), ["echo"])
            self.assertEqual(offered("cap", "revoke", ""), ["5.2", "desk"])
        self.assertEqual([line for line in offered("inspect", "") if line], [])  # no node: silence

    def test_bash(self):
        """bash: commands, options, names of processes, rights; file names are its own"""
        self.check("bash", str)
        self.assertIn("option default", self.shell("bash", "deploy", "x"))

    @unittest.skipUnless(shutil.which("zsh"), "there is no zsh")
    def test_zsh(self):
        """zsh: the same, with descriptions"""
        self.check("zsh", lambda line: line.split(":")[0])
        self.assertIn("inspect:Show one process", self.shell("zsh", "insp")[0])
        self.assertIn("file names", self.shell("zsh", "deploy", "x"))

    def test_other_shells(self):
        """a shell that there is no script for: exit status 2"""
        self.fails("completion", "fish", status=2, contains="SHELL is one of bash, zsh")


class Man(Case):
    def test_roff(self):
        """pgrid man: roff that groff takes without a warning, with every section"""
        page = self.say("man")
        for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "COMMANDS", "EXIT STATUS", "ENVIRONMENT", "FILES"):
            self.assertRegex(page, rf'(?m)^\.SH "?{section}"?$')
        if shutil.which("groff"):
            done = subprocess.run(["groff", "-man", "-ww", "-Tascii", "-z"], input=page, capture_output=True, text=True, timeout=30)
            self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    tap.main()
