#!/usr/bin/env python3
"""Shows the whole path over a TAP port: a kernel socket, a right, a function and back; IPv4, IPv6, ping; every size of body;
what `pgrid invoke` prints; and each refusal that a right can give."""
import json
import os
import re
import socket
import subprocess

import case
from node import EXAMPLES, PGRID, ROOT


class Calls(case.Case):
    def test_ping(self):
        """ping is answered, IPv4 and IPv6"""
        node = self.node()
        for flag, address in (("-4", node.v4), ("-6", node.v6)):
            done = subprocess.run(["ping", flag, "-n", "-c", "3", "-i", "0.2", "-W", "2", address], capture_output=True, text=True)
            self.assertIn("3 received", done.stdout)
        self.assertEqual(node.counter("echo_answered"), 6)
        self.assertGreaterEqual(node.counter("arp_answered"), 1)
        self.assertGreaterEqual(node.counter("ndp_answered"), 1)

    def test_telemetry(self):
        """DPDK's telemetry socket tells the same counters as control, and the histograms add up"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        uri = node.create_right("echo")["uri"]
        case.Load(self.undo, uri, count=50, outstanding=4).report(30)
        name = re.search('name = "(.*)"', node.config.read_text()).group(1)
        told = {}
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asker:
            asker.settimeout(5)
            asker.connect(f"/var/run/dpdk/{name}/dpdk_telemetry.v2")
            asker.recv(1024)  # who it is
            for command in ("counters", "workers", "latency", "bursts"):
                asker.send(f"/pgrid/{command}".encode())
                told[command] = json.loads(asker.recv(16384))[f"/pgrid/{command}"]
        self.assertEqual(told["counters"]["answered"], 50)
        self.assertEqual(told["counters"].keys(), node.stat()["totals"].keys())
        self.assertEqual(sum(told["latency"].values()), 50)
        self.assertEqual(told["workers"]["worker0_deaths"], 0)
        received = sum(int(size.removeprefix("packets_")) * n for size, n in told["bursts"].items())
        self.assertGreaterEqual(received, 50)
        self.assertLessEqual(received, node.counter("rx_packets"))

    def test_udp_both_families(self):
        """a kernel socket calls a function, IPv4 and IPv6"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        uri = node.create_right("echo")["uri"]
        text = uri.rsplit("/", 1)[1]
        for host in (node.v4, f"[{node.v6}]"):
            report = case.Load(self.undo, f"grid://{host}:4646/{text}", count=200, outstanding=4, verify_echo=True).report(30)
            self.assertEqual((report["sent"], report["answered"], report["lost"], report["duplicated"]), (200, 200, 0, 0))
        self.assertEqual(node.counter("answered"), 400)

    def test_bodies(self):
        """bodies of every length class come back whole; one byte more than 1,024 is refused"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        for length in (0, 1, 3, 4, 63, 64, 65, 171, 172, 173, 255, 256, 257, 1023, 1024):
            body = bytes(i * 7 & 255 for i in range(length))
            self.assertAnswer(node.invoke("echo", body), body)
        with self.assertRaises(ValueError) as refused:
            node.invoke("echo", bytes(1025))
        self.assertIn(refused.exception.code, ("invalid_argument", "refused"))

    def test_invoke_json(self):
        """pgrid invoke --json prints kind, reason, body and round trip"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        out = json.loads(node.cli("invoke", "echo", "hello", "--json").stdout)
        self.assertEqual((out["kind"], out["reason"]), ("answer", "none"))
        self.assertEqual(out["body"], "hello")
        self.assertGreater(out["round_trip_ns"], 0)

    def test_state_between_messages(self):
        """a function keeps its memory from one message to the next"""
        node = self.node()
        node.deploy(EXAMPLES / "counter.wasm", "counter")
        bodies = [node.invoke("counter")["body"] for _ in range(3)]
        self.assertEqual(len(set(bodies)), 3)

    def test_wordcount(self):
        """the third example answers"""
        node = self.node()
        node.deploy(EXAMPLES / "wordcount.wasm", "words")
        answer = node.invoke("words", b"one two  three")
        self.assertEqual((answer["kind"], answer["reason"]), ("answer", "none"))
        self.assertIn(b"3", answer["body"])


class Readme(case.Case):
    def test_own_function(self):
        """the lines of README.md, "Your own function", work as they stand there"""
        node = self.node()
        block = re.search(r"## Your own function.*?\n\n((?:    [^\n]*\n)+)", (ROOT / "README.md").read_text(), re.S).group(1)
        lines = [line.strip() for line in block.splitlines()]
        self.assertGreaterEqual(len(lines), 5)
        environment = dict(os.environ, PGRID_NODE=str(node.run), PATH=f"{PGRID.parent}:{os.environ['PATH']}")
        for line in lines:
            done = subprocess.run(["bash", "-c", line], cwd=node.directory, env=environment, capture_output=True, text=True,
                                  timeout=60, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 0, f"{line}: {done.stderr}{done.stdout}")
        self.assertIn("grid://", done.stdout)


class Rights(case.Case):
    def call(self, uri, **options):
        return case.Load(self.undo, uri, **options).report(30)

    def test_revoked(self):
        """a revoked right is refused from the moment that revoke returns"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        right = node.create_right("echo")
        self.assertEqual(self.call(right["uri"], count=10, outstanding=1)["answered"], 10)
        gone = node.api("DELETE", f"/v1/rights/{right['slot']}.{right['generation']}")
        self.assertEqual((gone["revoked"], gone["applies"]), (True, "now"))
        report = self.call(right["uri"], count=3, outstanding=1)
        self.assertEqual(report["answered"], 0)
        self.assertEqual(report["non_commitments"]["no_such_right"], 3)
        self.assertEqual(node.counter("right_revoked") + node.counter("right_old_generation"), 3)

    def test_quota(self):
        """beyond its rate a right answers quota_exceeded, and no message is lost"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        right = node.create_right("echo", rate=10, burst=5)
        report = self.call(right["uri"], count=50, outstanding=1)
        refused = report["non_commitments"]["quota_exceeded"]
        self.assertEqual(report["answered"] + refused, 50)
        self.assertGreaterEqual(report["answered"], 5)
        self.assertGreater(refused, 0)
        self.assertEqual(node.counter("quota_exceeded"), refused)

    def test_body_max(self):
        """a body longer than the right allows is too_large"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        right = node.create_right("echo", body_max=16)
        self.assertEqual(self.call(right["uri"], count=5, outstanding=1, body=16)["answered"], 5)
        self.assertEqual(self.call(right["uri"], count=5, outstanding=1, body=17)["non_commitments"]["too_large"], 5)

    def test_wrong_key(self):
        """a wrong key is no_such_right, like a slot that never was; the counters tell them apart"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        uri = node.create_right("echo")["uri"]
        wrong = uri[:-3] + ("a" if uri[-3] != "a" else "b") + uri[-2:]
        report = self.call(wrong, count=2, outstanding=1)
        self.assertEqual(report["non_commitments"]["no_such_right"], 2)
        self.assertEqual(node.counter("right_wrong_key"), 2)

    def test_label_and_logs(self):
        """rights are listed with their label, and nobody sees a key who did not ask for it"""
        node = self.node()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        node.create_right("echo", label=4711)
        shown = node.cli("cap", "ls", "--json").stdout
        self.assertIn("4711", shown)
        self.assertNotIn("grid://", shown)
        self.assertIn("grid://", node.cli("cap", "ls", "--show-secret", "--json").stdout)


if __name__ == "__main__":
    case.main()
