#!/usr/bin/env python3
"""Shows that a client written from message-1.md alone reaches a function: IPv4 and IPv6, both forms of the envelope, the
refusals that the document promises, and the datagrams of which it promises that nothing comes back."""
import dataclasses
import hashlib
import json
import struct
import subprocess
import sys

import case
import message1
from message1 import PCID, Kind, Reason, Right
from node import EXAMPLES

LENGTHS = (0, 1, 64, 230, 1024)  # of bodies; from 181 on a request has the long header
TIMEOUT_S = 5  # a slow machine's; on a quiet one an answer takes less than a millisecond


def full_request(to: Right, id: bytes, reply_to: Right | None = None, rights: tuple[Right, ...] = (), body: bytes = b"") -> bytes:
    """A request in a layout that the client itself never writes: the vtable behind the table, every field there, and a
    ninth field, which a later version might have appended."""
    table_at, table_bytes, vtable_bytes = 4, 80, 22
    vtable_at = table_at + table_bytes
    rights_at = vtable_at + vtable_bytes + 2  # 2 of padding
    body_at = rights_at + 4 + 24 * len(rights)
    vtable = struct.pack("<11H 2x", vtable_bytes, table_bytes, 77, 4, 28 if reply_to else 0, 52, 60, 78, 64, 68, 72)
    table = struct.pack("<i 24s 24s 8s I I I I B B H", table_at - vtable_at, to.pack(), reply_to.pack() if reply_to else b"",
                        id, 0, rights_at - (table_at + 64), body_at - (table_at + 68), 4711, 0xee, Kind.request, 0)
    vectors = struct.pack("<I", len(rights)) + b"".join(r.pack() for r in rights) + struct.pack("<I", len(body)) + body
    return message1.put_envelope(message1.fill_up(struct.pack("<I", table_at) + table + vtable + vectors))


class PythonClient(case.Case):
    def setUp(self):
        super().setUp()
        self.served = self.node()
        self.served.deploy(EXAMPLES / "echo.wasm", "echo")
        printed = json.loads(self.served.cli("cap", "create", "echo", "--show-secret", "--json").stdout)
        self.created = printed
        self.host, self.right = message1.parse_uri(printed["uri"])

    def hosts(self) -> tuple[str, str]:
        return self.served.v4, self.served.v6

    def call(self, host: str, right: Right, body: bytes = b"") -> message1.Message:
        return message1.call(message1.to_uri(host, right), body, timeout_s=TIMEOUT_S)

    def exchange(self, host: str, datagram: bytes, id: bytes) -> message1.Message:
        with message1.connect(host) as connected:
            connected.send(datagram)
            return message1.wait_for(connected, id, TIMEOUT_S)

    def assertRefusal(self, message: message1.Message, reason: Reason) -> None:
        self.assertEqual((message.kind, message.reason, message.body), (Kind.non_commitment, reason, b""))

    def assertUnanswered(self, host: str, datagrams: list[bytes]) -> None:
        """A request sent behind them from the same socket is answered first, and nothing else comes before or soon after."""
        id = message1.new_id()
        with message1.connect(host) as connected:
            for datagram in datagrams:
                connected.send(datagram)
            connected.send(message1.encode_request(self.right, id, b"last"))
            connected.settimeout(TIMEOUT_S)
            first = message1.decode(connected.recv(65536))
            self.assertEqual((first.kind, first.id, first.body), (Kind.answer, id, b"last"))
            connected.settimeout(0.3)
            with self.assertRaises(TimeoutError):
                connected.recv(65536)

    def test_uri(self):
        """the right that pgrid prints is read by the client and written the same"""
        self.assertEqual(message1.to_uri(self.host, self.right), self.created["uri"])
        self.assertEqual((self.right.slot, self.right.generation), (self.created["slot"], self.created["generation"]))

    def test_echo(self):
        """bodies in both forms of the envelope come back, IPv4 and IPv6"""
        for host in self.hosts():
            for length in LENGTHS:
                with self.subTest(f"{host}, {length} bytes"):
                    body = bytes(i * 7 & 255 for i in range(length))
                    answer = self.call(host, self.right, body)
                    self.assertEqual((answer.kind, answer.reason, answer.body), (Kind.answer, Reason.none, body))
                    self.assertEqual((answer.to, answer.reply_to, answer.rights, answer.deadline_us), (None, None, (), 0))

    def test_deadline_and_ids(self):
        """requests of one socket are told apart by id; a deadline that is long enough changes nothing"""
        with message1.connect(self.served.v4) as connected:
            ids = [message1.new_id() for _ in range(8)]
            for id in ids:
                connected.send(message1.encode_request(self.right, id, b"for " + id, message1.UINT32_MAX))
            connected.settimeout(TIMEOUT_S)
            answers = [message1.decode(connected.recv(65536)) for _ in ids]
        self.assertEqual({a.id: a.body for a in answers}, {id: b"for " + id for id in ids})

    def test_wrong_key(self):
        """a wrong key is no_such_right"""
        key = bytes([self.right.key[0] ^ 1]) + self.right.key[1:]
        for host in self.hosts():
            self.assertRefusal(self.call(host, dataclasses.replace(self.right, key=key)), Reason.no_such_right)
        self.assertEqual(self.served.counter("right_wrong_key"), 2)

    def test_old_generation(self):
        """a right whose slot has passed to another is no_such_right, and the other works"""
        self.served.api("DELETE", f"/v1/rights/{self.right.slot}.{self.right.generation}")
        for host in self.hosts():
            self.assertRefusal(self.call(host, self.right), Reason.no_such_right)
        _, newer = message1.parse_uri(self.served.create_right("echo")["uri"])
        older = dataclasses.replace(newer, generation=(newer.generation - 1) % 2**32)
        for host in self.hosts():
            self.assertRefusal(self.call(host, older), Reason.no_such_right)
            self.assertRefusal(self.call(host, self.right), Reason.no_such_right)
            self.assertEqual(self.call(host, newer, b"new").body, b"new")

    def test_unknown_protocol(self):
        """another pCID is unknown_protocol in message-1, shorter than what it answers, its id the start of that one's SHA-256"""
        for host in self.hosts():
            for length in LENGTHS:
                with self.subTest(f"{host}, {length} bytes"):
                    other = PCID[:4] + hashlib.sha256(b"another document").digest()
                    known = message1.encode_request(self.right, message1.new_id(), bytes(length))
                    datagram = known.replace(PCID, other)
                    with message1.connect(host) as connected:
                        connected.send(datagram)
                        connected.settimeout(TIMEOUT_S)
                        payload = connected.recv(65536)
                    refusal = message1.decode(payload)
                    self.assertRefusal(refusal, Reason.unknown_protocol)
                    self.assertEqual(refusal.id, hashlib.sha256(datagram).digest()[:message1.ID_BYTES])
                    self.assertEqual(len(payload), 86)
                    self.assertLess(len(payload), len(datagram))

    def test_never_answered(self):
        """an answer, a non-commitment and a notice sent to the node are not answered, IPv4 and IPv6"""
        answer = message1.encode_answer(message1.new_id(), b"unasked")
        # The kind is the 19th byte of the table at 24, in an answer laid out as the document's example.
        at = message1.FLATBUFFER_AT + 24 + 18
        notice = answer[:at] + bytes([Kind.notice]) + answer[at + 1:]
        self.assertEqual(message1.decode(notice).kind, Kind.notice)
        refusals = [message1.encode_non_commitment(message1.new_id(), reason) for reason in (*Reason, 4711)]
        for host in self.hosts():
            self.assertUnanswered(host, refusals)
            self.assertUnanswered(host, [answer, notice])

    def test_other_layout(self):
        """a request in another layout, with a field that nobody knows yet, is answered to its reply_to"""
        reply_to = Right(11, 12, bytes(range(100, 116)))
        for host in self.hosts():
            for sent in (None, reply_to):
                id = message1.new_id()
                answer = self.exchange(host, full_request(self.right, id, sent, body=b"hello"), id)
                self.assertEqual((answer.kind, answer.body, answer.to), (Kind.answer, b"hello", sent))

    def test_carried_rights(self):
        """a request that carries up to four rights is not_permitted; five are malformed and not answered"""
        carried = Right(1, 1, bytes(16))
        for host in self.hosts():
            for count in range(1, 5):
                id = message1.new_id()
                refusal = self.exchange(host, full_request(self.right, id, rights=(carried,) * count), id)
                self.assertRefusal(refusal, Reason.not_permitted)
            self.assertUnanswered(host, [full_request(self.right, message1.new_id(), rights=(carried,) * 5)])

    def test_too_large(self):
        """a body of 1,025 bytes, which the client itself does not write, is too_large"""
        for host in self.hosts():
            id = message1.new_id()
            self.assertRefusal(self.exchange(host, full_request(self.right, id, body=bytes(1025)), id), Reason.too_large)

    def test_malformed_never_answered(self):
        """a datagram that the client would not read is not answered by the node"""
        good = message1.encode_request(self.right, message1.new_id(), b"hello")
        bad = {"byte behind it": good + b"\0", "cut off": good[:-4], "empty": b"", "one byte": b"\xda",
               "another tag": b"\xda" + b"GRID" + good[5:], "long header": good[:47] + b"\x59\0\x50" + good[50:],
               "no to": good[:60] + b"\0\0" + good[62:], "kind 4": None}
        answer = message1.encode_answer(message1.new_id(), b"")
        bad["kind 4"] = answer[:92] + b"\4" + answer[93:]
        for title, datagram in bad.items():
            with self.assertRaises(message1.Malformed, msg=title):
                message1.decode(datagram)
        for host in self.hosts():
            self.assertUnanswered(host, list(bad.values()))

    def test_command(self):
        """the client as a command: a body, JSON, and a refusal's name and status"""
        def run_it(*arguments: str) -> subprocess.CompletedProcess:
            return subprocess.run([sys.executable, message1.__file__, *arguments, "--timeout", str(TIMEOUT_S)],
                                  capture_output=True, text=True, timeout=30)
        for host in self.hosts():
            uri = message1.to_uri(host, self.right)
            plain = run_it(uri, "hello")
            self.assertEqual((plain.returncode, plain.stdout, plain.stderr), (0, "hello", ""))
            told = json.loads(run_it(uri, "hello", "--json").stdout)
            self.assertEqual((told["kind"], told["reason"], told["body"]), ("answer", "none", "hello"))
            wrong = message1.to_uri(host, dataclasses.replace(self.right, key=bytes(16)))
            refused = run_it(wrong, "hello")
            self.assertEqual((refused.returncode, refused.stdout), (1, ""))
            self.assertIn("no_such_right", refused.stderr)


if __name__ == "__main__":
    case.main()
