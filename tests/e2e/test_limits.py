#!/usr/bin/env python3
"""Shows what a sender gets beyond each limit of a right and of the node, the counter that says so, and what a node with few
means tells about itself: no huge pages, every way of being idle, and what `pgrid logs -f`, `stat --watch` and `doctor` print."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess

import case
import sandbox
from node import EXAMPLES, GUESTS, PGRID
from sandbox import poll
from sender import Sender

BUSY = 10  # messages that keep a function busy: 20 ms of work each, at least


class Limits(case.Case):
    def assertCounts(self, node, **counters):
        totals = node.stat()["totals"]
        self.assertEqual({name: totals[name] for name in counters}, counters)

    def test_expiry(self):
        """a right that expires: no_such_right from then on, and it is listed as expired"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        right = node.create_right("echo", expires_in_s=1)
        sender = Sender(right["uri"])
        sender.send(b"early")
        self.assertEqual(sender.outcomes(1), {"answer": 1})
        self.assertCounts(node, right_expired=0)

        def expired():
            sender.send(b"late?")
            return sender.outcomes(1) == {"no_such_right": 1}

        poll(expired, 5, "the right expires")
        self.assertCounts(node, right_expired=1)
        listed = {r["slot"]: r["state"] for r in node.api("GET", "/v1/rights?process=echo")["rights"]}
        self.assertEqual(listed[right["slot"]], "expired")

    def test_in_flight_of_right(self):
        """more requests in flight than a right allows: busy, and free again when they have ended"""
        node = self.node()
        node.deploy(GUESTS / "moody.wasm", "moody")
        sender = Sender(node.create_right("moody", in_flight_max=4, deadline_max_us=2_000_000)["uri"])
        for n in (1, 2):
            sender.send(b"s", 10)
            self.assertEqual(sender.outcomes(6, 1.9), {"busy": 6})
            self.assertEqual(sender.outcomes(4), {"no_answer": 4})
            self.assertCounts(node, busy_right=6 * n, no_answer=4 * n, busy_in_flight=0)

    def test_rate_and_body(self):
        """beyond rate and burst quota_exceeded, beyond body_max too_large; a process's own rate counts for its name, too"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo", rate=1)
        sender = Sender(node.create_right("echo", rate=1, burst=3, body_max=16)["uri"])
        sender.send(bytes(17), 2)
        self.assertEqual(sender.outcomes(2), {"too_large": 2})
        sender.send(bytes(16), 20)
        found = sender.outcomes(20)
        self.assertEqual(found.keys(), {"answer", "quota_exceeded"})
        self.assertIn(found["answer"], range(3, 6))  # the burst, and one for each second that this took
        self.assertCounts(node, too_large=2, quota_exceeded=found["quota_exceeded"])
        reasons = {node.invoke("echo", b"x")["reason"] for _ in range(50)}  # the default burst is 32
        self.assertEqual(reasons, {"none", "quota_exceeded"})

    def flood_busy_function(self, count, body):
        """What became of `count` messages for a function that is busy when they come, and the node."""
        node = self.node()
        node.deploy(GUESTS / "liar.wasm", "liar", time_limit_us=1_000_000)
        uri = node.create_right("liar", in_flight_max=4096, deadline_max_us=10_000_000)["uri"]
        sender = Sender(uri)
        sender.send(b"z", BUSY, 9_000_000)  # one by one they keep it busy until the others are there
        report = case.Load(self.undo, uri, outstanding=count, count=count, deadline="9s", timeout="9500ms", body=body).report(60)
        self.assertEqual(sender.outcomes(BUSY), {"answer": BUSY})
        self.assertEqual(report["non_commitments"].keys(), {"busy"})
        self.assertGreater(report["answered"], 0)
        # A kernel whose queue to the port is full drops: such a message never came.
        self.assertEqual(report["sent"], report["answered"] + report["non_commitments"]["busy"] + report["lost"])
        return report["non_commitments"]["busy"], node

    def test_mailbox(self):
        """more messages than a mailbox holds: busy, the others are answered"""
        busy, node = self.flood_busy_function(2500, 16)
        self.assertCounts(node, busy_mailbox=busy, busy_ring=0, busy_in_flight=0, busy_right=0)

    def test_ring(self):
        """more bytes than the ring to a worker holds: busy, the others are answered"""
        busy, node = self.flood_busy_function(2500, 1024)
        totals = node.stat()["totals"]
        self.assertGreater(totals["busy_ring"], 0)
        self.assertEqual(totals["busy_ring"] + totals["busy_mailbox"], busy)

    def test_in_flight_of_node(self):
        """more requests in flight than limits.in_flight: busy for every right, and free again when they have ended"""
        node = self.node(limits="in_flight = 64")
        node.deploy(GUESTS / "moody.wasm", "moody")
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        silent = Sender(node.create_right("moody", deadline_max_us=2_000_000)["uri"])
        other = Sender(node.create_right("echo", deadline_max_us=2_000_000)["uri"])
        silent.send(b"s", 100)
        other.send(b"x", 5)
        self.assertEqual(silent.outcomes(36, 1.9), {"busy": 36})
        self.assertEqual(other.outcomes(5), {"busy": 5})
        self.assertEqual(silent.outcomes(64), {"no_answer": 64})
        other.send(b"x", 5)
        self.assertEqual(other.outcomes(5), {"answer": 5})
        self.assertCounts(node, busy_in_flight=41, busy_right=0, no_answer=64)

    def test_deadline(self):
        """an answer that comes after the deadline: no_answer, and the answer itself is counted late_reply"""
        node = self.node()
        node.deploy(GUESTS / "liar.wasm", "liar", time_limit_us=1_000_000)
        sender = Sender(node.create_right("liar", deadline_max_us=10_000_000)["uri"])
        sender.send(b"z", 1, deadline_us=2000)
        self.assertEqual(sender.outcomes(1), {"no_answer": 1})
        poll(lambda: node.counter("late_reply") == 1, 5, "the late answer is counted")
        self.assertCounts(node, no_answer=1, answered=0)
        with self.assertRaises(TimeoutError):
            sender.outcomes(1, 0.2)
        sender.send(b"z", 1, deadline_us=9_000_000)
        self.assertEqual(sender.outcomes(1), {"answer": 1})

    def test_deadline_of_right(self):
        """whoever asks for more time than the right has gets what the right has"""
        node = self.node()
        node.deploy(GUESTS / "moody.wasm", "moody")
        sender = Sender(node.create_right("moody", deadline_max_us=20_000)["uri"])
        sender.send(b"s", 1, deadline_us=60_000_000)
        self.assertEqual(sender.outcomes(1), {"no_answer": 1})


class Means(case.Case):
    def test_no_huge_pages(self):
        """a node without huge pages serves, and says that it has none"""
        node = self.node(huge_pages=False)
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        uri = node.create_right("echo", deadline_max_us=5_000_000)["uri"]
        report = case.Load(self.undo, uri, count=500, outstanding=4, verify_echo=True, deadline="4s", timeout="5s").report(30)
        self.assertEqual((report["answered"], report["lost"]), (500, 0))
        self.assertFalse(node.api("GET", "/v1/node")["huge_pages"])
        self.assertEqual(node.stat()["gauges"]["huge_pages"], 0)
        self.assertRegex(node.cli("stat").stdout, r"(?i)huge.?pages")
        worst = [int(line.split()[1]) for line in pathlib.Path(f"/proc/{node.pid('pgrid-dataplane')}/status").read_text().splitlines()
                 if line.startswith("HugetlbPages:")]
        self.assertEqual(worst, [0])

    def test_idle(self):
        """idle spin and yield serve; an idle poll core and worker never sleep then, and do in idle sleep"""
        for idle in ("spin", "yield", "sleep"):
            with self.subTest(idle):
                node = self.node(idle=idle)
                node.deploy(EXAMPLES / "echo.wasm", "echo")
                uri = node.create_right("echo", deadline_max_us=5_000_000)["uri"]
                report = case.Load(self.undo, uri, count=300, outstanding=2, deadline="4s", timeout="5s").report(60)
                self.assertEqual((report["answered"], report["lost"]), (300, 0))
                poll(lambda: node.stat()["in_flight"] == 0, 5, "nothing is left to do")
                before = self.turns(node), self.sleeps(node)
                poll(lambda: self.turns(node) > before[0] + 1000, 10, "the poll core turns")
                slept = [after - was for after, was in zip(self.sleeps(node), before[1], strict=True)]
                if idle == "sleep":
                    self.assertGreater(min(slept), 10)
                else:
                    self.assertLess(max(slept), 5, "times that poll core and worker slept")
                node.stop()
                node.process = None

    @staticmethod
    def turns(node):
        return node.stat()["poll_cores"][0]["idle_turns"]

    def sleeps(self, node):
        """Times that the poll core's thread and the worker's gave their CPU back because they wanted to wait."""
        found = []
        cpus = {"pgrid-dataplane": node.api("GET", "/v1/node")["poll_cores"][0]["cpu"],
                "pgrid-worker": node.api("GET", "/v1/node")["workers"][0]["cpu"]}
        for program, cpu in cpus.items():
            for task in pathlib.Path(f"/proc/{node.pid(program)}/task").iterdir():
                status = dict(line.split(":", 1) for line in (task / "status").read_text().splitlines())
                if status["Cpus_allowed_list"].strip() == str(cpu):
                    found.append(int(status["voluntary_ctxt_switches"]))
        self.assertEqual(len(found), 2, "one pinned thread of each")
        return found


class Tools(case.Case):
    @contextlib.contextmanager
    def following(self, node, *words):
        """A command that goes on until Ctrl-C."""
        process = subprocess.Popen([PGRID, "--node", node.run, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   stdin=subprocess.DEVNULL, preexec_fn=sandbox.die_with_parent)
        self.undo.later(process.kill)
        os.set_blocking(process.stdout.fileno(), False)
        text = ""

        def saw(word, times=1):
            nonlocal text
            text += (process.stdout.read() or b"").decode()
            return text.count(word) >= times and text

        yield saw
        self.assertIsNone(process.poll(), "it ended by itself")
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(10), -signal.SIGINT)
        self.assertEqual(process.stderr.read(), b"")
        process.stdout.close(), process.stderr.close()

    def test_logs_follow(self):
        """logs -f prints what was there, then each line as it comes"""
        node = self.node()
        node.deploy(GUESTS / "greedy.wasm", "greedy", time_limit_us=100_000)
        node.invoke("greedy", b"n" + (1).to_bytes(4, "little"))
        with self.following(node, "logs", "-f", "greedy") as saw:
            poll(lambda: saw("one of many lines"), 10, "the line that was there")
            node.invoke("greedy", b"n" + (2).to_bytes(4, "little"))
            poll(lambda: saw("one of many lines", 3), 5, "two more lines")
            node.invoke("greedy", b"G")
            text = poll(lambda: saw("out of bounds"), 5, "the trap")
        self.assertEqual(text.count("one of many lines"), 3)

    def test_stat_watch(self):
        """stat --watch tells again and again, with what changed in between; --json a document each time"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        uri = node.create_right("echo", deadline_max_us=5_000_000)["uri"]
        with self.following(node, "stat", "--watch") as saw, self.following(node, "stat", "--watch", "--json") as saw_json:
            poll(lambda: saw("POLL CORE") and saw_json('"totals"'), 10, "the first look")
            case.Load(self.undo, uri, count=777, outstanding=4, deadline="4s", timeout="5s").report(30)
            text = poll(lambda: saw("777") and saw("POLL CORE", 3), 10, "the next ones")
            documents = poll(lambda: saw_json('"totals"', 3), 10, "three documents")
        self.assertRegex(text, r"answered +777")
        decoder, told = json.JSONDecoder(), []
        while documents.strip():
            try:
                stat, end = decoder.raw_decode(documents.lstrip())
            except ValueError:  # the last one, cut off
                break
            told.append(stat["totals"]["answered"])
            documents = documents.lstrip()[end:]
        self.assertGreaterEqual(len(told), 2)
        self.assertEqual(told, sorted(told))

    def test_doctor(self):
        """doctor, where a node runs: it can, and text and JSON tell the same"""
        node = self.node()
        told = json.loads(node.cli("doctor", "--json").stdout)
        self.assertTrue(told["can_run"])
        self.assertTrue(told["findings"])
        self.assertNotIn("missing", {f["level"] for f in told["findings"]})
        text = node.cli("doctor").stdout
        for finding in told["findings"]:
            self.assertTrue(any(line.startswith(finding["level"]) and finding["subject"] in line for line in text.splitlines()), finding)
            self.assertTrue(finding["level"] == "ok" or finding["mend"], finding)
        self.assertIn("a node on a tap: port can run here", text)


if __name__ == "__main__":
    case.main()
