#!/usr/bin/env python3
"""Shows what senders see when a function misbehaves, that its neighbours on the same worker do not notice, and that the
new instance sees none of the old one's bytes."""
import case
from node import EXAMPLES, GUESTS
from sandbox import poll


class Guests(case.Case):
    def setUp(self):
        super().setUp()
        self.a = self.node()
        self.a.deploy(GUESTS / "moody.wasm", "moody", time_limit_us=5000)

    def rebuilds(self):
        return self.a.api("GET", "/v1/processes/moody")["rebuilds"]

    def test_trap(self):
        """a function that traps: broken, and it serves again"""
        self.assertRefused(self.a.invoke("moody", b"t"), "broken")
        self.assertAnswer(self.a.invoke("moody", b"hello"), b"hello")
        self.assertEqual(self.a.counter("broken"), 1)
        poll(lambda: self.rebuilds() == 1, 5, "one rebuild is told")

    def test_loop(self):
        """a function that loops: broken after its time limit, and it serves again"""
        self.assertRefused(self.a.invoke("moody", b"l", deadline_us=1_000_000), "broken")
        self.assertAnswer(self.a.invoke("moody", b"hello"), b"hello")

    def test_silent(self):
        """a function that reads and never answers: no_answer at the deadline"""
        self.assertRefused(self.a.invoke("moody", b"s", deadline_us=50_000), "no_answer")
        self.assertEqual(self.a.counter("no_answer"), 1)

    def test_decline(self):
        """a function that says no: declined"""
        self.assertRefused(self.a.invoke("moody", b"d"), "declined")

    def test_unread(self):
        """a function that never reads: broken"""
        self.a.deploy(GUESTS / "deaf.wasm", "deaf")
        self.assertRefused(self.a.invoke("deaf", b"x", deadline_us=1_000_000), "broken")

    def test_clean_memory(self):
        """after a trap or a loop the new instance finds its memory empty"""
        for end in (b"t", b"l"):
            self.assertAnswer(self.a.invoke("moody", b"w", deadline_us=1_000_000), b"w")
            self.assertAnswer(self.a.invoke("moody", b"p", deadline_us=1_000_000), (256 * 1024).to_bytes(4, "little"))
            self.assertRefused(self.a.invoke("moody", end, deadline_us=1_000_000), "broken")
            self.assertAnswer(self.a.invoke("moody", b"p", deadline_us=1_000_000), bytes(4))
        self.assertRefused(self.a.invoke("moody", b"W", deadline_us=1_000_000), "broken")
        self.assertAnswer(self.a.invoke("moody", b"p", deadline_us=1_000_000), bytes(4))

    def test_neighbour(self):
        """while one function traps and loops, another on the same worker answers every message"""
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")
        workers = {p["worker"] for p in self.a.api("GET", "/v1/processes")["processes"]}
        self.assertEqual(len(workers), 1)
        uri = self.a.create_right("echo", deadline_max_us=1_000_000)["uri"]
        load = case.Load(self.undo, uri, duration="3s", outstanding=8, deadline="900ms")
        falls = 0
        while load.is_running():
            self.assertRefused(self.a.invoke("moody", b"t" if falls % 2 else b"l", deadline_us=1_000_000), "broken")
            falls += 1
        report = load.report(10)
        self.assertGreater(falls, 20)
        self.assertGreater(report["answered"], 100)
        self.assertEqual(report["sent"], report["answered"])
        poll(lambda: self.rebuilds() == falls, 5, f"{falls} rebuilds are told")

    def test_logs(self):
        """pgrid logs tells what the trap was"""
        self.assertRefused(self.a.invoke("moody", b"t"), "broken")
        poll(lambda: "unreachable" in self.a.cli("logs", "moody").stdout, 5, "the trap is in the log")


if __name__ == "__main__":
    case.main()
