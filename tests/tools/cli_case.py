"""The base of the tests of `pgrid`: runs it against a control socket in the test, and what control says in them."""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
from fake_control import FakeControl

PGRID = pathlib.Path(os.environ["PGRID_BUILD"]) / "tools" / "pgrid" / "pgrid"

COUNTS = {"kept": 1234, "broken": 1, "declined": 2, "no_answer": 3, "refused": 4}
PROCESS = {"name": "echo", "process": 1, "cid": "bafkecho", "worker": 0, "state": "loaded", "state_text": "", "memory_bytes": 1 << 20,
           "time_limit_us": 1000, "rate": 0, "deployed_unix": 1_000_000_000, "module_bytes": 512, "rebuilds": 0, "counts": COUNTS}
RIGHT = {"slot": 5, "generation": 2, "process": "echo", "label": 77, "rate": 1000, "burst": 10, "in_flight_max": 64, "body_max": 1024,
         "deadline_max_us": 100_000, "expires_unix": 0, "created_unix": 1_000_000_000, "state": "active", "counts": COUNTS}
URI = "grid://127.0.0.1:4646/" + "a" * 38 + "a"


def answer(body=b"", kind="answer", reason="none"):
    return 200, {"kind": kind, "reason": reason, "body_base64": base64.b64encode(body).decode(), "round_trip_ns": 4321}


def error(status, code, message):
    return status, {"error": {"code": code, "message": message}}


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgrid-cli-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def pgrid(self, *words, status=0, input=None, **options):
        done = subprocess.run([PGRID, "--node", self.directory, *words], capture_output=True, timeout=30,
                              input=input if input is not None else b"", **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def say(self, *words, **options):
        return self.pgrid(*words, **options).stdout.decode()

    def fails(self, *words, status, contains=""):
        """One sentence on stderr, nothing on stdout."""
        done = self.pgrid(*words, status=status)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith("pgrid: "), lines)
        self.assertIn(contains, lines[0])
        self.assertEqual(done.stdout, b"")
        # The same for programs.
        done = self.pgrid(*words, "--json", status=status)
        failure = json.loads(done.stderr)["error"]
        self.assertIn(contains, failure["message"])
        self.assertEqual(done.stdout, b"")
        return failure

    def control(self, answers):
        return FakeControl(self.directory, answers)
