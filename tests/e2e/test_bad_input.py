#!/usr/bin/env python3
"""Shows what a person gets for a wrong configuration, a node that is not there, and a module that must not run: one
sentence, the documented exit status, and nothing left behind."""
import json
import os
import re
import subprocess

import case
import wasm
from node import EXAMPLES, PGRID


def replace(old, new):
    return lambda text: text.replace(old, new)


def cpus():
    return sorted(os.sched_getaffinity(0))


# What is wrong, the change to a good node.toml, and what the sentence must name.
BAD_CONFIGURATIONS = [
    ("unknown key", replace('idle =', 'idel ='), ["idel"]),
    ("unknown table", lambda t: t + "\n[colour]\nx = 1\n", ["colour"]),
    ("not TOML", replace("[cores]", "[cores"), []),
    ("bad address", replace("192.0.2.1/24", "192.0.2.999/24"), ["192.0.2.999"]),
    ("bad prefix", replace("192.0.2.1/24", "192.0.2.1/33"), ["33"]),
    ("no plaintext", replace("plaintext = true", "plaintext = false"), ["plaintext"]),
    ("two owners of a core", lambda t: re.sub(r"workers = \[\d+\]", f"workers = [{cpus()[0]}]", t).replace(
        "shared = true", "shared = false"), ["two owners"]),
    ("a core that is not there", lambda t: re.sub(r"poll = \[\d+\]", "poll = [1000]", t), ["1000"]),
    ("wrong type", replace('idle = "sleep"', "idle = 5"), ["idle"]),
    ("a limit that is no power of two", lambda t: t + "in_flight = 1000\n", ["1000"]),
    ("missing interface", lambda t: re.sub(r"host_addresses = .*\n", "", t).replace("tap:pg0", "af_xdp:nosuch0"), ["nosuch0"]),
]


class Configuration(case.Case):
    def test_bad_configurations(self):
        """a wrong node.toml: one sentence with file and line, exit status 2, nothing left behind"""
        for title, change, words in BAD_CONFIGURATIONS:
            with self.subTest(title):
                node = self.make_node()
                good = node.config.read_text()
                bad = change(good)
                self.assertNotEqual(good, bad, "the change changes nothing")
                node.config.write_text(bad)
                links = os.listdir("/sys/class/net")
                run = node.directory / "new"
                done = subprocess.run([PGRID, "--node", run, "up", "--config", node.config], capture_output=True, text=True,
                                      timeout=30, stdin=subprocess.DEVNULL)
                self.assertEqual(done.returncode, 2, done.stderr)
                lines = done.stderr.strip().splitlines()
                self.assertEqual(len(lines), 1, done.stderr)
                self.assertRegex(lines[0], rf"^pgrid: .*{re.escape(str(node.config))}:\d+")
                for word in words:
                    self.assertIn(word, lines[0])
                self.assertEqual(os.listdir("/sys/class/net"), links)
                self.assertFalse(run.exists(), "a run directory was left")

    def test_no_configuration(self):
        """a configuration that is not there: exit status 2"""
        done = subprocess.run([PGRID, "up", "--config", "/nonexistent/node.toml"], capture_output=True, text=True, timeout=30)
        self.assertEqual(done.returncode, 2)
        self.assertIn("/nonexistent/node.toml", done.stderr)

    def test_second_node_in_one_directory(self):
        """a second node in the same directory is refused and does the first no harm"""
        node = self.node()
        done = subprocess.run([PGRID, "--node", node.run, "up", "--config", node.config], capture_output=True, text=True,
                              timeout=30, stdin=subprocess.DEVNULL)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(node.run), done.stderr)
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        self.assertAnswer(node.invoke("echo", b"still here"), b"still here")


class NoNode(case.Case):
    def test_no_node(self):
        """every command against no node: one sentence, exit status 3"""
        directory = "/run/netns/nobody"  # an empty place of this test's own
        os.mkdir(directory)
        for words in (["ls"], ["stat"], ["stat", "--json"], ["inspect", "x"], ["rm", "x"], ["logs", "x"], ["invoke", "x", "y"],
                      ["cap", "ls"], ["cap", "create", "x"], ["cap", "revoke", "1.1"], ["deploy", str(EXAMPLES / "echo.wasm")]):
            with self.subTest(" ".join(words)):
                done = subprocess.run([PGRID, "--node", directory, *words], capture_output=True, text=True, timeout=30,
                                      stdin=subprocess.DEVNULL)
                self.assertEqual(done.returncode, 3, done.stderr)
                sentence = json.loads(done.stderr)["error"]["message"] if "--json" in words else done.stderr.strip()
                self.assertEqual(len(sentence.splitlines()), 1, sentence)
                self.assertIn(directory, sentence)
        self.assertEqual(os.listdir(directory), [])


class Deploy(case.Case):
    def stored(self, node):
        """Files of the node's state, but for the views, whose files SQLite makes and removes when it likes."""
        return sorted(str(p) for p in (node.run / "state").rglob("*") if not p.name.startswith("views.") and p.is_file() and p.stat().st_size > 0)

    def test_refusals(self):
        """modules that must not run: the reason, exit status 1, nothing stored"""
        node = self.node()
        cases = [
            ("not WebAssembly", b"#!/bin/sh\necho hello\n", ["WebAssembly"]),
            ("cut off", (EXAMPLES / "echo.wasm").read_bytes()[:-7], []),
            ("WASI", wasm.module([("wasi_snapshot_preview1", "fd_write")]), ["wasi_snapshot_preview1", "fd_write", "pg_log"]),
            ("foreign import", wasm.module([("env", "launch_missiles")]), ["env", "launch_missiles"]),
            ("no such host call", wasm.module([("promisegrid", "fork")]), ["fork"]),
            ("wrong version", wasm.module([("promisegrid_2", "send")]), ["promisegrid_2"]),
            ("no pg_activate", wasm.module(exports=("memory",)), ["pg_activate"]),
            ("no memory", wasm.module(exports=("pg_activate",)), ["memory"]),
            ("too much memory", wasm.module(pages=1024), ["memory"]),  # 64 MiB; the limit is 16
            ("does not validate", wasm.module(body=b"\x6a\x0b"), []),
        ]
        before = self.stored(node)
        for title, module, words in cases:
            with self.subTest(title):
                file = node.directory / "bad.wasm"
                file.write_bytes(module)
                done = node.cli("deploy", file, "--name", "bad", status=1)
                self.assertEqual(done.stdout, "")
                lines = done.stderr.strip().splitlines()
                self.assertEqual(len(lines), 1, done.stderr)
                for word in words:
                    self.assertIn(word, lines[0])
        self.assertEqual(node.api("GET", "/v1/processes")["processes"], [])
        self.assertEqual(self.stored(node), before)
        # A valid neighbour of all these.
        node.deploy(wasm.module([("promisegrid", "receive"), ("promisegrid", "send")]), "good")

    def test_names(self):
        """a name that is taken or impossible is refused, and so is a right to nobody"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        for name, code in (("echo", "already_exists"), ("../x", "invalid_argument"), ("", "invalid_argument")):
            with self.assertRaises(ValueError) as refused:
                node.deploy(EXAMPLES / "echo.wasm", name)
            self.assertEqual(refused.exception.code, code, name)
        with self.assertRaises(ValueError) as refused:
            node.create_right("nobody")
        self.assertEqual(refused.exception.code, "not_found")
        with self.assertRaises(ValueError) as refused:
            node.api("DELETE", "/v1/rights/1.99")
        self.assertEqual(refused.exception.code, "not_found")

    def test_remove(self):
        """a removed function is gone, with its rights"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        uri = node.create_right("echo")["uri"]
        node.api("DELETE", "/v1/processes/echo")
        self.assertEqual(node.api("GET", "/v1/processes")["processes"], [])
        report = case.Load(self.undo, uri, count=2, outstanding=1).report(30)
        self.assertEqual(report["non_commitments"]["no_such_right"], 2)


if __name__ == "__main__":
    case.main()
