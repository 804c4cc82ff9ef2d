#!/usr/bin/env python3
"""Shows the example of functions that ask others, as docs/examples/README.md has it: `twice` has word count count each half of
a text, and passes its "no" on; who holds which right is shown and can be changed. And what people see of a function that
is restarted too often."""
import json
import secrets

import case
import message1
from node import EXAMPLES, GUESTS
from sandbox import poll
from test_cores import cpus

AT_ONCE = 12  # each asks two; a quarter of what a worker may have waiting (119, dataplane/limits.hpp) is twice's own: 29
TEXT = "to be or not to be that is the question "


class Twice(case.Case):
    def start(self, workers):
        self.a = self.node(poll_cpus=cpus(1), worker_cpus=cpus(workers))
        self.a.cli("deploy", EXAMPLES / "wordcount.wasm")
        self.a.cli("deploy", EXAMPLES / "twice.wasm", "--grant", "words=wordcount,label=7,deadline=5s", "--worker", workers - 1)
        self.right = self.a.create_right("twice", deadline_max_us=5_000_000)

    def words(self, text):
        answer = self.a.invoke(self.right["uri"], text.encode(), deadline_us=5_000_000)
        self.assertEqual(answer["kind"], "answer", answer)
        return int(answer["body"])

    def check_sums(self):
        for text in ("", " ", "word", "a b", " leading", "trailing ", "to be or not to be", "x" * 1024, "x" * 600 + " y", "x " * 512):
            self.assertEqual(self.words(text), len(text.split()), text)

    def test_twice(self):
        """twice asks word count on another worker about each half, and answers the sum"""
        self.start(workers=2)
        workers = [self.a.api("GET", f"/v1/processes/{name}")["worker"] for name in ("wordcount", "twice")]
        self.assertEqual(workers, [0, 1])
        self.check_sums()
        [grant] = self.a.api("GET", "/v1/processes/twice")["grants"]
        self.assertEqual((grant["holder"], grant["handle"], grant["name"], grant["label"]), ("twice", 4, "words", 7))
        self.assertEqual(grant["counts"]["kept"], 20, "two for each of ten")
        self.assertNotIn("grid://", self.a.cli("cap", "ls", "wordcount", "--show-secret").stdout.replace(
            self.a.api("GET", "/v1/rights?process=wordcount&secrets=1")["rights"][0]["uri"], ""))
        self.assertIn("twice as words, handle 4", self.a.cli("inspect", "twice").stdout)

    def test_one_worker(self):
        """the same when both run on one worker"""
        self.start(workers=1)
        self.check_sums()

    def test_many_at_once(self):
        """requests that come in while others wait are kept apart: each sender gets the number of its own words"""
        self.start(workers=2)
        host, right = message1.parse_uri(self.right["uri"])
        with message1.connect(host) as sender:
            for _ in range(30):
                texts = {secrets.token_bytes(8): (TEXT * 20)[:80 * n] for n in range(1, AT_ONCE + 1)}
                for id, text in texts.items():
                    sender.send(message1.encode_request(right, id, text.encode(), 5_000_000))
                sender.settimeout(10)
                while texts:
                    answer = message1.decode(sender.recv(2048))
                    self.assertEqual(answer.kind, message1.Kind.answer)
                    self.assertEqual(int(answer.body), len(texts.pop(answer.id).split()))

    def test_refusals_are_passed_on(self):
        """what word count declines, twice declines; so it does when it holds the right no more, and serves when it does again"""
        self.start(workers=2)
        for text in ("caf\u00e9 au lait", "au lait caf\u00e9", "caf\u00e9 caf\u00e9"):
            self.assertRefused(self.a.invoke("twice", text.encode()), "declined")
        self.assertEqual(self.words("au lait"), 2)
        [grant] = self.a.api("GET", "/v1/processes/twice")["grants"]
        self.a.cli("cap", "revoke", f"{grant['slot']}.{grant['generation']}")
        poll(lambda: self.a.invoke("twice", b"a b")["reason"] == "declined", 5, "the handle is gone")
        made = json.loads(self.a.cli("cap", "create", "wordcount", "--holder", "twice", "--as", "again", "--json").stdout)
        self.assertEqual((made["handle"], made["name"]), (4, "again"))
        poll(lambda: self.a.invoke("twice", b"a b")["body"] == b"2", 5, "it asks again")
        self.a.cli("rm", "wordcount")
        self.assertEqual(self.a.api("GET", "/v1/processes/twice")["grants"], [])
        self.assertRefused(self.a.invoke("twice", b"a b"), "declined")

    def test_rights_survive(self):
        """what a process holds survives the death of control, of its worker and of the data plane"""
        self.start(workers=1)
        self.a.allow(r"(was killed by signal 9|exited with 0); starting it again", r"worker( \d+)? died", r"data plane lost",
                     r"(data plane|dataplane).*(gone|closed|lost)", r"busy")
        for program in ("pgrid-control", "pgrid-worker", "pgrid-dataplane"):
            self.a.kill(program)
            poll(lambda: self.a.is_serving() and self.a.invoke("twice", b"a b c")["body"] == b"3", 20, f"served again without the {program}")
        self.assertEqual(len(self.a.api("GET", "/v1/processes/twice")["grants"]), 1)

    def test_restarts(self):
        """a function that is restarted more often than it may is left alone for a while; ls and inspect say so"""
        self.a = self.node()
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")
        self.a.cli("deploy", GUESTS / "trap.wasm", "--restarts", "3", "--restart-period", "1m")
        self.assertIn("running", self.a.cli("ls").stdout)
        reasons = []

        def backs_off():
            reasons.append(self.a.invoke("trap", b"x")["reason"])
            return self.a.api("GET", "/v1/processes/trap")["state"] == "backing_off"

        poll(backs_off, 10, "it backs off")
        self.assertEqual(reasons[:3], ["broken"] * 3)
        self.assertLessEqual(set(reasons), {"broken", "busy"})
        # Each back-off is twice as long as the one before: one that lasts long enough to be looked at.
        poll(lambda: backs_off() and "backing off" in self.a.cli("ls").stdout, 20, "ls says so")
        process = self.a.api("GET", "/v1/processes/trap")
        self.assertGreater(process["rebuilds"], 3)
        self.assertTrue(process["last_rebuild_text"])
        self.assertIn("at most 3 in 1m; the last ", self.a.cli("inspect", "trap").stdout)
        self.assertAnswer(self.a.invoke("echo", b"neighbour"), b"neighbour")
        self.a.api("DELETE", "/v1/processes/trap")

    def test_what_things_cost(self):
        """stat says what a right, a process and an instance cost, and what the programs occupy"""
        self.a = self.node()
        for i in range(3):
            self.a.deploy(EXAMPLES / "echo.wasm", f"echo-{i}")
        memory = poll(lambda: (m := self.a.stat()["memory"])["instances"] == 3 and m, 5, "three instances are counted")
        self.assertEqual((memory["rights"], memory["processes"], memory["right_bytes"], memory["process_bytes"]), (3, 3, 64 + 64, 128))
        for program in ("dataplane", "workers", "control"):
            self.assertGreater(memory[f"{program}_resident_bytes"], 1 << 20, program)
        self.assertIn("a right takes 128 bytes of tables (3 of ", self.a.cli("stat").stdout)


if __name__ == "__main__":
    case.main()
