#!/usr/bin/env python3
"""Shows that a worker which was broken into harms nobody else. A program of ours (tests/e2e/hostile) takes the seat of worker 1
and lies: in every index, length and field that it can write, in what it does and leaves undone, on its socket; from within
the sandbox it tries what the sandbox forbids. Meanwhile a function on worker 0 is called without a break: every call is
answered. The data plane stays; it replaces the liar, or the lie is harmless, as each lie says beforehand; counters say
why; the books balance. At the end an honest worker takes the seat and its function answers again."""
import collections
import os
import pathlib
import signal
import stat
import subprocess
import unittest

import case
from node import BUILD, EXAMPLES, Node
from sandbox import die_with_parent, poll

LIAR = BUILD / "tests" / "e2e" / "hostile" / "hostile-worker"
WORKER = BUILD / "dataplane" / "worker" / "pgrid-worker"
LIE_S = 20

# Stands in for worker 1, so that `pgrid up` has one to look after and the test can give the seat to whom it wants.
STAND_IN = f"""#!/usr/bin/env python3
import os, signal, sys
if sys.argv[sys.argv.index("--index") + 1] == "0":
    os.execv("{WORKER}", ["{WORKER}"] + sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
print("pgrid-worker: ready, only a stand-in", file=sys.stderr, flush=True)
while True:
    signal.pause()
"""


class TwoSeats(Node):
    """A node that serves as soon as worker 0 does."""

    def is_serving(self):
        if self.process.poll() is not None:
            raise AssertionError(f"pgrid up ended with status {self.process.returncode}")
        node = self.api("GET", "/v1/node")
        return node["dataplane"] == "attached" and node["workers"][0]["state"] == "serving"

    def worker(self, index):
        return self.api("GET", "/v1/node")["workers"][index]


class HostileWorker(case.Case):
    def setUp(self):
        super().setUp()
        cpus = sorted(os.sched_getaffinity(0))
        self.a = TwoSeats(self.undo, poll_cpus=cpus[:1], worker_cpus=[cpus[-1]] * 2, shared=True)
        self.nodes.append(self.a)
        libexec = self.a.directory / "libexec"
        libexec.mkdir()
        stand_in = libexec / "pgrid-worker"
        stand_in.write_text(STAND_IN)
        stand_in.chmod(stat.S_IRWXU)
        (libexec / "pgrid-compile").symlink_to(BUILD / "control" / "code" / "pgrid-compile")
        before = os.environ.get("PGRID_LIBEXEC")
        os.environ["PGRID_LIBEXEC"] = str(libexec)
        try:
            self.a.start()
        finally:
            os.environ.pop("PGRID_LIBEXEC") if before is None else os.environ.update(PGRID_LIBEXEC=before)
        self.a.allow(r"worker 1 (died|was replaced)")
        self.a.deploy(EXAMPLES / "echo.wasm", "good")
        liar = self.liar("conduct", 1000)  # beyond the last: it tells no lie, and ends once it has a process
        poll(lambda: self.a.worker(1)["state"] == "serving", 10, "the liar has the seat")
        self.a.deploy(EXAMPLES / "echo.wasm", "bad", worker=1)
        self.assertEqual(liar.communicate(timeout=LIE_S), ("done\n", ""))
        self.data_plane = self.a.pid("pgrid-dataplane")
        right = self.a.create_right("good", deadline_max_us=10_000_000)["uri"]
        self.good = case.Load(self.undo, right, outstanding=8, duration="600s", verify_echo=True, timeout="15s")
        poll(lambda: self.a.counter("answered") > 100, 20, "the good function is called")
        right = self.a.create_right("bad", deadline_max_us=4_000)["uri"]
        self.bad = case.Load(self.undo, right, rate=5000, duration="600s", body=1024)

    def liar(self, group, start):
        process = subprocess.Popen([LIAR, self.a.run / "dataplane.sock", "1", group, str(start)], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.undo.later(lambda: process.poll() is None and (process.kill(), process.wait()))
        return process

    def deaths(self):
        return self.a.stat()["workers"][1]["deaths"]

    def told(self, group):
        """Every lie of a group: a liar goes on until it is ended, and the next goes on behind that lie."""
        before, deaths, ends, start, liars = self.a.stat()["totals"], self.deaths(), collections.Counter(), 0, 0
        while True:
            liar = self.liar(group, start)
            out, err = liar.communicate(timeout=LIE_S)
            liars += 1
            lines = [line.split(" ", 3) for line in out.splitlines() if line.startswith("lie ")]
            for _, _, end, name in lines[:-1]:
                self.assertEqual(end, "lives", name)  # it went on to the next
            ends.update(end for _, _, end, _ in lines)
            if liar.returncode == 0:
                self.assertEqual(out.splitlines()[-1], "done")
                break
            self.assertTrue(lines, f"{group}: the liar ended with {liar.returncode} before its first lie: {out}{err}")
            _, number, end, name = lines[-1]
            self.assertNotEqual(end, "lives", f"it should have lived, and ended with {liar.returncode}: {name}: {out[-200:]}{err}")
            expected = -signal.SIGSYS if end == "SIGSYS" else -signal.SIGKILL
            self.assertEqual(liar.returncode, expected, f"{name}: {err}")
            start = int(number) + 1
        poll(lambda: self.deaths() == deaths + liars, 5, "every liar is gone")
        after = self.a.stat()["totals"]
        for counter in ("reply_malformed", "worker_ring_corrupt"):
            self.assertEqual(after[counter] - before[counter], ends[counter], f"{counter} says why, once for each")
        self.assertEqual(self.a.pid("pgrid-dataplane"), self.data_plane)
        return ends

    def assertHarmless(self):
        """Nobody else noticed; an honest worker takes the seat."""
        poll(lambda: self.a.worker(1)["state"] != "serving", 5, "the seat is free")
        honest = subprocess.Popen([WORKER, "--index", "1", "--config", self.a.config, "--node", self.a.run],
                                  stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.undo.later(lambda: honest.poll() is None and (honest.kill(), honest.wait()))
        poll(lambda: self.a.worker(1)["state"] == "serving", 10, "an honest worker has the seat")
        self.bad.process.send_signal(signal.SIGINT)
        self.bad.process.wait(10)
        self.assertAnswer(self.a.invoke("bad", b"again", deadline_us=1_000_000), b"again")
        self.good.process.send_signal(signal.SIGINT)
        report = self.good.report(30)
        self.assertGreater(report["answered"], 100, report)
        self.assertEqual((report["lost"], report["non_commitments"], report["wrong_body"]), (0, {}, 0))
        self.assertEqual(report["sent"], report["answered"])
        self.assertEqual(self.a.pid("pgrid-dataplane"), self.data_plane)
        honest.send_signal(signal.SIGTERM)
        self.assertEqual(honest.wait(10), 0, honest.stderr.read())

    def test_indices(self):
        """every index of both rings, its own and the data plane's, with extremes"""
        ends = self.told("reply_tail") + self.told("request_head") + self.told("foreign_words")
        self.assertGreater(ends["worker_ring_corrupt"], 30)
        self.assertGreater(ends["lives"], 30)
        self.assertHarmless()

    def test_lengths(self):
        """every length of a record, pads among them, in the middle of the ring and at its end"""
        self.assertGreater(self.told("reply_lengths")["worker_ring_corrupt"], 30)
        self.assertHarmless()

    def test_fields(self):
        """every field of answers, requests, log lines and events; nobody speaks for another worker's function"""
        for group in ("answers", "sends", "events"):
            self.assertGreater(self.told(group)["reply_malformed"], 5)
        self.assertEqual(self.a.api("GET", "/v1/processes/good/logs")["lines"], [])
        self.assertHarmless()

    def test_rights(self):
        """every field of what requests and answers carry, and every bit of what is given back"""
        for group in ("carried_sends", "carried_answers", "drops"):
            ends = self.told(group)
            self.assertGreater(ends["reply_malformed"], 20)
            self.assertGreater(ends["lives"], 10)
        self.assertEqual(self.a.counter("rights_carried"), 0)
        self.assertHarmless()

    def test_conduct(self):
        """answers held back, given twice, given for others; floods; nonsense on the hand-over socket"""
        self.told("conduct")
        self.told("socket")
        self.assertHarmless()

    @unittest.skipIf(case.SANITIZED, "a sanitizer's reports read files")
    def test_system_calls(self):
        """from within the worker's sandbox, what the sandbox forbids"""
        self.assertGreater(self.told("system_calls")["SIGSYS"], 20)
        self.assertFalse(pathlib.Path("/tmp/escaped").exists())
        self.assertHarmless()


if __name__ == "__main__":
    case.main()
