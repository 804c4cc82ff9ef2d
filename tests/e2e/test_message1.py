#!/usr/bin/env python3
"""Shows that message-1.md is enough to write a client from: every example of the document, encoded and decoded byte for byte
by message1.py; what the client refuses to read and to write; which datagrams it takes for the answer."""
import json
import pathlib
import re
import socket
import struct
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import message1
import tap
from message1 import FLATBUFFER_AT, PCID, Kind, Malformed, Message, Reason, Right

EXAMPLE_URI = "grid://192.0.2.1:4646/a4aaaaadaaaaaaabaibqibiga4eascqlbqgq4dy"
EXAMPLE_RIGHT = Right(7, 3, bytes(range(16)))
EXAMPLE_ID = bytes(range(1, 9))


def examples() -> dict[str, bytes]:
    """The document's blocks of hexadecimal bytes, by name."""
    found = {}
    for name, block in re.findall(r"^```hex (\w+)\n(.*?)^```", message1.DOCUMENT.read_text(), re.M | re.S):
        text = re.sub(r"#.*", "", block).replace("<pCID>", PCID.hex())
        text = re.sub(r"([0-9a-f]{2}) \* (\d+)", lambda times: times[1] * int(times[2]), text)
        found[name] = bytes.fromhex(text)
    return found


EXAMPLES = examples()
REQUEST = message1.encode_request(EXAMPLE_RIGHT, EXAMPLE_ID, b"hello", 50_000)


def change(datagram: bytes, at: int, new: str) -> bytes:
    """The datagram with the bytes at a place replaced by these hexadecimal ones."""
    put = bytes.fromhex(new)
    return datagram[:at] + put + datagram[at + len(put):]


def change_buffer(at: int, new: str) -> bytes:
    """The example request with bytes of its FlatBuffer replaced."""
    return change(REQUEST, FLATBUFFER_AT + at, new)


class Examples(unittest.TestCase):
    def test_all_there(self):
        """the document has the four examples, of the lengths that it says"""
        self.assertEqual({name: len(data) for name, data in EXAMPLES.items()},
                         {"request": 130, "answer": 106, "non_commitment": 86, "long_request": 322})

    def test_pcid(self):
        """the pCID is 36 bytes of CID, and as text begins like every such CID"""
        self.assertEqual((len(PCID), PCID[:4].hex()), (36, "01551220"))
        self.assertRegex("b" + message1.to_base32(PCID), r"^bafkrei[a-z2-7]{52}$")

    def test_encode(self):
        """what the client writes is the examples, byte for byte"""
        self.assertEqual(message1.encode_request(EXAMPLE_RIGHT, EXAMPLE_ID, b"hello", 50_000), EXAMPLES["request"])
        self.assertEqual(message1.encode_answer(EXAMPLE_ID, b"HELLO"), EXAMPLES["answer"])
        self.assertEqual(message1.encode_non_commitment(EXAMPLE_ID, Reason.no_such_right), EXAMPLES["non_commitment"])
        self.assertEqual(message1.encode_request(EXAMPLE_RIGHT, EXAMPLE_ID, b"a" * 200), EXAMPLES["long_request"])

    def test_decode(self):
        """and what it reads from the examples is what the document says of them"""
        self.assertEqual(message1.decode(EXAMPLES["request"]),
                         Message(Kind.request, 0, EXAMPLE_ID, b"hello", to=EXAMPLE_RIGHT, deadline_us=50_000))
        self.assertEqual(message1.decode(EXAMPLES["answer"]), Message(Kind.answer, 0, EXAMPLE_ID, b"HELLO"))
        self.assertEqual(message1.decode(EXAMPLES["non_commitment"]),
                         Message(Kind.non_commitment, Reason.no_such_right, EXAMPLE_ID, b""))
        self.assertEqual(message1.decode(EXAMPLES["long_request"]),
                         Message(Kind.request, 0, EXAMPLE_ID, b"a" * 200, to=EXAMPLE_RIGHT))

    def test_names(self):
        """kinds and reasons are numbered as in the document's schema and tables"""
        text = message1.DOCUMENT.read_text()
        enum = re.search(r"enum Kind : ubyte \{(.*?)\}", text)[1]
        self.assertEqual({n: int(v) for n, v in re.findall(r"(\w+) = (\d+)", enum)}, {k.name: k.value for k in Kind})
        table = text.split("| Reason | Name |")[1].split("\n\n")[0]
        self.assertEqual({n: int(v) for v, n in re.findall(r"^\| (\d+) \| (\w+) \|", table, re.M)},
                         {r.name: r.value for r in Reason})


class Uris(unittest.TestCase):
    def test_example(self):
        """the document's URI is its right, both ways"""
        self.assertEqual(message1.parse_uri(EXAMPLE_URI), ("192.0.2.1", EXAMPLE_RIGHT))
        self.assertEqual(message1.to_uri("192.0.2.1", EXAMPLE_RIGHT), EXAMPLE_URI)

    def test_hosts(self):
        """a host is a name, an IPv4 address or a bracketed IPv6 address; the port may be left out"""
        text = EXAMPLE_URI.rsplit("/", 1)[1]
        for written, host in (("node.example", "node.example"), ("192.0.2.1", "192.0.2.1"), ("[2001:db8::1]", "2001:db8::1")):
            for port in ("", ":4646"):
                self.assertEqual(message1.parse_uri(f"grid://{written}{port}/{text}"), (host, EXAMPLE_RIGHT))

    def test_refused(self):
        """other text is not a right"""
        text = EXAMPLE_URI.rsplit("/", 1)[1]
        for title, uri in {
            "scheme": EXAMPLE_URI.replace("grid", "http"),
            "no host": f"grid://:4646/{text}",
            "IPv6 without brackets": f"grid://2001:db8::1/{text}",
            "another port": f"grid://192.0.2.1:4647/{text}",
            "upper case": f"grid://192.0.2.1/{text.upper()}",
            "padding": EXAMPLE_URI + "=",
            "a character short": EXAMPLE_URI[:-1],
            "a character long": EXAMPLE_URI + "a",
            "a character that base32 has not": EXAMPLE_URI[:-1] + "1",
            "bits left over that are not zero": EXAMPLE_URI[:-1] + "z",
            "line end": EXAMPLE_URI + "\n",
        }.items():
            with self.subTest(title), self.assertRaises(ValueError):
                message1.parse_uri(uri)

    def test_key_stays_hidden(self):
        """a right that is printed does not show its key"""
        self.assertEqual(repr(EXAMPLE_RIGHT), "Right(7.3)")


class Writing(unittest.TestCase):
    def test_every_body(self):
        """every length of body goes and comes back, in the shortest header for it"""
        for length in range(message1.BODY_MAX + 1):
            body = bytes(i & 255 for i in range(length))
            datagram = message1.encode_request(EXAMPLE_RIGHT, EXAMPLE_ID, body)
            self.assertEqual(datagram[47], 0x58 if length <= 180 else 0x59)  # 252 - 72 bytes before the body
            self.assertEqual(message1.decode(datagram).body, body)

    def test_refused(self):
        """the client writes nothing that a node would drop or refuse unread"""
        for title, arguments in {
            "body of 1,025 bytes": (EXAMPLE_RIGHT, EXAMPLE_ID, bytes(1025)),
            "id of 7 bytes": (EXAMPLE_RIGHT, bytes(7)),
            "key of 15 bytes": (Right(1, 1, bytes(15)), EXAMPLE_ID),
            "deadline of more than 32 bits": (EXAMPLE_RIGHT, EXAMPLE_ID, b"", 2**32),
        }.items():
            with self.subTest(title), self.assertRaises(ValueError):
                message1.encode_request(*arguments)
        for length in (20, 25, 254, 1184):
            with self.subTest(f"FlatBuffer of {length} bytes"), self.assertRaises(ValueError):
                message1.put_envelope(bytes(length))


class Reading(unittest.TestCase):
    def refuse(self, datagrams: dict[str, bytes], error: type[Exception] = Malformed) -> None:
        for title, datagram in datagrams.items():
            with self.subTest(title), self.assertRaises(error):
                message1.decode(datagram)

    def test_envelope_bytes(self):
        """each fixed byte of the envelope must be right"""
        for at in range(11):
            with self.assertRaises(Malformed):
                message1.decode(change(REQUEST, at, f"{REQUEST[at] ^ 1:02x}"))

    def test_other_pcid(self):
        """another pCID in a good envelope is another protocol; in a bad one it is malformed like any other"""
        for at in range(11, 47):
            with self.assertRaises(message1.UnknownProtocol):
                message1.decode(change(REQUEST, at, f"{REQUEST[at] ^ 1:02x}"))
        with self.assertRaises(Malformed) as caught:
            message1.decode(change(REQUEST, 11, "00" * 36) + b"\0")
        self.assertNotIsInstance(caught.exception, message1.UnknownProtocol)

    def test_envelope_lengths(self):
        """the byte string has its shortest header and ends where the datagram ends"""
        long = EXAMPLES["long_request"]
        self.refuse({
            "empty": b"",
            "envelope alone": REQUEST[:FLATBUFFER_AT],
            "cut off": REQUEST[:-4],
            "cut off by one": REQUEST[:-1],
            "something behind it": REQUEST + b"\0",
            "four bytes behind it": REQUEST + bytes(4),
            "zero byte not zero": change(REQUEST, 49, "01"),
            "length without the zero byte": change(REQUEST, 47, "58 50 00"),
            "long header for a short string": change(REQUEST, 47, "59 00 50"),
            "length in one byte, no byte code": change(REQUEST, 47, "51 00 00"),
            "text string": change(REQUEST, 47, "78 51 00"),
            "short header on a long string": change(long, 47, "58 10 00"),
            "length low byte first": change(long, 47, "59 10 01"),
            "length of four bytes": change(long, 47, "5a 01 10"),
            "FlatBuffer of 20 bytes": REQUEST[:47] + bytes.fromhex("58 15 00") + bytes(20),
            "FlatBuffer of 81 bytes": REQUEST[:47] + bytes.fromhex("58 52 00") + REQUEST[FLATBUFFER_AT:] + b"\0",
            "FlatBuffer of 254 bytes": REQUEST[:47] + bytes.fromhex("58 ff 00") + bytes(254),
            "FlatBuffer of 1,184 bytes": REQUEST[:47] + struct.pack(">BH", 0x59, 1184) + bytes(1184),
            "more than 1,232 bytes": long + bytes(1232),
        })

    def test_flatbuffer(self):
        """no offset of the FlatBuffer leads out of it, and each is aligned"""
        self.refuse({
            "table behind the end": change_buffer(0, "50 00 00 00"),
            "table far behind the end": change_buffer(0, "fc ff ff ff"),
            "table not aligned": change_buffer(0, "19 00 00 00"),
            "vtable before the start": change_buffer(24, "1c 00 00 00"),
            "vtable behind the end": change_buffer(24, "c8 ff ff ff"),
            "vtable at an odd place": change_buffer(24, "13 00 00 00"),
            "vtable of 2 bytes": change_buffer(4, "02 00"),
            "vtable of odd size": change_buffer(4, "13 00"),
            "vtable longer than the buffer": change_buffer(4, "50 00"),
            "right behind the end": change_buffer(10, "24 00"),
            "right not aligned": change_buffer(10, "0a 00"),
            "reply_to behind the end": change_buffer(12, "f0 ff"),
            "id behind the end": change_buffer(14, "34 00"),
            "deadline behind the end": change_buffer(16, "38 00"),
            "deadline not aligned": change_buffer(16, "29 00"),
            "reason behind the end": change_buffer(18, "38 00"),
            "reason not aligned": change_buffer(18, "05 00"),
            "kind behind the end": change_buffer(8, "38 00"),
            "rights' offset behind the end": change_buffer(20, "38 00"),
            "rights behind the end": change(with_rights(1), FLATBUFFER_AT + 64, "40 00 00 00"),
            "more rights than the buffer holds": change(with_rights(1), FLATBUFFER_AT + 80, "02 00 00 00"),
            "body's offset behind the end": change_buffer(22, "38 00"),
            "body behind the end": change_buffer(28, "34 00 00 00"),
            "body not aligned": change_buffer(28, "2a 00 00 00"),
            "body longer than the buffer": change_buffer(68, "09 00 00 00"),
            "body of 4 GiB": change_buffer(68, "ff ff ff ff"),
        })

    def test_message(self):
        """a kind that nobody knows, a request without `to` and five rights are malformed"""
        self.refuse({
            "kind 4": change(EXAMPLES["answer"], FLATBUFFER_AT + 42, "04"),
            "kind 255": change(EXAMPLES["answer"], FLATBUFFER_AT + 42, "ff"),
            "request without to": change_buffer(10, "00 00"),
            "five rights": with_rights(5),
        })
        self.assertEqual(len(message1.decode(with_rights(4)).rights), 4)

    def test_cut_anywhere(self):
        """a FlatBuffer cut at any word, in an envelope that fits, is refused: its body reaches its end"""
        for length in range(24, 80, 4):
            with self.assertRaises(Malformed):
                message1.decode(message1.put_envelope(REQUEST[FLATBUFFER_AT:FLATBUFFER_AT + length]))

    def test_every_byte(self):
        """whatever any one byte of a FlatBuffer is, it is read or refused as malformed"""
        for example in EXAMPLES.values():
            for at in range(FLATBUFFER_AT, len(example)):
                for value in (0, 1, 2, 4, 0x7f, 0x80, 0xff):
                    try:
                        message1.decode(change(example, at, f"{value:02x}"))
                    except Malformed:
                        pass

    def test_other_layouts(self):
        """fields in another order, a vtable behind its table, absent and unknown fields are read as the schema allows"""
        # Root; at 4 a table of 20 bytes; at 24 the body's vector; at 32 the vtable, with a ninth field.
        table = struct.pack("<i B 3x I 4s I", 4 - 32, Kind.answer, 24 - 12, b"more", 0)
        body = struct.pack("<I 4s", 3, b"abc")
        vtable = struct.pack("<11H 2x", 22, 20, 4, 0, 0, 0, 0, 0, 0, 8, 12)
        self.assertEqual(message1.decode(message1.put_envelope(struct.pack("<I", 4) + table + body + vtable)),
                         Message(Kind.answer, 0, bytes(8), b"abc"))

    def test_unknown_reason(self):
        """a reason that nobody knows yet is still a non-commitment"""
        message = message1.decode(message1.encode_non_commitment(EXAMPLE_ID, 4711))
        self.assertEqual((message.kind, message.reason, message.reason_name()), (Kind.non_commitment, 4711, "reason_4711"))


def with_rights(count: int) -> bytes:
    """A request whose `rights` are in the deadline's four bytes' place, behind the body."""
    buffer = bytearray(REQUEST[FLATBUFFER_AT:])
    buffer[16:18], buffer[20:22] = bytes(2), struct.pack("<H", 40)  # deadline absent, rights at 40 of the table
    buffer[64:68] = struct.pack("<I", 80 - 64)
    return message1.put_envelope(bytes(buffer) + struct.pack("<I", count) + EXAMPLE_RIGHT.pack() * count)


class FakeNode:
    """Answers each datagram that comes with those that `reply` gives for it, from loopback (which a node would refuse)."""

    def __init__(self, reply, family=socket.AF_INET, host="127.0.0.1"):
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.settimeout(10)
        self.host, self.port, self.reply, self.heard = host, self.socket.getsockname()[1], reply, []
        self.thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join(10)
        self.socket.close()

    def _serve(self):
        datagram, sender = self.socket.recvfrom(65536)
        self.heard.append(datagram)
        for answer in self.reply(message1.decode(datagram)):
            self.socket.sendto(answer, sender)


class Calling(unittest.TestCase):
    def call(self, node: FakeNode, body: bytes, timeout_s: float = 10) -> Message:
        return message1.call(message1.to_uri(node.host, EXAMPLE_RIGHT), body, timeout_s=timeout_s, port=node.port)

    def test_both_families(self):
        """a request goes out and its answer comes back, IPv4 and IPv6"""
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with FakeNode(lambda m: [message1.encode_answer(m.id, m.body.upper())], family, host) as node:
                answer = self.call(node, b"hello")
            self.assertEqual((answer.kind, answer.reason, answer.body), (Kind.answer, Reason.none, b"HELLO"))
            self.assertEqual(message1.decode(node.heard[0]).to, EXAMPLE_RIGHT)

    def test_takes_only_its_answer(self):
        """another id, a request, a notice and a malformed datagram are not the answer"""
        def reply(request: Message) -> list[bytes]:
            good = message1.encode_answer(request.id, b"mine")
            return [message1.encode_answer(bytes(8), b"another's"),
                    message1.encode_request(EXAMPLE_RIGHT, request.id, b"a request"),
                    change(good, FLATBUFFER_AT + 42, "03"),
                    good[:-4], good + b"\0", b"",
                    change(good, 11, "00"), good]
        with FakeNode(reply) as node:
            self.assertEqual(self.call(node, b"").body, b"mine")

    def test_other_sender(self):
        """a datagram from another port is not the answer"""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            with message1.connect("127.0.0.1", 9) as connected:
                other.sendto(message1.encode_answer(EXAMPLE_ID, b""), connected.getsockname())
                with self.assertRaises(TimeoutError):
                    message1.wait_for(connected, EXAMPLE_ID, 0.2)

    def test_nothing_comes(self):
        """without an answer the call ends when its time is up"""
        with FakeNode(lambda _: []) as node, self.assertRaises(TimeoutError):
            self.call(node, b"", timeout_s=0.2)

    def test_ids(self):
        """ids are not repeated"""
        self.assertEqual(len({message1.new_id() for _ in range(1000)}), 1000)


class Command(unittest.TestCase):
    def run_it(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, message1.__file__, *arguments], capture_output=True, text=True, timeout=20)

    def test_bad_uri(self):
        """text that is no right is a usage error, and is not repeated: it may hold a key"""
        done = self.run_it(EXAMPLE_URI[:-1])
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertNotIn(EXAMPLE_URI[22:40], done.stderr)

    def test_json(self):
        """--json says kind, reason, id and body"""
        told = json.loads(message1.as_json(message1.decode(EXAMPLES["answer"]), 1))
        self.assertEqual((told["kind"], told["reason"], told["id"], told["body"]),
                         ("answer", "none", "0102030405060708", "HELLO"))


if __name__ == "__main__":
    tap.main()
