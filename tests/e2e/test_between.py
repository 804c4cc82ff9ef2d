#!/usr/bin/env python3
"""Shows that functions call functions: through rights that they hold, on the same or another worker, each request answered
exactly once whatever happens. PGRID_E2E_CALLS changes the number of the long run's calls (1,000,000), PGRID_E2E_FLOOD that
of each flood (100,000)."""
import os
import signal
import struct
import urllib.parse

import case
import message1
from node import EXAMPLES, GUESTS
from sandbox import poll
from test_cores import cpus

CALLS = int(os.environ.get("PGRID_E2E_CALLS", "1000000"))
FLOOD = int(os.environ.get("PGRID_E2E_FLOOD", "100000"))
OUTSTANDING = 64
LONG_US = 5_000_000  # a deadline that a loaded machine keeps
MINUTE_US = 60_000_000
HOPS_MAX = 8
REASONS = ("none", "unknown_protocol", "no_such_right", "not_permitted", "quota_exceeded", "busy", "too_large", "broken",
           "declined", "no_answer", "process_failed")
RELAY_REPORT = ("taken", "send_busy", "no_handle", "other", "answers", *REASONS, "strange", "too_late")
FLOOD_REPORT = ("to_send", "taken", "send_busy", "failed", "answers", *REASONS, "strange", "requests", "too_late")


class Between(case.Case):
    poll_cores = 1

    def start(self, workers=2, **options):
        self.a = self.node(poll_cpus=cpus(self.poll_cores), worker_cpus=cpus(workers), **options)
        self.uris = {}

    def deploy(self, guest, name, worker, *grants):
        """grants: "NAME=TARGET,rate=..."; without a deadline of their own they get a long one."""
        grants = [grant if "deadline=" in grant else grant + ",deadline=1m" for grant in grants]
        query = urllib.parse.urlencode({"name": name, "worker": worker, "grant": grants}, doseq=True)
        module = (EXAMPLES if guest == "echo" else GUESTS) / f"{guest}.wasm"
        made = self.a.api("POST", f"/v1/processes?{query}", module.read_bytes(), timeout=60, content_type="application/wasm")
        self.assertEqual(made["worker"], worker)

    def grant_later(self, holder, target):
        return self.a.api("POST", "/v1/rights", {"process": target, "holder": holder, "deadline_max_us": MINUTE_US})

    def chain(self, *workers, last="echo"):
        """Relays on these workers, each with a right to the next; the last one is no relay. The first is called "first"."""
        names = ["first"] + [f"next-{i}" for i in range(1, len(workers))]
        for i in reversed(range(len(workers))):
            if i == len(workers) - 1:
                self.deploy(last, names[i], workers[i])
            else:
                self.deploy("relay", names[i], workers[i], f"next={names[i + 1]}")
        self.uri = self.a.create_right("first", deadline_max_us=LONG_US)["uri"]
        return names

    def cycle(self):
        self.deploy("relay", "b", 1)
        self.deploy("relay", "a", 0, "other=b")
        self.assertEqual(self.grant_later("b", "a")["handle"], 4)

    def call(self, name, body=b"", deadline_us=LONG_US):
        """One request from outside: what a function asks others while it has it in hand, and because of what comes back,
        inherits its time."""
        if name not in self.uris:
            self.uris[name] = self.a.create_right(name, deadline_max_us=MINUTE_US)["uri"]
        message = message1.call(self.uris[name], body, deadline_us, timeout_s=deadline_us / 1e6 + 5)
        return {"kind": message1.Kind(message.kind).name, "reason": message.reason_name(), "body": message.body}

    def report(self, name, names=RELAY_REPORT, question=b"?report"):
        answer = self.call(name, question)
        self.assertEqual(answer["kind"], "answer", answer)
        return dict(zip(names, struct.unpack(f"<{len(names)}I", answer["body"])))

    def assertReport(self, name, **numbers):
        """Every number that is not named is 0."""
        self.assertEqual({k: v for k, v in self.report(name).items() if v}, {k: v for k, v in numbers.items() if v}, name)

    def load(self, count, **options):
        return case.Load(self.undo, self.uri, count=count, deadline="5s", timeout="10s", **{"outstanding": OUTSTANDING, **options})

    def assertAllAnswered(self, count, seconds=60, **options):
        report = self.load(count, verify_echo=True, **options).report(seconds)
        self.assertEqual((report["sent"], report["answered"], report["lost"], report["duplicated"], report["late"]),
                         (count, count, 0, 0, 0), report)
        return report

    def pid(self, worker):
        return self.a.stat()["workers"][worker]["pid"]

    def settled(self):
        stat = self.a.stat()
        return stat["in_flight"] == 0 and stat["books"]["balanced"] and stat

    # A calls B calls C.

    def test_chain(self):
        """A calls B calls C on three workers: every call is answered once, by what C said"""
        self.start(workers=3)
        names = self.chain(0, 1, 2)
        self.assertAllAnswered(2000)
        for name in names[:-1]:
            self.assertReport(name, taken=2000, answers=2000)
        poll(self.settled, 5, "nothing is in flight")
        totals = self.a.stat()["totals"]
        self.assertEqual((totals["guest_requests"], totals["guest_answers"], totals["guest_answers_lost"]), (4000, 4000, 0))

    def test_chain_on_one_worker(self):
        """the same when all three share one worker"""
        self.start(workers=1)
        self.chain(0, 0, 0)
        self.assertAllAnswered(2000, outstanding=32)  # two of its functions wait at a time
        self.assertReport("first", taken=2000, answers=2000)

    def test_million(self):
        """a million calls, each of which becomes three: every one is answered exactly once"""
        self.start(workers=3)
        names = self.chain(0, 1, 2)
        report = self.assertAllAnswered(CALLS, seconds=600)
        print(f"# {CALLS} calls in {report['seconds']:.1f} s, {report['answered_per_second']:.0f} a second, "
              f"p99 {report['round_trip_ns']['p99'] / 1e6:.2f} ms")
        for name in names[:-1]:
            self.assertReport(name, taken=CALLS, answers=CALLS)
        poll(self.settled, 5, "nothing is in flight")
        totals = self.a.stat()["totals"]
        self.assertEqual((totals["guest_requests"], totals["guest_answers"]), (2 * CALLS, 2 * CALLS))

    # Circles and floods.

    def test_cycle(self):
        """A calls B calls A: the ninth call is refused, and the first sender gets a non-commitment"""
        self.start()
        self.cycle()
        self.assertRefused(self.call("a", b"round and round"), "declined")
        self.assertEqual(self.a.counter("hop_limit"), 1)
        self.assertEqual(self.a.counter("guest_requests"), HOPS_MAX + 1)
        reports = [self.report(name) for name in ("a", "b")]
        self.assertEqual(sum(r["taken"] for r in reports), HOPS_MAX + 1)
        self.assertEqual(sum(r["not_permitted"] for r in reports), 1, "the one that met the limit is told so")
        self.assertEqual(sum(r["declined"] for r in reports), HOPS_MAX, "and the others what the next one said")
        self.assertEqual(sum(r["strange"] + r["too_late"] + r["answers"] for r in reports), 0)

    def test_cycle_under_load(self):
        """many calls in a circle at once: each first sender gets one non-commitment"""
        self.start()
        self.cycle()
        self.uri = self.a.create_right("a", deadline_max_us=LONG_US)["uri"]
        report = self.load(2000).report(60)
        refused = report["non_commitments"]
        self.assertEqual((report["answered"], report["lost"], report["duplicated"], sum(refused.values())), (0, 0, 0, 2000), report)
        self.assertLessEqual(set(refused), {"declined", "busy"})
        self.assertGreater(refused["declined"], 0)
        poll(self.settled, 5, "nothing is in flight")
        reports = [self.report(name) for name in ("a", "b")]
        self.assertEqual(sum(r["strange"] + r["too_late"] for r in reports), 0, reports)
        self.assertEqual(sum(r["taken"] for r in reports), sum(r[reason] for r in reports for reason in REASONS), reports)

    def flood(self, *names):
        """Lets each of them send FLOOD requests as fast as they are taken; gives their last reports."""
        for name in names:
            self.assertEqual(self.call(name, b"g" + struct.pack("<I", FLOOD), MINUTE_US)["kind"], "answer")

        def is_over():
            reports = [self.report(name, FLOOD_REPORT, b"r") for name in names]
            waiting = [r["taken"] - r["answers"] - sum(r[reason] for reason in REASONS) for r in reports]
            return all(r["to_send"] == 0 for r in reports) and not any(waiting) and reports

        reports = poll(is_over, 120, "all is sent, and nothing waits for an answer")
        for name, report in zip(names, reports):
            self.assertEqual((report["taken"], report["failed"], report["strange"], report["too_late"]), (FLOOD, 0, 0, 0), (name, report))
            self.assertEqual(report["answers"] + report["busy"], FLOOD, (name, report))
            self.assertGreater(report["answers"], 0)
            self.assertGreater(report["busy"] + report["send_busy"], 0, "nothing was ever full")
        return reports

    def test_floods(self):
        """A floods B while B floods A: every request that was taken is answered or busy, none is lost, neighbours are served"""
        self.start()
        self.deploy("flooder", "b", 1)
        self.deploy("flooder", "a", 0, "other=b")
        self.grant_later("b", "a")
        self.deploy("echo", "first", 0)
        self.uri = self.a.create_right("first", deadline_max_us=LONG_US)["uri"]
        neighbour = self.load(2000, outstanding=4, verify_echo=True)
        self.flood("a", "b")
        report = neighbour.report(60)
        self.assertEqual((report["lost"], report["duplicated"]), (0, 0), report)
        self.assertLessEqual(set(report["non_commitments"]), {"busy"})
        self.assertGreater(report["answered"], 1000)
        poll(self.settled, 5, "nothing is in flight")

    def test_floods_on_one_worker(self):
        """the same when both are on one worker, and when one floods itself"""
        self.start(workers=1)
        self.deploy("flooder", "b", 0)
        self.deploy("flooder", "a", 0, "other=b")
        self.grant_later("b", "a")
        self.deploy("flooder", "own", 0, "own=own")
        self.flood("a", "b", "own")
        poll(self.settled, 5, "nothing is in flight")

    # What a grant says applies.

    def test_label(self):
        """a grant's label is what the receiver sees, whatever the first sender's right says"""
        self.start()
        self.deploy("witness", "w", 1)
        self.deploy("relay", "a", 0, "w=w,label=77")
        self.deploy("relay", "b", 0, "w=w")
        labels = [struct.unpack("<QI", self.call(name, b"?")["body"])[0] for name in ("a", "b")]
        self.assertEqual(labels, [77, 0])

    def test_deadline(self):
        """the last function has less time than the first sender gave; a grant's own deadline shortens it; silence is no_answer"""
        self.start()
        self.deploy("witness", "w", 1)
        self.deploy("relay", "b", 0, "w=w")
        self.deploy("relay", "a", 1, "b=b")
        self.deploy("relay", "hasty", 0, "w=w,deadline=300ms")

        def left(name, deadline_us):
            answer = self.call(name, b"?", deadline_us)
            return answer["kind"] == "answer" and struct.unpack("<QI", answer["body"])[1]

        for asked in (20_000, 1_000_000):
            seen = poll(lambda: left("a", asked), 20, f"an answer within {asked} us")
            self.assertTrue(0 < seen < asked, seen)
        self.assertTrue(0 < left("hasty", LONG_US) <= 300_000)
        self.assertTrue(300_000 < left("b", LONG_US) < LONG_US)
        before = self.report("b")["no_answer"]
        # The one in the middle hears it first, and says no if it can before the asker's own time is over.
        answer = self.call("a", b"silence", 200_000)
        self.assertEqual(answer["kind"], "non_commitment")
        self.assertIn(answer["reason"], ("no_answer", "declined"))
        poll(self.settled, 5, "nothing is in flight")
        poll(lambda: self.report("b")["no_answer"] == before + 1, 5, "the one that asked last is told")

    def test_rate(self):
        """a grant's rate applies, and the asker is told quota_exceeded"""
        self.start()
        self.deploy("echo", "w", 1)
        self.deploy("relay", "a", 0, "w=w,rate=1,burst=5")
        answers = [self.call("a", b"x") for _ in range(20)]
        kept = sum(a["kind"] == "answer" for a in answers)
        self.assertTrue(5 <= kept < 10, answers)
        self.assertEqual({a["reason"] for a in answers}, {"none", "declined"})
        self.assertReport("a", taken=20, answers=kept, quota_exceeded=20 - kept)

    def test_in_flight(self):
        """no more requests than a grant allows are in flight; the asker is told busy for the others"""
        self.start()
        self.deploy("echo", "w", 1)
        self.deploy("relay", "first", 0, "w=w,in-flight=4")
        self.uri = self.a.create_right("first", deadline_max_us=LONG_US)["uri"]
        os.kill(self.pid(1), signal.SIGSTOP)
        load = self.load(10, outstanding=10)
        poll(lambda: self.report("first")["busy"] == 6, 4, "six are refused")
        os.kill(self.pid(1), signal.SIGCONT)
        report = load.report(20)
        self.assertEqual((report["answered"], report["non_commitments"], report["lost"]), (4, {"busy": 6}, 0))
        self.assertReport("first", taken=10, answers=4, busy=6)

    def test_revoked(self):
        """after a grant is revoked the holder's next send fails; one that is granted later works"""
        self.start()
        self.deploy("echo", "w", 1)
        self.deploy("relay", "a", 0, "w=w")
        self.assertAnswer(self.call("a", b"x"), b"x")
        [right] = self.a.api("GET", "/v1/processes/a")["grants"]
        self.a.api("DELETE", f"/v1/rights/{right['slot']}.{right['generation']}")
        self.assertRefused(self.call("a", b"x"), "declined")
        self.assertReport("a", taken=1, answers=1, no_handle=1)
        self.assertEqual(self.grant_later("a", "w")["handle"], 4)
        self.assertAnswer(self.call("a", b"x"), b"x")

    def test_target_removed(self):
        """when the function at the other end is removed, its askers are told"""
        self.start()
        self.deploy("echo", "w", 1)
        self.deploy("relay", "a", 0, "w=w")
        self.a.api("DELETE", "/v1/processes/w")
        self.assertRefused(self.call("a", b"x"), "declined")
        report = self.report("a")
        self.assertEqual(report["no_handle"] + report["no_such_right"], 1, report)

    # Death.

    def allow_killing(self):
        self.a.allow(r"worker( \d+)? was killed by signal 9; starting it again", r"worker( \d+)? died")

    def test_target_killed(self):
        """the target's worker is killed: askers get process_failed, once each, and are served when it is back"""
        self.start()
        self.allow_killing()
        self.chain(0, 1)
        self.assertAllAnswered(100)
        os.kill(self.pid(1), signal.SIGSTOP)
        load = self.load(20, outstanding=20)
        poll(lambda: self.report("first")["taken"] == 120, 4, "all are passed on")
        os.kill(self.pid(1), signal.SIGKILL)
        report = load.report(20)
        self.assertEqual((report["non_commitments"], report["lost"]), ({"process_failed": 20}, 0))
        self.assertReport("first", taken=120, answers=100, process_failed=20)
        poll(lambda: self.call("first", b"x")["kind"] == "answer", 20, "the target is served again")
        poll(self.settled, 5, "nothing is in flight")

    def test_asker_killed(self):
        """the asker's worker is killed: its senders get process_failed, what its targets say is dropped, nothing leaks"""
        self.start()
        self.allow_killing()
        self.chain(1, 0)
        os.kill(self.pid(0), signal.SIGSTOP)
        load = self.load(20, outstanding=20)
        poll(lambda: self.a.stat()["in_flight"] == 40, 4, "all are passed on, and all wait")
        os.kill(self.pid(1), signal.SIGKILL)
        report = load.report(20)
        self.assertEqual((report["non_commitments"], report["lost"]), ({"process_failed": 20}, 0))
        os.kill(self.pid(0), signal.SIGCONT)
        stat = poll(self.settled, 5, "nothing is in flight")
        self.assertEqual(stat["totals"]["guest_answers_lost"], 20)
        poll(lambda: self.call("first", b"x")["kind"] == "answer", 20, "the asker is served again, and asks")
        self.assertAllAnswered(200)
        report = self.report("first")
        self.assertEqual((report["strange"], report["too_late"]), (0, 0), "the new instance hears nothing of the old one's")

    def test_killed_under_load(self):
        """either worker of a chain is killed under load, again and again: nothing is lost, the books balance"""
        self.start()
        self.allow_killing()
        self.chain(0, 1)
        load = case.Load(self.undo, self.uri, outstanding=OUTSTANDING, duration="60s", deadline="5s", timeout="10s")
        for kill in range(6):
            poll(lambda: self.call("first", b"x")["kind"] == "answer", 20, "both serve")
            os.kill(self.pid(kill % 2), signal.SIGKILL)
            poll(lambda: self.a.counter("worker_deaths") == kill + 1, 5, "its death is counted")
        poll(lambda: self.call("first", b"x")["kind"] == "answer", 20, "both serve")
        load.process.send_signal(signal.SIGINT)
        report = load.report(30)
        self.assertEqual((report["lost"], report["duplicated"]), (0, 0), report)
        self.assertLessEqual(set(report["non_commitments"]), {"process_failed", "busy"})
        poll(self.settled, 5, "nothing is in flight")


class TwoPollCores(Between):
    """The same with two poll cores: the home core of a function's worker need not be the one that a request came in on."""
    poll_cores = 2
    test_million = test_chain_on_one_worker = None  # once is enough

    def test_from_both_cores(self):
        """first calls come in on both poll cores; each is answered once, on its own"""
        self.start(workers=2)
        self.chain(0, 1, 0)
        loads = [self.load(500, outstanding=7, verify_echo=True) for _ in range(12)]  # 12 flows; 89 may wait for a function
        for load in loads:
            report = load.report(60)
            self.assertEqual((report["answered"], report["lost"], report["duplicated"]), (500, 0, 0), report)
        poll(self.settled, 5, "nothing is in flight")
        cores = [core["counters"] for core in self.a.stat()["poll_cores"]]
        for core in cores:
            self.assertGreater(core["rx_packets"], 500)
            self.assertEqual(core["guest_requests"], 6000, "each worker's own, on its home core")


if __name__ == "__main__":
    case.main()
