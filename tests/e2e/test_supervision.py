#!/usr/bin/env python3
"""Shows supervision (issue 5, show 6): a function that traps at every message backs off as it was told to, then gives up, and says
so; its neighbour is answered all the time; a person brings it back; the rest of its group begins anew; and what gave up stays so
when its worker, control or the data plane are killed."""
import json

import case
from node import EXAMPLES, GUESTS
from sandbox import poll

PATIENT = {"deadline": "4s", "timeout": "5s"}
DEADLINE_US = 4_000_000
GAVE_UP = r"moody gave up: "


class Supervision(case.Case):
    def setUp(self):
        super().setUp()
        self.a = self.node()
        self.a.allow(GAVE_UP)

    def process(self, name="moody"):
        return self.a.api("GET", f"/v1/processes/{name}")

    def state(self, name="moody"):
        return self.process(name)["state"]

    def deploy(self, name="moody", **options):
        self.a.deploy(GUESTS / "moody.wasm", name, **options)
        self.rights = getattr(self, "rights", {}) | {name: self.a.create_right(name, deadline_max_us=DEADLINE_US)["uri"]}

    def ask(self, body, name="moody"):
        answer = self.a.invoke(self.rights[name], body, deadline_us=DEADLINE_US)
        return answer["body"].decode() if answer["kind"] == "answer" else answer["reason"]

    def give_up(self):
        """A function that is never restarted, and what it is told afterwards."""
        self.deploy(strategy="never")
        self.assertEqual(self.ask(b"hello"), "hello")
        self.assertEqual(self.ask(b"t"), "broken")
        self.assertEqual(self.ask(b"hello"), "process_failed")
        poll(lambda: self.state() == "gave_up", 5, "control hears that it gave up")

    def neighbour(self):
        """Load on another function of the same worker, to be checked at the end."""
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")
        echo = self.a.create_right("echo", deadline_max_us=DEADLINE_US)["uri"]
        return case.Load(self.undo, echo, outstanding=4, duration="100s", verify_echo=True, **PATIENT)

    def assertAllAnswered(self, load):
        load.process.terminate()
        said = load.report(30)
        self.assertGreater(said["answered"], 0)
        self.assertEqual((said["lost"], said["answered"], said["wrong_body"]), (0, said["sent"], 0))

    def test_backs_off_then_gives_up(self):
        """a trap at every message: the back-off that was asked for, then giving up, said everywhere; the neighbour is served"""
        neighbour = self.neighbour()
        self.deploy(strategy="on-failure", restarts_max=1, restart_period_ms=60_000, backoff_min_ms=20, backoff_max_ms=80, give_up_after=4)
        seen, pauses, reasons = set(), set(), set()

        def gave_up():
            reasons.add(self.ask(b"t"))
            shown = self.process()
            seen.add(shown["state"])
            if "not served for" in shown["last_rebuild_text"] or shown["backoff_ms"]:
                pauses.add(shown["backoff_ms"])
            return shown["state"] == "gave_up"

        poll(gave_up, 20, "it gives up")
        self.assertEqual(reasons - {"process_failed"}, {"broken", "busy"})
        self.assertIn("backing_off", seen)
        self.assertLessEqual(max(pauses), 80)
        lines = [line["text"] for line in self.a.api("GET", "/v1/processes/moody/logs")["lines"] if line["kind"] == "event"]
        told = [line.rsplit("not served for ")[1] for line in lines if "not served for" in line]
        self.assertEqual(told, ["20 ms", "40 ms", "80 ms", "80 ms"], lines)
        self.assertTrue(lines[-1].startswith("gave up: ") or lines[-2].startswith("gave up: "), lines)
        shown = self.process()
        self.assertRegex(shown["state_text"], r"^it stopped 6 times and was paused 4 times without handling a message in between: .*unreachable")
        self.assertEqual(shown["violations"]["counts"]["trap"], 6)
        self.assertIn("trap: unreachable", shown["violations"]["last_text"])
        for _ in range(3):
            self.assertEqual(self.ask(b"hello"), "process_failed", "never silence")
        self.assertRegex(self.a.cli("ls").stdout, r"moody +gave up: it stopped 6 times")
        text = self.a.cli("inspect", "moody").stdout
        self.assertIn("restart on-failure, back-off 20ms to 80ms, gives up after 4 pauses", text)
        self.assertRegex(text, r"violations +trap 6; the last .*: trap: unreachable")
        self.assertIn("gave up: it stopped 6 times", self.a.cli("logs", "moody").stdout)
        self.assertAllAnswered(neighbour)

    def test_never_and_restart(self):
        """--restart never: given up at the first trap; pgrid restart brings it back, and one that serves gets a new instance"""
        neighbour = self.neighbour()
        self.give_up()
        self.assertEqual(self.a.cli("restart", "moody").stdout.strip(), "moody is restarted")
        self.assertEqual((self.state(), self.ask(b"hello")), ("loaded", "hello"))
        self.assertEqual(self.ask(b"w"), "w")
        self.assertNotEqual(self.ask(b"p"), "\0" * 4)
        self.a.cli("restart", "moody")
        self.assertEqual(self.ask(b"p"), "\0" * 4, "it remembers nothing")
        self.assertIn("serves again", self.a.cli("logs", "moody").stdout)
        self.assertEqual(self.ask(b"t"), "broken")
        poll(lambda: self.state() == "gave_up", 5, "it gives up again")
        self.assertAllAnswered(neighbour)

        def words():
            events = [json.loads(line) for line in self.a.cli("log", "--process", "moody", "-n", "50", "--json").stdout.splitlines()]
            return [event["what"] for event in events if not event["what"].startswith("right_")]
        poll(lambda: words().count("gave_up") == 2, 5, "the log tells it all")
        # What comes in quick succession is told once and counted.
        self.assertEqual(words()[:3], ["deployed", "violation", "gave_up"])
        self.assertEqual([word for word in words() if word in ("gave_up", "came_back")], ["gave_up", "came_back", "gave_up"])
        self.assertIn("restart", words())

    def test_rest_for_one(self):
        """a trap takes those of its group with it that were deployed later, and nobody else"""
        self.deploy("outside")
        self.deploy("first", group="web", rest_for_one=1)
        self.deploy("second", group="web")
        self.deploy("third", group="web")

        def remembers(name):
            return self.ask(b"p", name) != "\0" * 4

        def all_write():
            for name in self.rights:
                self.assertEqual(self.ask(b"w", name), "w")

        all_write()
        self.assertEqual(self.ask(b"t", "second"), "broken")
        self.assertEqual({name: remembers(name) for name in self.rights}, {"outside": True, "first": True, "second": False, "third": True})
        all_write()
        self.assertEqual(self.ask(b"t", "first"), "broken")
        poll(lambda: not remembers("second") and not remembers("third"), 5, "the rest begins anew")
        self.assertTrue(remembers("outside"))
        rebuilds = {"outside": 0, "first": 1, "second": 2, "third": 1}
        poll(lambda: {name: self.process(name)["rebuilds"] for name in self.rights} == rebuilds, 5, f"restarts are {rebuilds}")

    def test_worker_killed(self):
        """the worker is killed: what gave up stays so on the next one, the others serve; a restart brings it back"""
        self.a.allow(r"(pgrid-)?worker( \d+)? was killed by signal 9; starting it again", r"worker \d+ died")
        self.give_up()
        self.deploy("other")
        worker = self.a.kill("pgrid-worker")
        poll(lambda: self.a.is_serving() and self.a.pid("pgrid-worker") != worker, 10, "the worker is back")
        self.assertEqual(self.ask(b"hello", "other"), "hello")
        self.assertEqual(self.ask(b"hello"), "process_failed")
        self.assertEqual(self.state(), "gave_up")
        self.a.cli("restart", "moody")
        self.assertEqual(self.ask(b"hello"), "hello")

    def test_control_killed(self):
        """a process gives up while control is away: control knows when it is back; so it does of what gave up before"""
        self.a.allow(r"(pgrid-)?control was killed by signal 9; starting it again")
        self.give_up()
        why = self.process()["state_text"]
        self.a.kill("pgrid-control")
        poll(self.a.is_serving, 10, "control is back and attached")
        poll(lambda: self.state() == "gave_up", 5, "it knows")
        self.assertEqual(self.process()["state_text"], why)
        self.assertEqual(self.ask(b"hello"), "process_failed")
        self.assertEqual(json.loads(self.a.cli("restart", "moody", "--json").stdout)["state"], "loaded")
        self.assertEqual(self.ask(b"hello"), "hello")

    def test_data_plane_killed(self):
        """the data plane is killed: what gave up is loaded as such, and a restart brings it back"""
        self.a.allow(r"(pgrid-)?data ?plane was killed by signal 9; starting it again", r"worker 0 (stopped|exited with 0)", r"data plane lost")
        self.give_up()
        boot = self.a.api("GET", "/v1/node")["boot_id"]
        self.a.kill("pgrid-dataplane")

        def serves_anew():
            node = self.a.api("GET", "/v1/node")
            return (node["dataplane"] == "attached" and node["boot_id"] != boot
                    and all(worker["state"] == "serving" for worker in node["workers"]))

        poll(serves_anew, 15, "the node serves again")
        poll(lambda: self.ask(b"hello") == "process_failed", 5, "it is loaded, as one that gave up")
        self.assertEqual(self.state(), "gave_up")
        self.a.cli("restart", "moody")
        self.assertEqual(self.ask(b"hello"), "hello")

    def test_violations(self):
        """each limit that a function passes is told with what was measured: time, memory, handles, rate"""
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")
        self.deploy(time_limit_us=2_000)
        self.a.deploy(GUESTS / "greedy.wasm", "greedy", time_limit_us=100_000)
        self.assertEqual(self.ask(b"l"), "broken")
        poll(lambda: self.process()["violations"]["counts"]["time"] == 1, 5, "time")
        self.assertRegex(self.process()["violations"]["last_text"],
                         r"^time: the time limit passed.*; [0-9.]+ ms of CPU time for one message, it may use 2.0 ms$")
        self.a.invoke("greedy", b"G")
        poll(lambda: self.process("greedy")["violations"]["counts"]["memory"] == 1, 5, "memory")
        self.assertRegex(self.process("greedy")["violations"]["last_text"], r"it has \d+ KiB of memory, it may have \d+ KiB$")
        right = self.a.create_right("echo", rate=1, burst=1)["uri"]
        report = case.Load(self.undo, right, count=50, outstanding=1, **PATIENT).report(30)
        refused = report["non_commitments"]["quota_exceeded"]
        self.assertGreater(refused, 0)
        poll(lambda: self.process("echo")["violations"]["counts"]["over_limit"] == refused, 5, "messages beyond the rate")
        self.assertIn("1 a second", self.process("echo")["violations"]["last_text"])


if __name__ == "__main__":
    case.main()
