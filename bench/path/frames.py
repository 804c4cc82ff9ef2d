"""Ethernet frames with message-1 requests, as pcap files, and the check of what comes back."""
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


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def frame(payload, source_port):
    source, destination = (ipaddress.IPv4Address(a).packed for a in (CLIENT_ADDRESS, NODE_ADDRESS))
    udp = struct.pack(">HHHH", source_port, UDP_PORT, 8 + len(payload), 0)
    pseudo = source + destination + struct.pack(">BBH", 0, 17, 8 + len(payload))
    udp = udp[:6] + struct.pack(">H", checksum(pseudo + udp + payload) or 0xFFFF)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + 8 + len(payload), 0, 0x4000, 64, 17, 0, source, destination)
    ip = ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:]
    return NODE_MAC + CLIENT_MAC + b"\x08\x00" + ip + udp + payload


def write_pcap(path, uri, count, body_bytes):
    """Writes `count` different requests; returns {(source port, id): body}."""
    _, right = message1.parse_uri(uri)
    requests = {}
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for index in range(count):
            identity = struct.pack("<Q", 0x1000 + index)
            body = bytes((index + i) & 0xFF for i in range(body_bytes))
            port = FIRST_SOURCE_PORT + index % 16384
            data = frame(message1.encode_request(right, identity, body), port)
            file.write(struct.pack("<IIII", 0, 0, len(data), len(data)) + data)
            requests[(port, identity)] = body
    return requests


def compare_answers(path, requests, enough):
    """Each answer is to one of `requests`, with its own body, right addresses and checksums; so is each refusal: busy,
    or no_such_right before control has published the right. Stops after `enough` answers and returns how many there were; raises if one is wrong or a request has
    none."""
    seen, nb_answers = set(), 0
    with open(path, "rb") as file:
        file.seek(24)
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
