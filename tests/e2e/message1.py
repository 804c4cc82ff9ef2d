#!/usr/bin/env python3
"""A client of message-1, written from abi/wire/message-1.md alone: that is what it is here to show. It shares no code with
the node and uses only Python's own library.

    python3 message1.py URI [BODY] [--timeout S] [--json]
"""
import argparse
import base64
import dataclasses
import enum
import hashlib
import json
import pathlib
import re
import secrets
import socket
import struct
import sys
import time

DOCUMENT = pathlib.Path(__file__).resolve().parents[2] / "abi" / "wire" / "message-1.md"

PORT = 4646
BODY_MAX = 1024
PAYLOAD_MAX = 1280 - 40 - 8  # the least that IPv6 carries everywhere, less the IPv6 and UDP headers
FLATBUFFER_AT = 50
SHORT_MIN, SHORT_MAX = 24, 252  # lengths of a FlatBuffer behind the header 58 LL 00
LONG_MIN, LONG_MAX = 256, 1180  # and behind 59 HH LL
RIGHTS_MAX = 4
RIGHT_BYTES = 24
ID_BYTES = 8
UINT32_MAX = 2**32 - 1

# CID version 1, raw bytes, SHA-256, 32 bytes of it.
PCID = bytes.fromhex("01551220") + hashlib.sha256(DOCUMENT.read_bytes()).digest()

# What stands before the pCID: tag "grid", array of 2, tag 42, byte string of 37, and the zero before every CID.
BEFORE_PCID = bytes.fromhex("da67726964 82 d82a 5825 00")
BYTES_SHORT, BYTES_LONG = 0x58, 0x59  # CBOR byte strings with a length of one and of two bytes


class Kind(enum.IntEnum):
    request = 0
    answer = 1
    non_commitment = 2
    notice = 3


class Reason(enum.IntEnum):
    none = 0
    unknown_protocol = 1
    no_such_right = 2
    not_permitted = 3
    quota_exceeded = 4
    busy = 5
    too_large = 6
    broken = 7
    declined = 8
    no_answer = 9
    process_failed = 10


class Malformed(ValueError):
    """A datagram that is not a message of message-1."""


class UnknownProtocol(Malformed):
    """A datagram with a good envelope around another pCID."""


@dataclasses.dataclass(frozen=True)
class Right:
    slot: int
    generation: int
    key: bytes

    def pack(self) -> bytes:
        if len(self.key) != 16:
            raise ValueError(f"a key is 16 bytes, not {len(self.key)}")
        return struct.pack("<II16s", self.slot, self.generation, self.key)

    @staticmethod
    def unpack(packed: bytes) -> "Right":
        return Right(*struct.unpack("<II16s", packed))

    def __repr__(self) -> str:  # who sees a log must not see the key
        return f"Right({self.slot}.{self.generation})"


@dataclasses.dataclass(frozen=True)
class Message:
    kind: int
    reason: int  # a number that Reason does not have means: not done, or outcome unknown
    id: bytes
    body: bytes
    to: Right | None = None
    reply_to: Right | None = None
    deadline_us: int = 0
    rights: tuple[Right, ...] = ()

    def reason_name(self) -> str:
        return Reason(self.reason).name if self.reason in list(Reason) else f"reason_{self.reason}"


# The right as text.

URI = re.compile(r"grid://(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::4646)?/(?P<right>[a-z2-7]{39})")


def parse_uri(uri: str) -> tuple[str, Right]:
    """The host, without brackets, and the right."""
    found = URI.fullmatch(uri)
    if not found:
        raise ValueError("a right looks like grid://HOST:4646/ and 39 characters of a-z and 2-7")
    text = found["right"]
    packed = base64.b32decode(text.upper() + "=")  # 39 characters are 195 bits: 24 bytes and 3 bits left over
    if to_base32(packed) != text:
        raise ValueError("the last character of the right has bits that must be zero")
    return found["v6"] or found["name"], Right.unpack(packed)


def to_uri(host: str, right: Right) -> str:
    return f"grid://{f'[{host}]' if ':' in host else host}:{PORT}/{to_base32(right.pack())}"


def to_base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


# Writing.

def put_envelope(flatbuffer: bytes, pcid: bytes = PCID) -> bytes:
    length = len(flatbuffer)
    if length % 4 == 0 and SHORT_MIN <= length <= SHORT_MAX:
        header = bytes([BYTES_SHORT, length + 1, 0])  # the zero belongs to the byte string
    elif length % 4 == 0 and LONG_MIN <= length <= LONG_MAX:
        header = struct.pack(">BH", BYTES_LONG, length)
    else:
        raise ValueError(f"no envelope holds a FlatBuffer of {length} bytes")
    return BEFORE_PCID + pcid + header + flatbuffer


def encode_request(to: Right, id: bytes, body: bytes = b"", deadline_us: int = 0) -> bytes:
    """The block of the document in which only right, id, deadline and body change."""
    check_id(id)
    if len(body) > BODY_MAX:
        raise ValueError(f"a body is at most {BODY_MAX} bytes, not {len(body)}")
    if not 0 <= deadline_us <= UINT32_MAX:
        raise ValueError(f"a deadline is 0 to {UINT32_MAX} microseconds, not {deadline_us}")
    flatbuffer = struct.pack("<I 2H 8H iI", 24,  # the table's place
                             20, 44,  # bytes of vtable and table
                             0, 8, 0, 32, 40, 0, 0, 4,  # kind, to, reply_to, id, deadline_us, reason, rights, body
                             20, 40)  # back to the vtable, forward to the body
    flatbuffer += to.pack() + id + struct.pack("<II", deadline_us, len(body)) + body
    return put_envelope(fill_up(flatbuffer))


def encode_answer(id: bytes, body: bytes) -> bytes:
    """As in the document's example. A client needs it only to play the node in a test."""
    check_id(id)
    flatbuffer = struct.pack("<I 2H 8H iI", 24, 20, 20, 18, 0, 0, 8, 0, 16, 0, 4, 20, 16)
    flatbuffer += id + struct.pack("<HBxI", Reason.none, Kind.answer, len(body)) + body
    return put_envelope(fill_up(flatbuffer))


def encode_non_commitment(id: bytes, reason: int) -> bytes:
    """As in the document's example: rights and body are behind the vtable's end, so absent."""
    check_id(id)
    flatbuffer = struct.pack("<I 2H 6H i", 20, 16, 16, 14, 0, 0, 4, 0, 12, 16)
    return put_envelope(flatbuffer + id + struct.pack("<HBx", reason, Kind.non_commitment))


def check_id(id: bytes) -> None:
    if len(id) != ID_BYTES:
        raise ValueError(f"an id is {ID_BYTES} bytes, not {len(id)}")


def fill_up(flatbuffer: bytes) -> bytes:
    return flatbuffer + bytes(-len(flatbuffer) % 4)


# Reading.

def take_envelope(datagram: bytes) -> bytes:
    """The FlatBuffer within."""
    if not FLATBUFFER_AT + SHORT_MIN <= len(datagram) <= PAYLOAD_MAX:
        raise Malformed(f"a payload of {len(datagram)} bytes")
    if not datagram.startswith(BEFORE_PCID):
        raise Malformed("not the envelope's first 11 bytes")
    code, high, low = datagram[47:FLATBUFFER_AT]
    if code == BYTES_SHORT:
        length = high - 1
        good = low == 0 and SHORT_MIN <= length <= SHORT_MAX
    else:
        length = high << 8 | low
        good = code == BYTES_LONG and LONG_MIN <= length <= LONG_MAX
    if not good or length % 4:
        raise Malformed(f"not a byte string's header: {datagram[47:FLATBUFFER_AT].hex()}")
    if FLATBUFFER_AT + length != len(datagram):
        raise Malformed(f"a FlatBuffer of {length} bytes in a payload of {len(datagram)}")
    if datagram[11:47] != PCID:
        raise UnknownProtocol(f"pCID {datagram[11:47].hex()}")
    return datagram[FLATBUFFER_AT:]


class Reader:
    """Reads a FlatBuffer's one table. Every read is checked against the buffer's end and its alignment."""

    def __init__(self, buffer: bytes):
        self.buffer = buffer
        self.table = self.number("I", 0)
        self.vtable = self.table - self.number("i", self.table)
        self.vtable_bytes = self.number("H", self.vtable)
        if self.vtable_bytes < 4 or self.vtable_bytes % 2:
            raise Malformed(f"a vtable of {self.vtable_bytes} bytes")
        self.raw(self.vtable, self.vtable_bytes, 2)

    def raw(self, at: int, count: int, alignment: int) -> bytes:
        if at < 0 or at % alignment or at + count > len(self.buffer):
            raise Malformed(f"{count} bytes at {at} of a FlatBuffer of {len(self.buffer)}")
        return self.buffer[at:at + count]

    def number(self, code: str, at: int) -> int:
        size = struct.calcsize("<" + code)
        return struct.unpack("<" + code, self.raw(at, size, size))[0]

    def place(self, field: int) -> int | None:
        """Where a field begins; None if it is absent."""
        entry = 4 + 2 * field
        if entry >= self.vtable_bytes:
            return None
        distance = self.number("H", self.vtable + entry)
        return self.table + distance if distance else None

    def scalar(self, field: int, code: str) -> int:
        at = self.place(field)
        return 0 if at is None else self.number(code, at)

    def right(self, field: int) -> Right | None:
        at = self.place(field)
        return None if at is None else Right.unpack(self.raw(at, RIGHT_BYTES, 4))

    def id(self, field: int) -> bytes:
        at = self.place(field)
        return bytes(ID_BYTES) if at is None else self.raw(at, ID_BYTES, 1)

    def vector(self, field: int, element_bytes: int) -> bytes:
        at = self.place(field)
        if at is None:
            return b""
        start = at + self.number("I", at)
        return self.raw(start + 4, self.number("I", start) * element_bytes, 4)


def decode(datagram: bytes) -> Message:
    """Any message of message-1. Raises Malformed for what a node would drop, UnknownProtocol for another pCID."""
    reader = Reader(take_envelope(datagram))
    rights = reader.vector(6, RIGHT_BYTES)
    message = Message(
        kind=reader.scalar(0, "B"), to=reader.right(1), reply_to=reader.right(2), id=reader.id(3),
        deadline_us=reader.scalar(4, "I"), reason=reader.scalar(5, "H"),
        rights=tuple(Right.unpack(rights[i:i + RIGHT_BYTES]) for i in range(0, len(rights), RIGHT_BYTES)),
        body=reader.vector(7, 1))
    if message.kind not in list(Kind):
        raise Malformed(f"kind {message.kind}")
    if message.kind == Kind.request and message.to is None:
        raise Malformed("a request without `to`")
    if len(message.rights) > RIGHTS_MAX:
        raise Malformed(f"{len(message.rights)} rights")
    return message


# The network.

def new_id() -> bytes:
    return secrets.token_bytes(ID_BYTES)  # at random, so that nobody who cannot see the request can forge its answer


def connect(host: str, port: int = PORT) -> socket.socket:
    """A UDP socket that takes datagrams only from that address and port: the kernel drops others."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    opened = socket.socket(family, kind, protocol)
    try:
        opened.connect(address)
    except OSError:
        opened.close()
        raise
    return opened


def wait_for(connected: socket.socket, id: bytes, timeout_s: float) -> Message:
    """The answer or non-commitment with that id; everything else is ignored. TimeoutError if none comes."""
    end = time.monotonic() + timeout_s
    while True:
        left = end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"nothing came within {timeout_s} s: request or answer was lost, or dropped as malformed")
        connected.settimeout(left)
        try:
            message = decode(connected.recv(65536))
        except (TimeoutError, Malformed):
            continue
        if message.kind in (Kind.answer, Kind.non_commitment) and message.id == id:
            return message


def call(uri: str, body: bytes = b"", deadline_us: int = 0, timeout_s: float = 1.0, port: int = PORT) -> Message:
    """Sends one request, once: repeating it could make the function run twice."""
    host, right = parse_uri(uri)
    id = new_id()
    with connect(host, port) as connected:
        connected.send(encode_request(right, id, body, deadline_us))
        return wait_for(connected, id, timeout_s)


def as_json(message: Message, round_trip_ns: int) -> str:
    return json.dumps({
        "kind": Kind(message.kind).name, "reason": message.reason_name(), "id": message.id.hex(),
        "body": message.body.decode(errors="replace"), "body_base64": base64.b64encode(message.body).decode(),
        "round_trip_ns": round_trip_ns})


def main() -> int:
    parser = argparse.ArgumentParser(description="Sends one message to a function on a PromiseGrid node.")
    parser.add_argument("uri", help="the right, grid://HOST:4646/...")
    parser.add_argument("body", nargs="?", default="", help="the message's body, as UTF-8")
    parser.add_argument("--timeout", type=float, default=1.0, metavar="S", help="seconds to wait for the answer (1)")
    parser.add_argument("--json", action="store_true", help="print kind, reason, id, body and round trip")
    options = parser.parse_args()
    started = time.monotonic_ns()
    try:
        message = call(options.uri, options.body.encode(), timeout_s=options.timeout)
    except OSError as error:
        print(f"message1: {error}", file=sys.stderr)
        return 1
    except ValueError as error:
        print(f"message1: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(as_json(message, time.monotonic_ns() - started))
    elif message.kind == Kind.answer:
        sys.stdout.buffer.write(message.body)
    else:
        print(f"message1: non_commitment: {message.reason_name()}", file=sys.stderr)
    return 0 if message.kind == Kind.answer else 1


if __name__ == "__main__":
    sys.exit(main())
