#!/usr/bin/env python3
"""Shows what senders see when a function misbehaves, that its neighbours on the same worker do not notice, and that the
new instance sees none of the old one's bytes."""
import contextlib

import case
import message1
import wasm
from node import EXAMPLES, GUESTS, ApiError, resident_bytes
from sandbox import poll
from sender import Sender


class Guests(case.Case):
    def setUp(self):
        super().setUp()
        self.a = self.node()
        self.a.deploy(GUESTS / "moody.wasm", "moody", time_limit_us=5000, restarts_max=0)
        self.moody = self.a.create_right("moody", deadline_max_us=10_000_000)["uri"]

    def rebuilds(self):
        return self.a.api("GET", "/v1/processes/moody")["rebuilds"]

    def test_trap(self):
        """a function that traps: broken, and it serves again"""
        self.assertRefused(self.a.invoke(self.moody, b"t"), "broken")
        self.assertAnswer(self.a.invoke(self.moody, b"hello"), b"hello")
        self.assertEqual(self.a.counter("broken"), 1)
        poll(lambda: self.rebuilds() == 1, 5, "one rebuild is told")

    def test_loop(self):
        """a function that loops: broken after its time limit, and it serves again"""
        self.assertRefused(self.a.invoke(self.moody, b"l", deadline_us=9_000_000), "broken")
        self.assertAnswer(self.a.invoke(self.moody, b"hello"), b"hello")

    def test_silent(self):
        """a function that reads and never answers: no_answer at the deadline"""
        self.assertRefused(self.a.invoke(self.moody, b"s", deadline_us=50_000), "no_answer")
        self.assertEqual(self.a.counter("no_answer"), 1)

    def test_decline(self):
        """a function that says no: declined"""
        self.assertRefused(self.a.invoke(self.moody, b"d"), "declined")

    def test_unread(self):
        """a function that never reads: broken"""
        self.a.deploy(GUESTS / "deaf.wasm", "deaf")
        self.assertRefused(self.a.invoke("deaf", b"x", deadline_us=9_000_000), "broken")

    def test_clean_memory(self):
        """after a trap or a loop the new instance finds its memory empty"""
        for end in (b"t", b"l"):
            self.assertAnswer(self.a.invoke(self.moody, b"w", deadline_us=9_000_000), b"w")
            self.assertAnswer(self.a.invoke(self.moody, b"p", deadline_us=9_000_000), (256 * 1024).to_bytes(4, "little"))
            self.assertRefused(self.a.invoke(self.moody, end, deadline_us=9_000_000), "broken")
            self.assertAnswer(self.a.invoke(self.moody, b"p", deadline_us=9_000_000), bytes(4))
        self.assertRefused(self.a.invoke(self.moody, b"W", deadline_us=9_000_000), "broken")
        self.assertAnswer(self.a.invoke(self.moody, b"p", deadline_us=9_000_000), bytes(4))

    def test_memory_of_removed(self):
        """a function that is removed leaves nothing to the next one, which takes its place in the pool"""
        self.assertAnswer(self.a.invoke(self.moody, b"w", deadline_us=9_000_000), b"w")
        self.a.api("DELETE", "/v1/processes/moody")
        self.a.deploy(GUESTS / "moody.wasm", "next")
        self.assertAnswer(self.a.invoke("next", b"p"), bytes(4))

    def test_others_in_hand(self):
        """a function that traps: earlier messages that it read are process_failed, later ones go to the next instance"""
        sender = Sender(self.moody)
        for body in (b"s", b"s", b"s", b"t", b"hello", b"hello"):
            sender.send(body, deadline_us=9_000_000)
        self.assertEqual(sender.outcomes(6), {"process_failed": 3, "broken": 1, "answer": 2})
        self.assertEqual({name: self.a.counter(name) for name in ("process_failed", "broken", "answered")},
                         {"process_failed": 3, "broken": 1, "answered": 2})

    def test_neighbour(self):
        """while one function traps and loops, another on the same worker answers every message"""
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")
        workers = {p["worker"] for p in self.a.api("GET", "/v1/processes")["processes"]}
        self.assertEqual(len(workers), 1)
        uri = self.a.create_right("echo", deadline_max_us=10_000_000)["uri"]
        load = case.Load(self.undo, uri, duration="3s", outstanding=8, deadline="9s", timeout="10s")
        falls = 0
        while load.is_running():
            self.assertRefused(self.a.invoke(self.moody, b"t" if falls % 2 else b"l", deadline_us=9_000_000), "broken")
            falls += 1
        report = load.report(30)
        self.assertGreater(falls, 20)
        self.assertGreater(report["answered"], 100)
        self.assertEqual(report["sent"], report["answered"])
        poll(lambda: self.rebuilds() == falls, 5, f"{falls} rebuilds are told")

    def test_logs(self):
        """pgrid logs tells what the trap was"""
        self.assertRefused(self.a.invoke(self.moody, b"t"), "broken")
        poll(lambda: "unreachable" in self.a.cli("logs", "moody").stdout, 5, "the trap is in the log")


class Contained(case.Case):
    """What a hostile function can do, while its neighbour on the same worker is under load: it answers every message."""

    def setUp(self):
        super().setUp()
        self.a = self.node()
        self.rights = {}
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")
        self.neighbour = self.a.create_right("echo", deadline_max_us=10_000_000)["uri"]

    @contextlib.contextmanager
    def loaded_neighbour(self):
        load = case.Load(self.undo, self.neighbour, outstanding=8, duration="100s", deadline="8s", timeout="9s", verify_echo=True)
        before = self.a.counter("answered")
        poll(lambda: self.a.counter("answered") > before + 50, 5, "the neighbour's load runs")
        yield
        self.assertTrue(load.is_running())
        before = self.a.counter("answered")
        poll(lambda: self.a.counter("answered") > before + 50, 5, "the neighbour is answered at the end")
        load.process.terminate()
        report = load.report(20)
        self.assertEqual({k: report[k] for k in ("sent", "lost", "duplicated", "late", "unexpected", "wrong_body", "non_commitments")},
                         {"sent": report["answered"], "lost": 0, "duplicated": 0, "late": 0, "unexpected": 0, "wrong_body": 0,
                          "non_commitments": {}})

    def ask(self, name, body):
        """With more patience than a name's own right has: the machine may stand still for a while."""
        if name not in self.rights:
            self.rights[name] = self.a.create_right(name, deadline_max_us=10_000_000)["uri"]
        return self.a.invoke(self.rights[name], body, deadline_us=9_000_000)

    def number(self, name, body):
        """Of the answer, as a signed number."""
        answer = self.ask(name, body)
        self.assertEqual((answer["kind"], len(answer["body"])), ("answer", 4), answer)
        return int.from_bytes(answer["body"], "little", signed=True)

    def assertStopped(self, name, body, times, why):
        """Each such message is broken, counted and told; the function answers the next one."""
        broken = self.a.counter("broken")
        for _ in range(times):
            self.assertRefused(self.ask(name, body), "broken")
            self.assertAnswer(self.ask(name, b"hello"), b"hello")
        self.assertEqual(self.a.counter("broken"), broken + times)
        poll(lambda: self.a.api("GET", f"/v1/processes/{name}")["rebuilds"] == times, 5, f"{times} rebuilds are told")
        self.assertIn(why, self.a.cli("logs", name).stdout)

    def test_loops(self):
        """a function that loops: broken at its time limit"""
        self.a.deploy(GUESTS / "moody.wasm", "moody", time_limit_us=2000)
        with self.loaded_neighbour():
            self.assertStopped("moody", b"l", 30, "time")

    def test_recurses(self):
        """a function that recurses for ever: broken, its stack is exhausted"""
        self.a.deploy(GUESTS / "greedy.wasm", "greedy", time_limit_us=100_000)
        with self.loaded_neighbour():
            self.assertStopped("greedy", b"r", 30, "stack is exhausted")

    def test_grows(self):
        """a function that grows its memory: it gets what its limit says, and what is beyond is broken"""
        self.a.deploy(GUESTS / "greedy.wasm", "greedy", memory_bytes=2 << 20, time_limit_us=100_000)
        with self.loaded_neighbour():
            self.assertEqual(self.number("greedy", b"g"), (2 << 20) // 65536)
            self.assertStopped("greedy", b"G", 30, "out of bounds")
            self.assertEqual(self.number("greedy", b"g"), (2 << 20) // 65536)

    def test_copies(self):
        """a function that copies megabytes in a loop: broken at its time limit"""
        self.a.deploy(GUESTS / "greedy.wasm", "greedy", memory_bytes=16 << 20, time_limit_us=2000)
        with self.loaded_neighbour():
            self.assertStopped("greedy", b"m", 30, "time")

    def test_never_reads(self):
        """a function that never reads: every message is broken"""
        self.a.deploy(GUESTS / "deaf.wasm", "deaf")
        right = self.a.create_right("deaf", deadline_max_us=10_000_000)["uri"]
        with self.loaded_neighbour():
            report = case.Load(self.undo, right, outstanding=64, count=3000, deadline="8s", timeout="9s").report(30)
        self.assertEqual((report["sent"], report["non_commitments"]), (3000, {"broken": 3000}))
        self.assertEqual(self.a.counter("broken"), 3000)

    def test_starts(self):
        """a start function or a pg_init that loops, recurses or traps: not deployed, and nothing stays"""
        with self.loaded_neighbour():
            for where, options in (("start", {"start": True}), ("pg_init", {"exports": ("memory", "pg_activate", "pg_init")})):
                for how, body, why in (("loops", wasm.LOOP, "time"), ("recurses", wasm.RECURSE, "stack is exhausted"),
                                       ("traps", wasm.TRAP, "unreachable"), ("writes wildly", wasm.OUT_OF_BOUNDS, "out of bounds")):
                    with self.assertRaises(ApiError, msg=f"{where} {how}") as refused:
                        self.a.deploy(wasm.module(body=body, **options), "hostile")
                    self.assertIn(why, refused.exception.message, f"{where} {how}")
                    self.assertEqual((refused.exception.status, refused.exception.code), (422, "refused"))
        self.assertEqual([p["name"] for p in self.a.api("GET", "/v1/processes")["processes"]], ["echo"])
        self.assertEqual(self.a.stat()["workers"][0]["instances"], 1)

    def test_floods_log(self):
        """a function that writes log lines for ever: broken at its time limit"""
        self.a.deploy(GUESTS / "greedy.wasm", "greedy", time_limit_us=2000)
        with self.loaded_neighbour():
            self.assertStopped("greedy", b"f", 30, "")

    def test_floods_requests(self):
        """a function that sends requests for ever through a right it holds: broken at its time limit"""
        self.a.deploy(EXAMPLES / "echo.wasm", "sink")
        self.a.deploy(GUESTS / "greedy.wasm", "greedy", time_limit_us=2000, grant="sink=sink")
        with self.loaded_neighbour():
            self.assertStopped("greedy", b"R", 30, "time")
        self.assertGreater(self.a.counter("guest_requests"), 30)

    def test_million_log_lines(self):
        """a million log lines: each is kept, counted as lost, or refused to the function; control stays as it is"""
        self.a.deploy(GUESTS / "greedy.wasm", "greedy", time_limit_us=500_000)

        def last_line():
            return self.a.api("GET", "/v1/processes/greedy/logs")["next"]

        self.number("greedy", b"n" + (2000).to_bytes(4, "little"))  # a log book has its size
        poll(lambda: last_line() == last_line() > 0, 5, "lines come")
        lost, memory, before = self.a.counter("control_event_lost"), resident_bytes(self.a.pid("pgrid-control")), last_line()
        with self.loaded_neighbour():
            taken = sum(self.number("greedy", b"n" + (10_000).to_bytes(4, "little")) for _ in range(100))
        self.assertGreater(taken, 0)
        self.assertLessEqual(taken, 1_000_000)

        def accounted():
            return last_line() - before + self.a.counter("control_event_lost") - lost

        poll(lambda: accounted() == taken, 5, f"{taken} lines are kept or counted")
        print(f"# taken {taken}, of them lost {self.a.counter('control_event_lost') - lost}")
        self.assertLessEqual(len(self.a.api("GET", "/v1/processes/greedy/logs")["lines"]), 1000)
        if not case.SANITIZED:
            self.assertLess(resident_bytes(self.a.pid("pgrid-control")) - memory, 2 << 20)

    def test_answers_twice(self):
        """a function that answers twice: the sender gets one answer, the function an error"""
        self.a.deploy(GUESTS / "liar.wasm", "liar")
        host, right = message1.parse_uri(self.a.create_right("liar")["uri"])
        with self.loaded_neighbour(), message1.connect(host) as sender:
            for _ in range(30):
                id = message1.new_id()
                sender.send(message1.encode_request(right, id, b"2"))
                self.assertEqual(message1.wait_for(sender, id, 5).body, b"2")
                self.assertEqual(self.number("liar", b"q"), -1)  # PG_ERROR_HANDLE
            sender.settimeout(0.2)
            self.assertRaises(TimeoutError, sender.recv, 2048)

    def test_answers_stale(self):
        """a function that answers a message whose deadline is over: no_answer once, and the answer goes nowhere"""
        self.a.deploy(GUESTS / "liar.wasm", "liar")
        host, right = message1.parse_uri(self.a.create_right("liar")["uri"])
        with self.loaded_neighbour(), message1.connect(host) as sender:
            for _ in range(30):
                id, late = message1.new_id(), self.a.counter("late_reply")
                sender.send(message1.encode_request(right, id, b"k", deadline_us=5000))
                self.assertEqual(message1.wait_for(sender, id, 5).reason_name(), "no_answer")
                # Its entry is free, or another message's by now: the worker or the poll core sees it.
                if self.number("liar", b"K") == 0:
                    poll(lambda: self.a.counter("late_reply") == late + 1, 5, "a late reply is counted")
            sender.settimeout(0.2)
            self.assertRaises(TimeoutError, sender.recv, 2048)

    def test_guesses_handles(self):
        """a function that guesses handles answers nobody else's message"""
        self.a.deploy(GUESTS / "liar.wasm", "liar", time_limit_us=100_000)
        with self.loaded_neighbour():
            for core in (0, 1, 7):
                for entry in (*range(10), 4095, 4096, 16383):
                    self.assertEqual(self.number("liar", b"h" + (core << 14 | entry).to_bytes(4, "little")), 0)

    def test_wild_pointers(self):
        """wild pointers, lengths and headers: an error for each, and no message is lost"""
        self.a.deploy(GUESTS / "liar.wasm", "liar")
        with self.loaded_neighbour():
            for _ in range(30):
                self.assertEqual(self.number("liar", b"w"), 0)
        self.assertEqual(self.a.api("GET", "/v1/processes/liar")["rebuilds"], 0)


if __name__ == "__main__":
    case.main()
