#!/usr/bin/env python3
"""Shows that nodes share a machine, and that two nodes that get each other's non-commitments fall silent."""
import socket
import struct
import subprocess
import time

import case
from node import EXAMPLES
from sandbox import poll

B = dict(name="b", device="tap:pg1", v4="198.51.100.1", host_v4="198.51.100.2", v6="2001:db8:1::1", host_v6="2001:db8:1::2")
ROUNDS = 20


def capture_request(undo, uri_text):
    """The UDP payload of one request that pgrid-load makes, caught on a socket of ours."""
    catcher = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    undo.later(catcher.close)
    catcher.bind(("127.0.0.1", 0))
    catcher.settimeout(10)
    load = case.Load(undo, f"grid://127.0.0.1:{catcher.getsockname()[1]}/{uri_text}", count=1, outstanding=1)
    payload = catcher.recv(2048)
    load.process.wait(30)
    return payload


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def forge(source, destination, payload):
    """An IPv4 packet from UDP 4646 of one node to UDP 4646 of another, as neither of them sent it."""
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack("!BBH", 0, 17, 8 + len(payload))
    udp = struct.pack("!HHHH", 4646, 4646, 8 + len(payload), 0) + payload
    udp = udp[:6] + struct.pack("!H", checksum(pseudo + udp) or 0xFFFF) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, socket.inet_aton(source),
                     socket.inet_aton(destination))
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + udp


class TwoNodes(case.Case):
    def test_side_by_side(self):
        """two nodes on one machine serve their own functions and know nothing of each other"""
        a, b = self.node(), self.node(**B)
        for node in (a, b):
            node.deploy(EXAMPLES / "echo.wasm", f"echo-{node.name}")
            uri = node.create_right(f"echo-{node.name}")["uri"]
            report = case.Load(self.undo, uri, count=200, outstanding=4).report(30)
            self.assertEqual((report["answered"], report["lost"]), (200, 0))
        self.assertEqual([p["name"] for p in a.api("GET", "/v1/processes")["processes"]], ["echo-a"])
        self.assertEqual([p["name"] for p in b.api("GET", "/v1/processes")["processes"]], ["echo-b"])
        self.assertEqual((a.counter("answered"), b.counter("answered")), (200, 200))
        self.assertNotEqual(a.api("GET", "/v1/node")["boot_id"], b.api("GET", "/v1/node")["boot_id"])

    def test_silence(self):
        """a refusal that reaches another node is counted there and answered by nobody"""
        a, b = self.node(), self.node(**B)
        a.deploy(EXAMPLES / "echo.wasm", "echo")
        # A right that neither node knows: the text of a real one with another key.
        text = a.create_right("echo")["uri"].rsplit("/", 1)[1]
        request = capture_request(self.undo, text[:20] + ("a" if text[20] != "a" else "b") + text[21:])
        open("/proc/sys/net/ipv4/ip_forward", "w").write("1")
        for interface in ("all", "pg0", "pg1"):
            open(f"/proc/sys/net/ipv4/conf/{interface}/rp_filter", "w").write("0")
        # To each node as if from the other: their refusals go to each other.
        sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self.undo.later(sender.close)
        for _ in range(ROUNDS):
            sender.sendto(forge(a.v4, b.v4, request), (b.v4, 0))
            sender.sendto(forge(b.v4, a.v4, request), (a.v4, 0))
        refused = lambda node: sum(node.counter(c) for c in ("right_unknown", "right_wrong_key", "right_old_generation"))
        for node in (a, b):
            poll(lambda: refused(node) == ROUNDS, 5, f"{node.name} refused every one, now {refused(node)}")
            poll(lambda: node.counter("answer_unexpected") > 0, 5, f"the other's refusals reach {node.name}")

        def totals():
            return [{c: node.counter(c) for c in ("tx_packets", "answer_unexpected")} for node in (a, b)]
        before = totals()
        end = time.monotonic() + 5
        while True:  # ARP and NDP of the kernel may still move tx_packets; silence is two equal looks
            time.sleep(0.5)
            now = totals()
            if now == before:
                break
            self.assertLess(time.monotonic(), end, f"still talking: {before} {now}")
            before = now
        self.assertLessEqual(now[0]["answer_unexpected"], ROUNDS)
        self.assertLessEqual(now[1]["answer_unexpected"], ROUNDS)


if __name__ == "__main__":
    case.main()
