#!/usr/bin/env python3
"""Shows what senders see when a function misbehaves, that its neighbours on the same worker do not notice, and that the
new instance sees none of the old one's bytes."""
import contextlib
import urllib.parse

import case
import message1
import steered
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


class Carrying(case.Case):
    """What functions may do with rights in messages, and what they may not."""

    def setUp(self):
        super().setUp()
        self.a = self.node()
        self.b = self.deploy("b")
        self.c = self.deploy("c", "b=b")

    def deploy(self, name, *grants):
        query = urllib.parse.urlencode({"name": name, "grant": [grant + ",deadline=10s" for grant in grants]}, doseq=True)
        self.a.api("POST", f"/v1/processes?{query}", (GUESTS / "steered.wasm").read_bytes(), timeout=60, content_type="application/wasm")
        return steered.Steered(self.a, name, self.a.create_right(name, deadline_max_us=60_000_000)["uri"])

    def mint(self, function, label, can=steered.SEND | steered.DERIVE | steered.CARRY):
        report = function.do("m", label=label, can=can)
        self.assertEqual((report.sent, report.kind, len(report.rights)), (None, "answer", 1), report)
        return report.rights[0]

    def assertSeen(self, report, **expected):
        """By the peer, which answers with what it saw."""
        self.assertEqual((report.sent, report.kind), (None, "answer"), report)
        seen = steered.read_report(report.body)
        self.assertEqual({name: getattr(seen, name) for name in expected}, expected)
        return seen

    def assertNot(self, report, reason):
        self.assertEqual((report.sent, report.kind, report.reason), (None, "non_commitment", reason), report)

    def test_move(self):
        """what is moved is the receiver's, with its label; the sender cannot use it, move it or copy it any more"""
        first, second = self.mint(self.c, 7), self.mint(self.c, 8)
        self.assertEqual((first, second), (19, 20))
        self.assertSeen(self.c.send(4, b"yours", [first, second], [steered.MOVE, steered.COPY]), kind="request", rights=[19, 20], body=b"yours")
        for mode in (steered.MOVE, steered.COPY):
            self.assertEqual(self.c.send(4, b"", [first], [mode]).sent, "handle")
        self.assertEqual(self.c.send(first, b"").sent, "handle")
        self.assertSeen(self.b.send(19, b"hello", deadline_us=5_000_000), label=7, body=b"hello")
        self.assertSeen(self.b.send(20, b"hello"), label=8)
        self.assertEqual(self.c.send(4, b"", [second, second], [steered.MOVE, steered.MOVE]).sent, "handle")
        self.assertSeen(self.c.send(4, b"", [second, second], [steered.COPY, steered.COPY]), rights=[21, 22])

    def test_not_held(self):
        """no other number is a handle: none is used or carried"""
        held = self.mint(self.c, 1)
        for handle in (0, 1, 3, *range(5, 19), *range(20, 64), 64, 68, 83, 2**31 - 1, 2**32 - 1):
            self.assertEqual(self.c.send(4, b"", [held, handle], [steered.COPY, steered.COPY]).sent, "handle", handle)
            if handle != 3 and handle < 2**31:  # the log; reply handles are of another kind
                self.assertEqual(self.c.send(handle, b"").sent, "handle", handle)
        self.assertEqual(self.c.send(4, b"", [4], [steered.MOVE]).sent, "handle", "a grant is the process's")
        for mode in (3, 255):
            self.assertEqual(self.c.send(4, b"", [held], [mode]).sent, "message")
        self.assertSeen(self.c.send(4, b"", [held], [steered.COPY]), rights=[19])
        self.assertEqual(self.a.stat()["totals"]["carried_unknown"], 0, "the worker knows it")

    def test_may_not_be_carried(self):
        """a right that may not be carried stays where it is, and with it whatever should go along"""
        stays = self.mint(self.c, 1, can=steered.SEND)
        goes = self.mint(self.c, 2)
        report = self.c.send(4, b"", [goes, stays], [steered.MOVE, steered.MOVE])
        self.assertNot(report, "not_permitted")
        self.assertEqual(report.rights, [goes, stays], "it still has both")
        self.assertEqual(self.a.counter("carried_not_permitted"), 1)
        self.assertSeen(self.c.send(4, b"", [goes], [steered.MOVE]), rights=[19])

    def test_full(self):
        """who has no handle free is told nothing: the sender hears busy and keeps what it has; giving one back makes room"""
        right = self.mint(self.c, 1)
        for _ in range(11):
            self.assertSeen(self.c.send(4, b"", [right] * 4, [steered.COPY] * 4))
        self.assertNot(self.c.send(4, b"", [right] * 2, [steered.COPY] * 2), "busy")
        self.assertSeen(self.c.send(4, b"", [right], [steered.COPY]), rights=[63])
        report = self.c.send(4, b"", [right], [steered.MOVE])
        self.assertNot(report, "busy")
        self.assertEqual(report.rights, [right])
        self.assertEqual(self.a.counter("busy_handles"), 2)
        self.assertEqual(self.b.do("x", handle=30).kind, "answer")
        self.assertEqual(self.b.send(30, b"").sent, "handle")
        self.assertSeen(self.c.send(4, b"", [right], [steered.MOVE]), rights=[30])

    def test_answers(self):
        """an answer brings a function rights, and nobody on the wire"""
        right = self.mint(self.b, 5)
        self.assertEqual(self.c.send(4, steered.asking_for([right], [steered.COPY])).rights, [19])
        self.assertSeen(self.c.send(19, b"through it"), label=5)
        answer = message1.call(self.b.uri, steered.asking_for([right], [steered.COPY]), 9_000_000, timeout_s=15)
        self.assertEqual((answer.kind, answer.reason_name()), (message1.Kind.non_commitment, "not_permitted"))
        self.assertEqual(self.a.counter("answer_refused"), 1)

    def test_accounts(self):
        """the example: each customer gets a right of its own, and is counted by it"""
        self.a.deploy(EXAMPLES / "accounts.wasm", "accounts")
        for name in ("alice", "bob"):
            self.a.cli("deploy", EXAMPLES / "customer.wasm", "--name", name, "--grant", "accounts=accounts")
        for name, count in (("alice", 1), ("alice", 2), ("bob", 1), ("alice", 3)):
            self.assertAnswer(self.a.invoke(name, b"", deadline_us=9_000_000), str(count).encode())
        uri = self.a.create_right("accounts", deadline_max_us=10_000_000)["uri"]
        answer = message1.call(uri, b"open", 9_000_000, timeout_s=15)
        self.assertEqual(answer.reason_name(), "not_permitted", "nobody on the wire can hold a handle")

    def test_new_instance(self):
        """a function that is restarted holds what it was granted; what it had made is dead, what others hold of it leads nowhere"""
        made = self.mint(self.c, 1)
        theirs = self.mint(self.b, 2)
        self.assertSeen(self.c.send(4, b"", [made], [steered.COPY]), rights=[theirs + 1])
        self.assertSeen(self.b.send(theirs + 1, b"", [theirs], [steered.COPY]), rights=[20])
        self.assertRefused(self.a.invoke(self.c.uri, b"!t", deadline_us=9_000_000), "broken")
        poll(lambda: self.b.send(theirs + 1, b"").reason == "no_such_right", 5, "what the last instance had made is revoked")
        self.assertEqual(self.c.send(20, b"").sent, "handle")
        self.assertEqual(self.mint(self.c, 3), 19, "its handles are free again")
        self.assertSeen(self.c.send(4, b"granted"), body=b"granted")


if __name__ == "__main__":
    case.main()
