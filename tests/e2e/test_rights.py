#!/usr/bin/env python3
"""Shows rights that functions make, give on and revoke: a C function mints a right to itself with a label, sends it to a
second one, which passes a derived one to a third; all use theirs; revoking the first stops all, and each that asked is told.
Functions are steered.c, which do what they are told through pg_control.h."""
import base64
import hashlib
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import case
import message1
from node import GUESTS, ApiError
from sandbox import poll
from steered import CARRY, COPY, MOVE, SEND, Steered, asking_for, read_cbor, read_report
from test_cores import cpus

MINUTE_US = 60_000_000
REVOKED, EXPIRED, ENDED = 1, 2, 5
SINCE, BYTES, LIST = 19, 20, 23  # keys of promise-1


def died(number, why):
    """The body of the notice right_died, for a number below 24."""
    return bytes([0xa3, 0x00, 0x18, 0x20, 0x09, number, 0x11, why])


class Rights(case.Case):
    workers = 2

    def start(self, *names, workers=None):
        """One steered function for each name, on the workers in turn; each has a right to the next one (handle 4)."""
        workers = workers or self.workers
        self.a = self.node(poll_cpus=cpus(1), worker_cpus=cpus(workers))
        functions = []
        for i, name in reversed(list(enumerate(names))):
            grant = f"&grant=next%3D{names[i + 1]}%2Cdeadline%3D1m" if i + 1 < len(names) else ""
            self.a.api("POST", f"/v1/processes?name={name}&worker={i % workers}{grant}",
                       (GUESTS / "steered.wasm").read_bytes(), timeout=60, content_type="application/wasm")
            uri = self.a.create_right(name, deadline_max_us=MINUTE_US)["uri"]
            functions.insert(0, Steered(self.a, name, uri))
        return functions

    def given(self, report):
        self.assertEqual((report.sent, report.kind), (None, "answer"), report)
        self.assertEqual(len(report.rights), 1, report)
        return report.rights[0]

    def done(self, report):
        self.assertEqual((report.sent, report.kind, report.body), (None, "answer", b"\xa0"), report)

    def refused(self, report, reason):
        self.assertEqual((report.sent, report.kind, report.reason), (None, "non_commitment", reason), report)

    def give(self, sender, receiver_handle, handle, mode=COPY):
        """Sends a right; gives the handle under which the receiver has it."""
        report = sender.send(receiver_handle, b"take", [handle], [mode])
        self.assertEqual((report.sent, report.kind), (None, "answer"), report)
        return read_report(report.body).rights[0]

    def label_seen(self, sender, handle):
        """Sends through a right; gives the label that the receiver saw."""
        report = sender.send(handle, b"hello")
        self.assertEqual((report.sent, report.kind), (None, "answer"), report)
        return read_report(report.body).label

    def told(self, function, *bodies):
        """Waits for these notices, in any order."""
        found = []

        def all_came():
            found.extend(body for _, body in function.notices())
            return len(found) >= len(bodies)
        poll(all_came, 10, f"{function.name} is told")
        self.assertEqual(sorted(found), sorted(bodies), function.name)

    def notice(self, function):
        """Waits for one: its rights and its body."""
        found = []

        def came():
            found.extend(function.notices())
            return found
        poll(came, 10, f"{function.name} is told")
        one, = found
        return one

    def three(self):
        """alice mints with label 77 and gives bob the right; bob derives from it and gives that to carol."""
        alice, bob, carol = functions = self.start("alice", "bob", "carol")
        minted = self.given(alice.do("m", label=77))
        bobs = self.give(alice, 4, minted)
        derived = self.given(bob.do("d", handle=bobs, can=SEND | CARRY, rate=1000))
        carols = self.give(bob, 4, derived)
        return functions, (minted, bobs, derived, carols)

    def test_show(self):
        """minted, sent, derived, passed on; all three use theirs; revoking the first stops all, and each that asked is told"""
        (alice, bob, carol), (minted, bobs, derived, carols) = self.three()
        self.assertEqual(self.label_seen(alice, minted), 77)
        self.assertEqual(self.label_seen(bob, bobs), 77)
        self.assertEqual(self.label_seen(bob, derived), 77)
        self.assertEqual(self.label_seen(carol, carols), 77)
        self.done(alice.do("n", handle=minted, label=1))
        self.done(bob.do("n", handle=bobs, label=2))
        self.done(bob.do("n", handle=derived, label=3))
        self.done(carol.do("n", handle=carols, label=4))
        listed = self.a.api("GET", "/v1/rights?process=alice")["rights"]
        made = [right for right in listed if "maker" in right]
        self.assertEqual([(right["maker"], right["can"]) for right in made],
                         [("alice", "send,derive,carry"), ("bob", "send,carry")])
        self.assertEqual(made[1]["parent"], f'{made[0]["slot"]}.{made[0]["generation"]}')

        self.done(alice.do("r", handle=minted))
        # The revoke is answered: nothing passes any more.
        for function, handle in ((alice, minted), (bob, bobs), (bob, derived), (carol, carols)):
            self.refused(function.send(handle, b"hello"), "no_such_right")
        self.told(alice, died(1, REVOKED))
        self.told(bob, died(2, REVOKED), died(3, REVOKED))
        self.told(carol, died(4, REVOKED))
        self.assertEqual([r for r in self.a.api("GET", "/v1/rights?process=alice")["rights"] if "maker" in r], [])

    def test_narrower(self):
        """what was narrowed stays narrow: no deriving, no carrying, no more than its rate, whoever holds it"""
        alice, bob = self.start("alice", "bob")
        sends_only = self.given(alice.do("m", label=5, can=SEND))
        self.refused(alice.do("d", handle=sends_only), "not_permitted")
        self.refused(alice.send(4, b"take", [sends_only], [COPY]), "not_permitted")
        wide = self.given(alice.do("m", label=6))
        bobs = self.give(alice, 4, wide)
        self.refused(bob.do("D", handle=bobs, label=9), "not_permitted")
        self.refused(bob.do("t", handle=bobs, can=SEND), "not_permitted")
        self.refused(bob.do("r", handle=bobs), "not_permitted")
        self.done(alice.do("t", handle=wide, can=SEND))
        self.refused(bob.do("d", handle=bobs), "not_permitted")
        self.assertEqual(self.label_seen(bob, bobs), 6)
        brief = self.given(alice.do("m", label=7, expires_ms=400))
        self.done(alice.do("n", handle=brief, label=8))
        self.told(alice, died(8, EXPIRED))
        self.refused(alice.send(brief, b"late"), "no_such_right")

    def test_drop_and_move(self):
        """a moved right is gone from its sender; a dropped one too; others keep theirs"""
        alice, bob, carol = self.start("alice", "bob", "carol")
        minted = self.given(alice.do("m", label=1))
        bobs = self.give(alice, 4, minted, MOVE)
        self.assertEqual(alice.send(minted, b"gone").sent, "handle")
        carols = self.give(bob, 4, bobs)
        self.done(bob.do("x", handle=bobs))
        self.assertEqual(bob.send(bobs, b"gone").sent, "handle")
        self.assertEqual(self.label_seen(carol, carols), 1)

    def test_grant(self):
        """a right granted by name arrives with a notice"""
        alice, bob = self.start("alice", "bob")
        minted = self.given(alice.do("m", label=3))
        self.done(alice.do("g", handle=minted, can=SEND, text="bob"))
        rights, body = self.notice(bob)
        self.assertEqual(body, b"\xa3\x00\x18\x21\x02\x01\x0a\x65alice")
        self.assertEqual(self.label_seen(bob, rights[0]), 3)

    def test_an_instance_that_ends(self):
        """rights that an instance had made end with it, and so does what was derived from them"""
        (alice, bob, carol), (minted, bobs, derived, carols) = self.three()
        self.done(carol.do("n", handle=carols, label=4))
        own = self.given(carol.do("m", label=9))
        with self.assertRaises(AssertionError):
            alice.tell(b"!t")  # it traps
        self.told(carol, died(4, ENDED))
        self.refused(carol.send(carols, b"hello"), "no_such_right")
        self.assertEqual(self.label_seen(carol, own), 9)

    def test_control_that_was_away(self):
        """what a function asked to be told is told after control was killed"""
        (alice, bob, carol), (minted, bobs, derived, carols) = self.three()
        self.done(carol.do("n", handle=carols, label=4))
        self.a.allow(r"(pgrid-)?control( \d+)? was killed by signal 9; starting it again", r"(pgrid-)?control( \d+)? died")
        self.a.kill("pgrid-control")
        poll(self.a.is_serving, 10, "control is back and attached")
        self.assertEqual(self.label_seen(carol, carols), 77)
        self.done(alice.do("r", handle=minted))
        self.refused(carol.send(carols, b"hello"), "no_such_right")
        self.told(carol, died(4, REVOKED))

    def test_found(self):
        """an open function is found by its tag, and whoever wants a right to it gets one"""
        alice, bob = self.start("alice", "bob")
        self.given(bob.do("A", text="does what it is told", label=12, can=SEND))
        found = alice.do("f", text="b")
        self.assertEqual(found.kind, "answer", found)
        self.assertIn(b"does what it is told", found.body)
        wanted = self.given(alice.do("F", text="bob"))
        self.assertEqual(self.label_seen(alice, wanted), 12)
        self.refused(alice.do("F", text="carol"), "declined")

    def answered(self, report):
        self.assertEqual((report.sent, report.kind), (None, "answer"), report)
        return read_cbor(report.body)

    def test_everyday(self):
        """a timer that goes off, random bytes that differ, the process's own events; what is out of bounds is refused"""
        alice, = self.start("alice")
        self.done(alice.do("w", label=30_000))
        self.refused(alice.do("w", label=MINUTE_US + 1), "declined")
        first, second = (self.answered(alice.do("q", label=32))[BYTES] for _ in range(2))
        self.assertEqual((len(first), len(second)), (32, 32))
        self.assertNotEqual(first, second)
        self.refused(alice.do("q", label=257), "declined")

        self.given(alice.do("m", label=1))
        whole = self.answered(alice.do("h", label=0, handle=64))
        words = [word for _, _, word, _ in whole[LIST]]
        self.assertEqual(words[0], "deployed", whole)
        self.assertIn("right_created", words)
        numbers = [number for number, *_ in whole[LIST]]
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual(whole[SINCE], numbers[-1])
        one = self.answered(alice.do("h", label=numbers[0], handle=1))
        self.assertEqual(one[LIST], whole[LIST][1:2])
        self.refused(alice.do("h", label=0, handle=65), "declined")

    def test_six_calls(self):
        """pg_six.h: sent and received, granted and revoked, memory allocated and freed; what was freed already is a trap"""
        bob, = self.start("bob")
        self.a.deploy(GUESTS / "six.wasm", "six", grant="bob=bob", worker=1)
        uri = self.a.create_right("six", deadline_max_us=MINUTE_US)["uri"]

        def ask(body):
            return message1.call(uri, body, 10_000_000, timeout_s=15)

        came = ask(b"shello").body
        self.assertEqual(came[0], message1.Kind.answer)
        report = read_report(came[2:])
        self.assertEqual((report.kind, report.label), ("request", 0))
        self.assertEqual(ask(b"v").reason_name(), "declined", "nothing was minted: there is no such handle")
        answer = bytes([message1.Kind.answer, 0, 0xa0])
        self.assertEqual(ask(b"m").body, answer)
        self.assertEqual(ask(b"gbob").body, answer)
        (granted,), _ = self.notice(bob)
        self.refused(bob.send(granted, b"hello"), "declined")  # six has seen it
        self.assertEqual(ask(b"v").body, answer)
        self.refused(bob.send(granted, b"hello"), "no_such_right")

        fitted, wrong, again, refused = struct.unpack("<4I", ask(b"a").body)
        self.assertGreater(fitted, 20)
        self.assertEqual((wrong, again, refused), (0, fitted, 1))
        for misuse in (b"f", b"o"):
            self.assertEqual(ask(misuse).reason_name(), "broken", misuse)

    def test_tokens(self):
        """a function issues a token, somebody passes it to another function, which redeems it in parts and uses the right; the
        issuer revokes the token, and the right is gone"""
        alice, bob, mallory = self.start("alice", "bob", "mallory")
        key = self.a.directory / "dana.key"
        dana = self.a.cli("id", "--new", key).stdout.strip()
        minted = self.given(alice.do("m", label=41))
        self.refused(alice.do("i", handle=minted, text=dana), "declined")  # without an end
        token = self.answered(alice.do("i", handle=minted, text=dana, can=SEND, expires_ms=60_000))[BYTES]
        (self.a.directory / "token").write_text("u" + base64.urlsafe_b64encode(token).decode().rstrip("="))
        self.a.cli("cap", "redeem", self.a.directory / "token", "--key", key, "-o", self.a.directory / "invocation")
        text = (self.a.directory / "invocation").read_text().strip()[1:]
        parts = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

        half = len(parts) // 2
        self.done(bob.do("e", handle=1, text=parts[:half]))  # more follows
        bobs = self.given(bob.do("e", text=parts[half:]))
        self.assertEqual(self.label_seen(bob, bobs), 41)
        self.refused(bob.do("d", handle=bobs), "not_permitted")
        self.refused(bob.do("e", text=parts), "not_permitted")  # it is good once

        cid = b"\x01\x71\x12\x20" + hashlib.sha256(token).digest()
        self.refused(mallory.do("v", text=cid), "not_permitted")
        self.assertEqual(self.label_seen(bob, bobs), 41)
        self.done(alice.do("v", text=cid))
        self.refused(bob.send(bobs, b"hello"), "no_such_right")

    def test_people_carry(self):
        """people give a function a right with a request, and are given one with its answer, which dies with what it came from"""
        alice, bob = self.start("alice", "bob")
        desk = self.a.api("POST", "/v1/rights", {"process": "bob", "as": "desk", "label": 21})
        answer = self.a.api("POST", "/v1/invoke", {"target": "alice", "body_base64": base64.b64encode(b"take").decode(),
                                                   "carry": "desk"})
        self.assertNotIn("rights", answer)
        handle, = read_report(base64.b64decode(answer["body_base64"])).rights
        self.assertEqual(self.label_seen(alice, handle), 21)
        self.a.api("POST", "/v1/rights", {"process": "bob", "as": "fixed", "can": "send"})
        for carry in ("fixed", "desk,desk,desk,desk,desk", "nobody"):
            with self.assertRaises(ApiError):
                self.a.api("POST", "/v1/invoke", {"target": "alice", "carry": carry})

        minted = self.given(alice.do("m", label=33))
        answer = self.a.api("POST", "/v1/invoke", {"target": "alice", "body_base64": base64.b64encode(
            asking_for([minted], [COPY])).decode()})
        given, = answer["rights"]
        report = read_report(message1.call(given["uri"], b"hello", 5_000_000, timeout_s=10).body)
        self.assertEqual((report.kind, report.label), ("request", 33))
        self.done(alice.do("r", handle=minted))
        refused = message1.call(given["uri"], b"hello", 5_000_000, timeout_s=10)
        self.assertEqual(refused.reason_name(), "no_such_right")
        self.assertEqual(self.a.api("DELETE", "/v1/rights/desk")["count"], 1)
        self.assertEqual(desk["name"], "desk")


if __name__ == "__main__":
    case.main()
