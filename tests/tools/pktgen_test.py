#!/usr/bin/env python3
"""Shows what tools/pktgen promises without Pktgen: that make-pcap's frames are right for IPv4, IPv6 and VLAN, ask what they should
and are told apart from refusals by their lengths; and that the scripts find the rate at which a simulated node answers everything.
tshark, which the tests have anyway, runs them: it has a Lua of its own."""
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / folder) for folder in ("tests/python", "tests/e2e", "bench/path")]
import frames
import message1
import tap

PKTGEN = ROOT / "tools" / "pktgen"
RIGHT = message1.Right(7, 3, bytes(range(16)))
V4 = ["--right", message1.to_uri("192.0.2.1", RIGHT), "--source-ip", "192.0.2.2", "--node-mac", "02:70:63:61:70:00"]
V6 = ["--right", message1.to_uri("2001:db8::1", RIGHT), "--source-ip", "2001:db8::2", "--node-mac", "02:70:63:61:70:00"]


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgrid-pktgen-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.pcap = self.directory / "requests.pcap"

    def make(self, *options, status=0):
        done = subprocess.run([PKTGEN / "make-pcap", *map(str, options), "--out", self.pcap], capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def frames(self):
        data, at = self.pcap.read_bytes(), 24
        while at < len(data):
            length = struct.unpack_from("<I", data, at + 8)[0]
            yield data[at + 16:at + 16 + length]
            at += 16 + length

    def facts(self):
        text = pathlib.Path(f"{self.pcap}.lua").read_text()
        return {name: int(value) for name, value in (pair.split(" = ") for pair in text[text.index("{") + 1:text.index("}")].split(", "))}


class MakePcap(Case):
    def test_same_as_the_bench(self):
        """over IPv4 the frames are those of bench/path, byte for byte"""
        self.make(*V4, "--body", 64, "--count", 3)
        for index, frame in enumerate(self.frames()):
            body = bytes((index + i) & 0xFF for i in range(64))
            payload = message1.encode_request(RIGHT, struct.pack("<Q", 1 + index), body)
            self.assertEqual(frame, frames.frame(payload, frames.FIRST_SOURCE_PORT + index))
        self.assertEqual(self.pcap.stat().st_mode & 0o777, 0o600, "the file holds a right")

    def test_headers(self):
        """IPv6 and VLAN: tshark finds addresses, tag, checksums and the request"""
        names = ["vlan.id", "ipv6.src", "ipv6.dst", "udp.srcport", "udp.dstport", "udp.checksum.status", "promisegrid.to.slot",
                 "promisegrid.deadline_us", "promisegrid.body_length", "promisegrid.id", "promisegrid.malformed"]
        self.make(*V6, "--vlan", 100, "--body", 300, "--count", 5, "--flows", 2, "--deadline-us", 5000)
        done = subprocess.run(["tshark", "-n", "-X", f"lua_script:{ROOT / 'tools/wireshark/promisegrid.lua'}", "-o", "udp.check_checksum:TRUE",
                               "-r", self.pcap, "-T", "fields", *(word for name in names for word in ("-e", name))],
                              capture_output=True, text=True, timeout=60, env={**os.environ, "HOME": str(self.directory)})
        rows = [dict(zip(names, line.split("\t"))) for line in done.stdout.splitlines()]
        self.assertEqual(len(rows), 5, done.stderr)
        for index, row in enumerate(rows):
            self.assertEqual(list(row.values()), ["100", "2001:db8::2", "2001:db8::1", str(10000 + index % 2), "4646", "1", "7", "5000", "300",
                                                  f"{index + 1:02x}00000000000000", ""])

    def test_facts(self):
        """FILE.lua has the lengths of a frame, an echo's answer and a refusal"""
        self.make(*V4, "--body", 64)
        around = 14 + 20 + 8
        self.assertEqual(self.facts(), {"frame_bytes": len(next(self.frames())), "count": 1024,
                                        "answer_bytes": around + len(message1.encode_answer(bytes(8), bytes(64))), "refusal_bytes": around + 86})

    def test_refusals(self):
        """what cannot be is one sentence and status 2"""
        self.assertIn("not of one IP version", self.make(*V6[:2], *V4[2:], status=2))
        self.assertIn("looks like grid://", self.make("--right", "grid://x", *V4[2:], status=2))
        self.assertIn("a number from 0 to 1,024", self.make(*V4, "--body", 1025, status=2))
        self.assertIn("--node-ip", self.make("--right", message1.to_uri("node.example", RIGHT), *V4[2:], status=2))


class Scripts(Case):
    def run_script(self, name, **settings):
        """Runs a script over the simulated node; gives what it reported, and what it said."""
        self.make(*V4)
        result = self.directory / "result.jsonl"
        result.unlink(missing_ok=True)
        environment = {"PKTGEN_FACTS": f"{self.pcap}.lua", "PKTGEN_RESULT": str(result), "SIMULATED_SCRIPT": str(PKTGEN / name),
                       "HOME": str(self.directory), **{key: str(value) for key, value in settings.items()}}
        done = subprocess.run(["tshark", "-X", f"lua_script:{ROOT / 'tests/tools/simulated_pktgen.lua'}", "-r", self.pcap, "-c", "1"],
                              capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
        self.assertNotIn("simulated_pktgen.lua:", done.stderr)
        return [json.loads(line) for line in result.read_text().splitlines()], done.stdout

    def test_throughput(self):
        """the search ends at what the node takes, within its precision, whatever the start"""
        for takes in (50, 123_456, 3_000_000):
            with self.subTest(takes):
                [report], said = self.run_script("throughput.lua", SIMULATED_TAKES=takes)
                self.assertLessEqual(report["throughput"], takes * 1.001, said)
                self.assertGreaterEqual(report["throughput"], takes * 0.95, said)
                self.assertEqual((report["lost"], report["refused"]), (0, 0))
                self.assertIn("every one answered, in 3 trials of 60 s", said)

    def test_source_too_slow(self):
        """a source that does not keep its rate is not taken for a fast node"""
        [report], said = self.run_script("throughput.lua", SIMULATED_TAKES=3_000_000, SIMULATED_SOURCE=1_000_000)
        self.assertLess(report["throughput"], 1_060_000, said)
        self.assertIn("did not keep that rate", said)

    def test_frame_loss(self):
        """loss is what was not answered, refused or silent; two rates without loss end it"""
        reports, said = self.run_script("frame_loss.lua", SIMULATED_TAKES=400_000, PKTGEN_TO=1_000_000)
        loss = [report["loss_percent"] for report in reports]
        self.assertEqual([round(value) for value in loss], [60, 56, 50, 43, 33, 20, 0, 0], said)
        self.assertGreater(reports[0]["refused"], 0)


if __name__ == "__main__":
    tap.main()
