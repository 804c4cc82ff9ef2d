#!/usr/bin/env python3
"""Shows that any process of a node can be killed: what senders see meanwhile, and that everything serves again with the
same rights, without a person. PGRID_E2E_SECONDS shortens the long run (60 s)."""
import os
import signal
import time

import case
from node import EXAMPLES, GUESTS
from sandbox import poll

SECONDS = int(os.environ.get("PGRID_E2E_SECONDS", "60"))
KILLS = 10


def killed(program):
    """Log lines about a killed program, which the test expects."""
    return [rf"{program}( \d+)? was killed by signal 9; starting it again", rf"{program}( \d+)? died"]


class Survival(case.Case):
    def setUp(self):
        super().setUp()
        self.a = self.node()
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")
        self.right = self.a.create_right("echo", deadline_max_us=1_000_000, label=7)

    def load(self, **options):
        return case.Load(self.undo, self.right["uri"], outstanding=32, deadline="900ms", **options)

    def test_control_killed(self):
        """control is killed ten times under load: nothing is lost, nothing is refused"""
        self.a.allow(*killed("(pgrid-)?control"))
        load = self.load(duration=f"{SECONDS}s")
        pause = max(SECONDS / (KILLS + 1), 0.7)
        for _ in range(KILLS):
            time.sleep(pause)  # load between two kills is what is tested
            self.a.kill("pgrid-control")
            poll(self.a.is_serving, 10, "control is back and attached")
        report = load.report(SECONDS + 30)
        self.assertGreater(report["answered"], 1000)
        self.assertEqual(report["lost"], 0)
        self.assertEqual(sum(report["non_commitments"].values()), 0, report["non_commitments"])
        self.assertEqual(report["sent"], report["answered"])
        rights = self.a.api("GET", "/v1/rights?process=echo&secrets=1")["rights"]
        same = [r for r in rights if r["slot"] == self.right["slot"] and r["generation"] == self.right["generation"]]
        self.assertEqual([(r["uri"], r["label"], r["state"]) for r in same], [(self.right["uri"], 7, "active")])

    def test_worker_killed(self):
        """a worker is killed under load: what it had in hand is process_failed, the rest is answered, it comes back"""
        self.a.allow(*killed(r"(pgrid-)?worker"))
        load = self.load(duration="6s")
        poll(lambda: self.a.counter("answered") > 100, 5, "load runs")
        # Stopped first, so that it is known how many messages it has in hand.
        worker = self.a.pid("pgrid-worker")
        os.kill(worker, signal.SIGSTOP)
        poll(lambda: self.a.stat()["in_flight"] == 32, 0.9, "all 32 messages are in flight")
        os.kill(worker, signal.SIGKILL)
        poll(lambda: self.a.is_serving() and self.a.pid("pgrid-worker") != worker, 5, "the worker is back")
        answered = self.a.counter("answered")
        poll(lambda: self.a.counter("answered") > answered + 100, 5, "it answers again")
        report = load.report(30)
        refused = report["non_commitments"]
        self.assertEqual(refused.get("process_failed"), 32)
        self.assertEqual({r for r, n in refused.items() if n} - {"process_failed", "busy"}, set())
        self.assertEqual(report["lost"], 0)
        self.assertEqual(report["sent"], report["answered"] + sum(refused.values()))
        self.assertEqual(self.a.counter("worker_deaths"), 1)

    def test_worker_killed_neighbours(self):
        """the functions of a killed worker come back with empty memory, without control"""
        self.a.allow(*killed(r"(pgrid-)?worker"))
        self.a.deploy(GUESTS / "moody.wasm", "moody", time_limit_us=5000)
        self.assertAnswer(self.a.invoke("moody", b"w", deadline_us=1_000_000), b"w")
        worker = self.a.kill("pgrid-worker")
        poll(lambda: self.a.is_serving() and self.a.pid("pgrid-worker") != worker, 5, "the worker is back")
        poll(lambda: self.a.invoke("moody", b"p", deadline_us=1_000_000)["body"] == bytes(4), 5, "it serves, and remembers nothing")

    def test_data_plane_killed(self):
        """the data plane is killed: the same rights work again, without a person"""
        self.a.allow(*killed("(pgrid-)?data ?plane"), r"worker 0 (stopped|exited with 0)", r"data plane lost")
        before = self.a.api("GET", "/v1/rights?process=echo&secrets=1")["rights"]
        gone = self.a.api("POST", "/v1/rights?secrets=1", {"process": "echo"})
        self.a.api("DELETE", f"/v1/rights/{gone['slot']}.{gone['generation']}")
        boot = self.a.api("GET", "/v1/node")["boot_id"]
        self.a.kill("pgrid-dataplane")

        def serves_anew():
            node = self.a.api("GET", "/v1/node")  # one look: between two of them control may notice that it lost the old one
            return (node["dataplane"] == "attached" and node["boot_id"] != boot
                    and all(worker["state"] == "serving" for worker in node["workers"]))

        poll(serves_anew, 15, "the node serves again")
        report = case.Load(self.undo, self.right["uri"], count=100, outstanding=4).report(30)
        self.assertEqual((report["answered"], report["lost"]), (100, 0))
        report = case.Load(self.undo, gone["uri"], count=2, outstanding=1).report(30)
        self.assertEqual(report["non_commitments"]["no_such_right"], 2)
        after = self.a.api("GET", "/v1/rights?process=echo&secrets=1")["rights"]
        key = lambda rights: sorted((r["slot"], r["generation"], r["uri"]) for r in rights if r["state"] == "active")
        self.assertEqual(key(after), key(before))

    def test_whole_node_restarted(self):
        """a node that was stopped comes back with the same functions and rights, and is ready soon"""
        self.a.stop()
        self.a.start()
        report = case.Load(self.undo, self.right["uri"], count=100, outstanding=4).report(30)
        self.assertEqual((report["answered"], report["lost"]), (100, 0))


if __name__ == "__main__":
    case.main()
