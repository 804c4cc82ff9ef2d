"""Ethernet frames with message-1 requests, as pcap files, and the check of what comes back."""
import dataclasses
import ipaddress
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/e2e"))
import message1  # noqa: E402

NODE_ADDRESS = "192.0.2.1"
CLIENT_ADDRESS = "192.0.2.2"
NODE_MAC = bytes.fromhex("027063617000")  # net_pcap's first port: 02, "pcap", its number
CLIENT_MAC = bytes.fromhex("020000000002")
UDP_PORT = 4646
FIRST_SOURCE_PORT = 10000
SOURCE_PORTS = 16384
FIRST_ID = 0x1000
PCAP_HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)
SOURCE, DESTINATION = (ipaddress.IPv4Address(a).packed for a in (CLIENT_ADDRESS, NODE_ADDRESS))


@dataclasses.dataclass(frozen=True)
class Request:
    right: message1.Right
    body: bytes


def checksum(data):
    """RFC 1071. The sum of 16-bit words with the carry added back is the number modulo 65,535."""
    if len(data) % 2:
        data += b"\0"
    total = int.from_bytes(data, "big")
    return ~(total % 0xFFFF or (0xFFFF if total else 0)) & 0xFFFF


def frame(payload, source_port):
    udp = struct.pack(">HHHH", source_port, UDP_PORT, 8 + len(payload), 0)
    pseudo = SOURCE + DESTINATION + struct.pack(">BBH", 0, 17, 8 + len(payload))
    udp = udp[:6] + struct.pack(">H", checksum(pseudo + udp + payload) or 0xFFFF)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + 8 + len(payload), 0, 0x4000, 64, 17, 0, SOURCE, DESTINATION)
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return NODE_MAC + CLIENT_MAC + b"\x08\x00" + ip + udp + payload


def pattern(index, body_bytes):
    """A body that differs from its neighbours'."""
    return bytes((index + i) & 0xFF for i in range(body_bytes))


def write_pcap(path, uri, count, body_bytes):
    """Requests through one right, each with a body of its own."""
    _, right = message1.parse_uri(uri)
    return write_requests(path, [Request(right, pattern(index, body_bytes)) for index in range(count)])


def write_requests(path, requests):
    """Writes a frame for each Request; returns {(source port, id): body}, for the checks."""
    sent = {}
    with open(path, "wb") as file:
        file.write(PCAP_HEADER)
        for index, request in enumerate(requests):
            identity = struct.pack("<Q", FIRST_ID + index)
            port = FIRST_SOURCE_PORT + index % SOURCE_PORTS
            data = frame(message1.encode_request(request.right, identity, request.body), port)
            file.write(struct.pack("<IIII", 0, 0, len(data), len(data)) + data)
            sent[(port, identity)] = request.body
    return sent


def compare_answers(path, requests, enough):
    """Each answer is to one of `requests`, with its own body, right addresses and checksums; so is each refusal: busy,
    or no_such_right before control has published the right. Stops after `enough` answers and returns how many there were;
    raises if one is wrong or a request has none."""
    seen, nb_answers = set(), 0
    with open(path, "rb") as file:
        file.seek(len(PCAP_HEADER))
        while nb_answers < enough and len(header := file.read(16)) == 16:
            packet = file.read(struct.unpack_from("<I", header, 8)[0])
            ip, udp, payload = packet[14:34], packet[34:42], packet[42:]
            if len(udp) + len(payload) < struct.unpack(">H", ip[2:4])[0] - 20:
                break  # the node was stopped while it wrote
            assert packet[:12] == CLIENT_MAC + NODE_MAC, "addresses of the frame"
            assert checksum(ip) == 0, "IPv4 checksum"
            assert checksum(ip[12:20] + struct.pack(">BBH", 0, 17, len(udp) + len(payload)) + udp + payload) == 0, "UDP checksum"
            answer = message1.decode(payload)
            key = (struct.unpack(">H", udp[2:4])[0], answer.id)
            if answer.kind != message1.Kind.answer:
                early = (message1.Reason.busy, message1.Reason.no_such_right)
                assert answer.reason in early and key in requests, f"{answer}"
                continue
            assert answer.body == requests[key], f"the answer to {key}"
            seen.add(key)
            nb_answers += 1
    assert len(seen) == len(requests), f"{len(seen)} of {len(requests)} requests were answered"
    return nb_answers
