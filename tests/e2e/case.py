"""The base of every end-to-end test: nodes that are stopped, and judged, when the test is over."""
import json
import os
import pathlib
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import sandbox
import tap
from node import LOAD, Node


# Built with AddressSanitizer: freed memory stays for a while, pages are touched late, and a worker's list of system calls
# has what its reports need. What tests those is left to the other build.
SANITIZED = bool(os.environ.get("PGRID_SANITIZED"))


class Case(unittest.TestCase):
    maxDiff = None

    def run(self, result=None):
        self.result = result
        self.troubles = len(result.failures) + len(result.errors)
        return super().run(result)

    def setUp(self):
        self.undo = sandbox.Undo()
        self.nodes = []
        self.addCleanup(self.undo.run)

    def tearDown(self):
        try:
            if not self.failed():
                for node in reversed(self.nodes):
                    if node.process:
                        node.stop()
        except BaseException:
            self.tell()
            raise
        if self.failed():
            self.tell()

    def failed(self):
        return len(self.result.failures) + len(self.result.errors) > self.troubles

    def tell(self):
        for node in self.nodes:
            print("\n".join("# " + line for line in node.tell().splitlines()))

    def make_node(self, **options):
        """A node that is not started yet."""
        node = Node(self.undo, **options)
        self.nodes.append(node)
        return node

    def node(self, **options):
        """A node that serves."""
        return self.make_node(**options).start()

    def assertAnswer(self, answer, body):
        self.assertEqual((answer["kind"], answer["reason"], answer["body"]), ("answer", "none", body))

    def assertRefused(self, answer, reason):
        self.assertEqual((answer["kind"], answer["reason"]), ("non_commitment", reason))


class Load:
    """pgrid-load in the background."""

    def __init__(self, undo, *uris, **options):
        words = [LOAD, "--json"]
        for name, value in options.items():  # verify_echo=True gives --verify-echo
            words += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        self.process = subprocess.Popen([*map(str, words), *uris], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        stdin=subprocess.DEVNULL, text=True, preexec_fn=sandbox.die_with_parent)
        undo.later(self._end)

    def _end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def is_running(self):
        return self.process.poll() is None

    def report(self, seconds):
        out, err = self.process.communicate(timeout=seconds)
        if not out.strip():
            raise AssertionError(f"pgrid-load said nothing, status {self.process.returncode}: {err.strip()}")
        return json.loads(out)


def main():
    sandbox.enter()
    tap.main()
