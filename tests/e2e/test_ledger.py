#!/usr/bin/env python3
"""Shows that control can be killed at any moment while rights are made and revoked: what was acknowledged stays, no
revocation comes back, and the data plane loses no message. And that `pgrid log` shows, checks and rebuilds the log."""
import json
import os
import random
import signal
import threading

import case
from node import EXAMPLES
from sandbox import poll

QUICK = 'restart_pause_max = "300ms"'  # the kills are what takes time
KILLS = int(os.environ.get("PGRID_E2E_KILLS", "20"))
KILLED = [r"(pgrid-)?control( \d+)? was killed by signal 9; starting it again", r"(pgrid-)?control( \d+)? died",
          r"cut \d+ bytes off the log"]


class Ledger(case.Case):
    def setUp(self):
        super().setUp()
        self.a = self.node(limits=QUICK)
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")

    def test_control_killed(self):
        """control is killed while rights are made and revoked: all that was acknowledged is there, nothing revoked comes back"""
        self.a.allow(*KILLED)
        # A machine that is busy with other things may stand still for a second; that is not what is tested.
        right = self.a.create_right("echo", deadline_max_us=20_000_000)
        load = case.Load(self.undo, right["uri"], outstanding=16, deadline="20s", timeout="25s", duration="600s")
        made, revoked, unsure = {}, set(), set()
        stop = threading.Event()

        def work():
            mine = []
            while not stop.is_set():
                try:
                    if mine and random.random() < 0.4:
                        name = mine.pop(random.randrange(len(mine)))
                        unsure.add(name)
                        self.a.api("DELETE", f"/v1/rights/{name}")
                        unsure.discard(name)
                        revoked.add(name)
                    else:
                        one = self.a.create_right("echo")
                        name = f"{one['slot']}.{one['generation']}"
                        made[name] = one["uri"]
                        mine.append(name)
                except (OSError, ValueError, LookupError):  # control is not there just now, or has just gone
                    stop.wait(0.02)

        workers = [threading.Thread(target=work) for _ in range(4)]
        for worker in workers:
            worker.start()
        try:
            for _ in range(KILLS):
                so_far = len(made)
                poll(lambda: len(made) > so_far + random.randrange(20), 20, "rights are made")
                self.a.kill("pgrid-control")
                poll(self.a.is_serving, 20, "control is back and attached")
        finally:
            stop.set()
            for worker in workers:
                worker.join()
        load.process.send_signal(signal.SIGINT)
        report = load.report(30)
        self.assertGreater(len(revoked), KILLS)
        there = {f"{r['slot']}.{r['generation']}": r["uri"] for r in self.a.api("GET", "/v1/rights?process=echo&secrets=1")["rights"]
                 if "uri" in r}
        self.assertEqual({n: there.get(n) for n in made if n not in revoked | unsure},
                         {n: u for n, u in made.items() if n not in revoked | unsure})
        self.assertEqual(revoked & set(there), set())
        self.assertEqual(report["lost"], 0)
        self.assertEqual(sum(report["non_commitments"].values()), 0, report["non_commitments"])
        # The right table says the same as the log.
        for name in random.sample(sorted(revoked), 5):
            refused = case.Load(self.undo, made[name], count=1, outstanding=1).report(30)
            self.assertEqual(refused["non_commitments"]["no_such_right"], 1)
        self.assertIn("the log is whole", self.a.cli("log", "verify").stdout)

    def test_log(self):
        """what happened is shown, for each process; views that are gone are made again"""
        right = self.a.create_right("echo", label=7)
        self.a.api("DELETE", f"/v1/rights/{right['slot']}.{right['generation']}")
        self.a.cli("rm", "echo")
        self.a.deploy(EXAMPLES / "echo.wasm", "other")

        def whats(*options):
            lines = self.a.cli("--json", "log", *options).stdout.splitlines()
            return [event["what"] for event in map(json.loads, lines)]

        life = ["deployed", "right_created", "right_created", "right_revoked", "right_revoked", "removed"]
        self.assertEqual(whats("--process", "echo"), life)
        self.assertEqual(whats()[:6], life)
        self.assertEqual(whats("-n", "1", "--process", "echo"), ["removed"])
        self.assertIn("label 7", self.a.cli("log", "--process", "echo").stdout)
        self.assertIn("is running", self.a.cli("log", "rebuild", status=1).stderr)
        self.a.stop()
        self.a.process = None
        state = self.a.run / "state"
        (state / "views.sqlite").unlink()
        self.a.cli("log", "rebuild")
        self.a.cli("log", "verify")
        self.a.start()
        self.assertEqual(whats("--process", "echo"), life)

    def test_damaged_log(self):
        """a byte that changed in the log is found: verify says where, control refuses to start"""
        for _ in range(20):
            self.a.create_right("echo")
        self.a.stop()
        self.a.process = None
        log = self.a.run / "state" / "log" / "00000000000000000001.log"
        whole = log.read_bytes()
        changed = bytearray(whole)
        changed[len(whole) // 2] ^= 4
        log.write_bytes(changed)
        refused = self.a.cli("log", "verify", status=1).stderr
        self.assertRegex(refused, r"record \d+ of the log .*00000000000000000001\.log, byte \d+.*changed after it was written")
        log.write_bytes(whole)
        self.a.cli("log", "verify")


if __name__ == "__main__":
    case.main()
