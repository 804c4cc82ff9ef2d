#!/usr/bin/env python3
"""Shows that workers do not share their fate: one of two is killed again and again under load, and the functions on the
other lose nothing. PGRID_E2E_KILLS changes how often (20)."""
import os
import signal

import case
from node import EXAMPLES
from sandbox import poll
from test_cores import cpus

QUICK = 'restart_pause_max = "300ms"'  # the kills are what takes time
KILLS = int(os.environ.get("PGRID_E2E_KILLS", "20"))
OUTSTANDING = 16
RATE = 400  # requests a second for the function that is killed: busy comes back at once, a closed loop would spin


class Workers(case.Case):
    def setUp(self):
        super().setUp()
        self.a = self.node(worker_cpus=cpus(2), limits=QUICK)
        self.a.allow(r"worker( \d+)? was killed by signal 9; starting it again", r"worker( \d+)? died")
        self.uris = {}
        for place, name in enumerate(("steady", "unlucky")):
            self.a.deploy(EXAMPLES / "echo.wasm", name)
            self.assertEqual(self.a.api("GET", f"/v1/processes/{name}")["worker"], place)
            self.uris[name] = self.a.create_right(name, deadline_max_us=5_000_000)["uri"]

    def load(self, name, **options):
        return case.Load(self.undo, self.uris[name], deadline="5s", timeout="10s", duration="300s", verify_echo=True, **options)

    def finish(self, load):
        self.assertTrue(load.is_running())
        load.process.send_signal(signal.SIGINT)
        return load.report(30)

    def kept(self, name):
        return self.a.api("GET", f"/v1/processes/{name}")["counts"]["kept"]

    def test_killed_again_and_again(self):
        """one worker is killed twenty times under load: the other's function loses nothing, the killed one's is served again"""
        steady_pid = self.a.stat()["workers"][0]["pid"]
        steady, unlucky = self.load("steady", outstanding=OUTSTANDING), self.load("unlucky", rate=RATE)
        pids = set()
        for kill in range(KILLS):
            kept = [self.kept("steady"), self.kept("unlucky")]
            poll(lambda: self.kept("unlucky") > kept[1], 20, f"the function is served before kill {kill + 1}")
            poll(lambda: self.kept("steady") > kept[0], 5, "so is its neighbour")
            worker = self.a.stat()["workers"][1]
            self.assertNotIn(worker["pid"], pids, "another process each time")
            pids.add(worker["pid"])
            os.kill(worker["pid"], signal.SIGKILL)
            poll(lambda: self.a.stat()["workers"][1]["deaths"] == kill + 1, 5, "its death is counted")
        kept = self.kept("unlucky")
        poll(lambda: self.kept("unlucky") > kept, 20, "the function is served after the last kill")

        report = self.finish(steady)
        self.assertEqual((report["lost"], report["duplicated"], report["non_commitments"]), (0, 0, {}), report)
        self.assertEqual(report["sent"], report["answered"])
        self.assertGreater(report["answered"], 100 * KILLS)
        report = self.finish(unlucky)
        refused = report["non_commitments"]
        self.assertEqual((report["lost"], report["duplicated"]), (0, 0), report)
        self.assertLessEqual(set(refused), {"process_failed", "busy"})
        self.assertEqual(report["sent"], report["answered"] + sum(refused.values()))
        self.assertGreater(refused["busy"], 0)
        workers = self.a.stat()["workers"]
        self.assertEqual((workers[0]["deaths"], workers[0]["pid"]), (0, steady_pid))
        self.assertEqual(workers[1]["deaths"], KILLS)
        self.assertEqual(self.a.counter("worker_deaths"), KILLS)

    def test_killed_with_messages_in_hand(self):
        """what a killed worker had in hand is process_failed, each once; its neighbour's messages are answered meanwhile"""
        steady = self.load("steady", outstanding=OUTSTANDING)
        for _ in range(3):
            failed = self.a.counter("process_failed")
            poll(lambda: self.a.stat()["workers"][1]["state"] == "serving", 20, "it serves")
            pid = self.a.stat()["workers"][1]["pid"]
            os.kill(pid, signal.SIGSTOP)
            held = case.Load(self.undo, self.uris["unlucky"], outstanding=32, count=32, deadline="5s", timeout="10s")
            steady.process.send_signal(signal.SIGSTOP)  # so that it is known whose messages are in flight
            poll(lambda: self.a.stat()["in_flight"] == 32, 4, "32 messages are in flight")
            steady.process.send_signal(signal.SIGCONT)
            answered = self.a.counter("answered")
            poll(lambda: self.a.counter("answered") > answered + 100, 4, "its neighbour is served")
            os.kill(pid, signal.SIGKILL)
            report = held.report(20)
            self.assertEqual((report["answered"], report["non_commitments"], report["lost"]), (0, {"process_failed": 32}, 0))
            self.assertEqual(self.a.counter("process_failed"), failed + 32)
        report = self.finish(steady)
        self.assertEqual((report["lost"], report["duplicated"], report["non_commitments"]), (0, 0, {}), report)
        self.assertEqual(report["sent"], report["answered"])


if __name__ == "__main__":
    case.main()
