#!/usr/bin/env python3
"""Shows that an instance which stops costs nothing that stays: a million of them, one after the other, leave memory,
descriptors and mappings of every process of the node as they were, and a neighbour on the same worker is answered all the
time. PGRID_E2E_REBUILDS says how many."""
import os
import pathlib
import time

import case
from node import EXAMPLES, GUESTS, resident_bytes
from sandbox import poll

REBUILDS = int(os.environ.get("PGRID_E2E_REBUILDS", "1000000"))
WARM_UP = 20_000  # until every pool, log book and cache has reached its size
PROGRAMS = ["pgrid-worker", "pgrid-dataplane", "pgrid-control"]

# The test is about answers, not about when: a machine that others use, too, stands still for seconds at times.
DEADLINE_US = 20_000_000
PATIENT = {"deadline": "20s", "timeout": "30s"}

# Resident memory may differ by so much: allocators keep free chunks where they happen to lie, and a page that is read
# for the first time counts. A million rebuilds that leak 2 bytes each exceed it.
SLACK_BYTES = 1 << 20


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def mappings(pid):
    return len(pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines())


class Rebuilds(case.Case):
    def measure(self):
        """Of each process of the node. A process that was replaced meanwhile shows as another pid."""
        return {program: {"pid": pid, "memory": resident_bytes(pid), "descriptors": descriptors(pid),
                          "mappings": mappings(pid)}
                for program in PROGRAMS for pid in [self.a.pid(program)]}

    def trap(self, count):
        """Has `count` messages stop an instance each. Returns the seconds that it took."""
        report = case.Load(self.undo, self.trapping["uri"], outstanding=64, count=count, **PATIENT).report(600)
        self.assertEqual((report["sent"], report["non_commitments"]), (count, {"broken": count}), report)
        return report["seconds"]

    def test_rebuilds(self):
        """a million rebuilds: memory, descriptors and mappings stay, and the neighbour is answered all the time"""
        self.a = self.node()
        self.a.deploy(GUESTS / "trap.wasm", "trap")
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")
        self.assertEqual(len({p["worker"] for p in self.a.api("GET", "/v1/processes")["processes"]}), 1)
        self.trapping = self.a.create_right("trap", deadline_max_us=DEADLINE_US)
        neighbour = self.a.create_right("echo", deadline_max_us=DEADLINE_US)
        load = case.Load(self.undo, neighbour["uri"], outstanding=2, duration="1h", **PATIENT, verify_echo=True)
        self.trap(WARM_UP)
        before = self.measure()
        seconds = self.trap(REBUILDS)
        after = self.measure()
        print(f"# {REBUILDS / seconds:,.0f} rebuilds a second; before {before}; after {after}")
        for program in PROGRAMS:
            with self.subTest(program):
                was, now = before[program], after[program]
                self.assertEqual([now[k] for k in ("pid", "descriptors", "mappings")],
                                 [was[k] for k in ("pid", "descriptors", "mappings")])
                self.assertLess(now["memory"] - was["memory"], SLACK_BYTES)
        told = {line["text"] for line in self.a.api("GET", "/v1/processes/trap/logs")["lines"]}
        for cause in ("unreachable", "out of bounds", "stack is exhausted"):
            self.assertTrue(any(cause in text for text in told), f"no {cause} among {told}")
        poll(lambda: self.a.stat()["workers"][0]["rebuilds"] == WARM_UP + REBUILDS, 5, "the worker counted every rebuild")
        self.assertTrue(load.is_running())
        load.process.terminate()
        report = load.report(30)
        self.assertGreater(report["answered"], REBUILDS // 1000)
        self.assertEqual((report["lost"], report["sent"], report["non_commitments"], report["wrong_body"]),
                         (0, report["answered"], {}, 0))


if __name__ == "__main__":
    case.main()
