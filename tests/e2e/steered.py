"""Commands for guests/steered.c and what it reports. A Steered is one such function on a node."""
import struct
from collections import namedtuple

import message1

COPY, MOVE = 1, 2
SEND, DERIVE, CARRY = 1, 2, 4
CONTROL = 2
ERRORS = {0: None, -1: "handle", -2: "busy", -3: "length", -4: "pointer", -5: "message"}

# What came of a command. `sent` None: send took it; else the word for its error.
Report = namedtuple("Report", "sent kind reason rights label body")


def read_cbor(data):
    """The value that the bytes are: numbers, strings, arrays, maps, booleans, as promise-1 has them."""
    def item(at):
        major, info = data[at] >> 5, data[at] & 31
        more = {24: 1, 25: 2, 26: 4, 27: 8}.get(info, 0)
        value = int.from_bytes(data[at + 1:at + 1 + more], "big") if more else info
        at += 1 + more
        if major in (2, 3):
            text = data[at:at + value]
            return (text if major == 2 else text.decode()), at + value
        if major in (4, 5):
            found = []
            for _ in range(value * (major - 3)):
                element, at = item(at)
                found.append(element)
            return (found if major == 4 else dict(zip(found[::2], found[1::2]))), at
        assert major == 0 or value in (20, 21), data
        return (value if major == 0 else value == 21), at

    value, end = item(0)
    assert end == len(data), data
    return value


def read_report(body):
    kind, _, reason, error, *rest = struct.unpack_from("<BBHi4IQ", body)
    rights = [handle for handle in rest[:4] if handle]
    return Report(ERRORS[error], message1.Kind(kind).name, message1.Reason(reason).name if reason else None, rights, rest[4], body[32:])


def command(what, handle=0, label=0, can=0, rate=0, expires_ms=0, text=b""):
    if isinstance(text, str):
        text = text.encode()
    return b"!" + what.encode() + struct.pack("<IQBIQ", handle, label, can, rate, expires_ms) + text


def carrying(to, body=b"", handles=(), modes=(), deadline_us=0):
    """Any message, rights and all."""
    handles = (list(handles) + [0] * 4)[:4]
    modes = (list(modes) + [0] * 4)[:4]
    return b"!s" + struct.pack("<IQ4I4B", to, deadline_us, *handles, *modes) + body


def asking_for(handles, modes):
    """What a peer says that wants rights in the answer."""
    handles = (list(handles) + [0] * 4)[:4]
    modes = (list(modes) + [0] * 4)[:4]
    return b"?" + struct.pack("<4I4B", *handles, *modes)


class Steered:
    def __init__(self, node, name, uri):
        self.node, self.name, self.uri = node, name, uri

    def tell(self, body, deadline_us=10_000_000):
        """Sends a command and gives back what the function reports of it."""
        answer = message1.call(self.uri, body, deadline_us, timeout_s=deadline_us / 1e6 + 5)
        assert answer.kind == message1.Kind.answer, (self.name, body, answer)
        return read_report(answer.body)

    def do(self, what, **options):
        return self.tell(command(what, **options))

    def send(self, to, body=b"", handles=(), modes=(), **options):
        return self.tell(carrying(to, body, handles, modes), **options)

    def notices(self):
        """All that came since this was asked last: (rights, body)."""
        found = []
        while True:
            report = self.tell(b"!l")
            if report.label == 0:
                return found
            found.append((report.rights, report.body))
