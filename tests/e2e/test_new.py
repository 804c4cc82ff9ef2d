#!/usr/bin/env python3
"""Shows the way of somebody who writes a function: `pgrid new` in each language, make, deploy, call, look at what it wrote."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import case

PATH = os.environ["PATH"] + os.pathsep + str(pathlib.Path.home() / ".cargo" / "bin")  # where rustup puts cargo


def has_rust_target():
    if not shutil.which("rustc", path=PATH) or not shutil.which("cargo", path=PATH):
        return False
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, env={**os.environ, "PATH": PATH})
    return (pathlib.Path(sysroot.stdout.strip()) / "lib/rustlib/wasm32-unknown-unknown").is_dir()


class New(case.Case):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pgrid-new-")) / "hello-you"
        self.undo.later(shutil.rmtree, self.folder.parent)

    def make(self, *words):
        done = subprocess.run(["make", "-C", self.folder, *words], capture_output=True, text=True, timeout=150,
                              stdin=subprocess.DEVNULL, env={**os.environ, "PATH": PATH})
        self.assertEqual(done.returncode, 0, done.stderr[-2000:])

    def check(self, node, lang):
        node.cli("new", "--lang", lang, self.folder)
        self.make()
        node.cli("deploy", self.folder / "hello-you.wasm")
        self.assertEqual(node.cli("invoke", "hello-you", "world").stdout, "hello, world\n")
        self.assertIn("declined", node.cli("invoke", "hello-you", status=1).stderr)
        self.assertIn("somebody sent nothing", node.cli("logs", "hello-you").stdout)
        body = b"x" * 1024  # the greeting does not fit before it
        self.assertAnswer(node.invoke("hello-you", body), b"hello, " + body[7:])

    @unittest.skipUnless(shutil.which("clang-19"), "there is no clang-19")
    def test_c(self):
        """a function in C: made, built, deployed, called"""
        self.check(self.node(), "c")

    @unittest.skipUnless(has_rust_target(), "Rust's target wasm32-unknown-unknown is not there: rustup target add wasm32-unknown-unknown")
    def test_rust(self):
        """a function in Rust: the same; its own tests run on this machine; a panic is a line of its log"""
        node = self.node()
        self.check(node, "rust")
        self.make("test")
        source = self.folder / "src" / "lib.rs"
        source.write_text(source.read_text().replace('log("somebody sent nothing");', 'panic!("nobody sent something");'))
        self.make()
        node.cli("rm", "hello-you")
        node.cli("deploy", self.folder / "hello-you.wasm")
        self.assertRefused(node.invoke("hello-you"), "broken")
        self.assertIn("nobody sent something", node.cli("logs", "hello-you").stdout)
        self.assertAnswer(node.invoke("hello-you", b"again"), b"hello, again")


if __name__ == "__main__":
    case.main()
