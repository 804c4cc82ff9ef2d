#!/usr/bin/env python3
"""Shows that tools/wireshark/promisegrid.lua, in tshark, reads frames as the node does: every row of the packet table and some
thousand changed messages, field by field, against what the node's own parser said of them (tests/packets/write_pcap.cpp); the
examples of promise-1.md; requests beside what came back; and that no bytes whatever make it fail.

usage: wireshark_test.py WRITE_PCAP [CASE...]
"""
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "python"), str(ROOT / "tests" / "e2e")]
import message1
import tap

WRITE_PCAP = pathlib.Path(sys.argv.pop(1))
DISSECTOR = ROOT / "tools" / "wireshark" / "promisegrid.lua"
README = ROOT / "tools" / "wireshark" / "README.md"
PROMISE = ROOT / "abi" / "wire" / "promise-1.md"
RIGHTS = ("to", "reply_to", "rights")
FIELDS = ["frame.number", "frame.protocols", "ip.flags.mf", "ip.frag_offset", "_ws.lua.error", "_ws.expert.severity", "_ws.malformed",
          *(f"promisegrid.{name}" for name in
            ["protocol", "pcid", "pcid_text", "malformed", "kind", "id", "deadline_us", "reason", "body_length", "body", "rights.count",
             *(f"{right}.{part}" for right in RIGHTS for part in ("slot", "generation", "key")),
             "response_in", "response_to", "time", "note.cut", "note.refused", "promise.operation"])]
# Counters of what never reaches the dissector, because Wireshark takes it for something else or flags it itself; and of frames that
# are as they should be but not for this node, or not wanted by it.
ELSEWHERE = {"frame_truncated", "frame_not_for_us", "ethertype_unknown", "ip_malformed", "ip_not_for_us", "udp_port_closed",
             "icmp_ignored"}
SEED = 4646
IPV4_UDP = 14 + 20 + 8  # bytes before the payload


def frames_of(path):
    data, at = path.read_bytes(), 24
    while at < len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        yield data[at + 16:at + 16 + length]
        at += 16 + length


def write_pcap(path, frames, cuts=None):
    """`cuts`: of each frame at most so many bytes are in the file, as with a snap length."""
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number, frame in enumerate(frames):
            held = frame[:cuts[number]] if cuts else frame
            file.write(struct.pack("<IIII", number, 0, len(held), len(frame)) + held)


def datagram(payload, source_port=40000, port=4646):
    """A frame around a payload; the checksum is not right, which is as Wireshark is set up not looked at."""
    length = len(payload)
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + length, 0, 0x4000, 64, 17, 0, bytes([192, 0, 2, 7]), bytes([192, 0, 2, 1]))
    return bytes.fromhex("020000000001 020000000007 0800") + ip + struct.pack(">HHHH", source_port, port, 8 + length, 0xffff) + payload


def cid_of(document):
    return bytes.fromhex("01551220") + hashlib.sha256(document.read_bytes()).digest()


def examples_of_promise_1():
    """Name and bytes of every example in the document."""
    for name, block in re.findall(r"```hex ([a-z-]+)\n(.*?)```", PROMISE.read_text(encoding="utf-8"), re.DOTALL):
        data = b""
        for line in block.splitlines():
            words = line.split("#")[0].split()
            data += bytes.fromhex(words[0]) * int(words[2]) if words[1:2] == ["*"] else bytes.fromhex("".join(words))
        yield name, data


def promise_datagram(body):
    head = bytes([0x40 + len(body)]) if len(body) < 24 else bytes([0x58, len(body)]) if len(body) < 256 else struct.pack(">BH", 0x59, len(body))
    return message1.BEFORE_PCID + cid_of(PROMISE) + head + body


def read_cbor(data, at=0):
    """The item at `at`, and where the next one is."""
    major, value = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        return value == 21, at
    if value >= 24:
        size = 1 << value - 24
        value, at = int.from_bytes(data[at:at + size], "big"), at + size
    if major in (2, 3):
        return (data[at:at + value] if major == 2 else data[at:at + value].decode()), at + value
    if major == 0:
        return value, at
    items = []
    for _ in range(value * (2 if major == 5 else 1)):
        item, at = read_cbor(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2])) if major == 5 else items), at


class Dissector(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgrid-wireshark-"))
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        subprocess.run([WRITE_PCAP, cls.directory], check=True, timeout=300)

    def tshark(self, *options):
        home = {"HOME": str(self.directory), "XDG_CONFIG_HOME": str(self.directory)}  # nobody's own preferences and plugins
        done = subprocess.run(["tshark", "-n", "-X", f"lua_script:{DISSECTOR}", *map(str, options)], capture_output=True, text=True,
                              timeout=250, env={**os.environ, **home, "LC_ALL": "C.UTF-8"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotRegex(done.stderr + done.stdout, "(?i)lua:? error|\\.lua:")
        return done.stdout

    def decode(self, path, *options, fields=FIELDS):
        """A dictionary for each frame: lists of what each field shows."""
        words = [word for name in fields for word in ("-e", name)]
        lines = self.tshark("-r", path, *options, "-T", "fields", "-E", "occurrence=a", "-E", "aggregator=;", "-E", "separator=/t", *words)
        decoded = [dict(zip(fields, (cell.split(";") if cell else [] for cell in line.split("\t")))) for line in lines.splitlines()]
        for frame in decoded:
            self.assertEqual(frame.get("_ws.lua.error", []), [], frame)
        return decoded

    def pair(self, stem, *options):
        """What the node says of each frame, and what tshark shows."""
        expected = [json.loads(line) for line in (self.directory / f"{stem}.jsonl").read_text().splitlines()]
        decoded = self.decode(self.directory / f"{stem}.pcap", *options)
        self.assertEqual(len(expected), len(decoded))
        return zip(expected, decoded)

    def assertFields(self, fields, shown, note):
        def one(name, default):
            return (shown[f"promisegrid.{name}"] or [default])[0]

        def rights(name):
            columns = [shown[f"promisegrid.{name}.{part}"] for part in ("slot", "generation", "key")]
            return [{"slot": int(s), "generation": int(g), "key": k.replace(":", "")} for s, g, k in zip(*columns)]

        got = {"kind": int(one("kind", "-1")), "deadline_us": int(one("deadline_us", "0")), "reason": int(one("reason", "0")),
               "id": one("id", "0" * 16).replace(":", ""), "body": one("body", "").replace(":", ""), "rights": rights("rights"),
               "to": (rights("to") or [None])[0], "reply_to": (rights("reply_to") or [None])[0]}
        self.assertEqual(fields, got, note)
        self.assertEqual(int(one("body_length", "0")), len(fields["body"]) // 2, note)

    def test_names(self):
        """the pCIDs in it are those of the documents; a datagram shows them as bytes and as text"""
        script = DISSECTOR.read_text()
        for name in ("message-1", "promise-1"):
            cid = cid_of(ROOT / "abi" / "wire" / f"{name}.md").hex()
            self.assertIn(f'["{cid}"] = "{name}"', script, f"{name}.md has changed: its CID in {DISSECTOR.name} is now {cid}")
        path = self.directory / "names.pcap"
        write_pcap(path, [datagram(message1.encode_request(message1.Right(1, 1, bytes(16)), bytes(8)))])
        [frame] = self.decode(path)
        self.assertEqual(frame["promisegrid.pcid"][0].replace(":", ""), message1.PCID.hex())
        self.assertEqual(frame["promisegrid.pcid_text"], ["b" + message1.to_base32(message1.PCID)])

    def test_packet_table(self):
        """every packet of the table: fields as the node reads them, malformed ones flagged with the node's counter"""
        flagged, read, by_wireshark = set(), 0, 0
        for expected, shown in self.pair("packets", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"):
            note = f"{expected['row']}, {expected['variant']}: {expected['counter']}; shown: {shown}"
            malformed = shown["promisegrid.malformed"]
            if "promisegrid" not in shown["frame.protocols"][0].split(":"):
                # Not ours: another protocol, or so broken that Wireshark's own dissectors flag it or leave it as a fragment.
                self.assertTrue(expected["verdict"] in ("", "envelope_truncated"), note)
                by_wireshark += 1
                continue
            if expected["fields"] is not None:
                self.assertFields(expected["fields"], shown, note)
                read += 1
            if expected["verdict"] not in ("", "ok", "unknown_protocol"):
                self.assertIn(expected["verdict"], malformed, note)
            if expected["counter"].startswith(("udp_checksum", "source", "vlan", "envelope", "message", "payload")):
                self.assertIn(expected["counter"], malformed, note)
                flagged.add(expected["counter"])
            if malformed and expected["counter"] not in ELSEWHERE:
                self.assertEqual(malformed[0], expected["counter"], note)
            if expected["counter"] == "dispatched":
                self.assertEqual(malformed, [], note)
                self.assertEqual(shown["promisegrid.note.refused"] + shown["promisegrid.note.cut"], [], note)
            if expected["counter"] in ("too_large", "carried_rights_refused"):
                self.assertTrue(not malformed and (shown["promisegrid.note.refused"] or "small" in note or "larger" in note), note)
        self.assertGreater(read, 200)
        self.assertEqual(len(flagged), 16, flagged)
        self.assertGreater(by_wireshark, 50)

    def test_frames_that_are_not_messages(self):
        """frames that end before their message, fragments and broken headers: flagged, or no message to anybody"""
        for expected, shown in self.pair("packets", "-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE"):
            if expected["counter"] not in ("frame_truncated", "udp_malformed", "ip_fragment", "ip_checksum_bad", "ip_malformed"):
                continue
            silent = not (shown["promisegrid.malformed"] or shown["_ws.expert.severity"] or shown["_ws.malformed"])
            ours = "promisegrid" in shown["frame.protocols"][0]
            self.assertFalse(ours and silent, f"{expected['row']}, {expected['variant']}: {shown}")

    def test_changed_messages(self):
        """six thousand messages with random changes: the same verdict as the node's parser, and the same fields"""
        verdicts = {}
        for number, (expected, shown) in enumerate(self.pair("mutated")):
            note = f"frame {number + 1} of mutated.pcap: {expected}; shown: {shown}"
            verdict = expected["verdict"]
            verdicts[verdict] = verdicts.get(verdict, 0) + 1
            if "promisegrid" not in shown["frame.protocols"][0].split(":"):
                self.assertEqual(verdict, "envelope_truncated", note)  # an empty datagram: nothing to look at
                continue
            good = verdict in ("ok", "unknown_protocol")
            self.assertEqual(shown["promisegrid.malformed"], [] if good else [verdict], note)
            if verdict == "unknown_protocol":
                self.assertEqual(shown["promisegrid.protocol"], ["unknown"], note)
            if expected["fields"] is not None:
                self.assertFields(expected["fields"], shown, note)
        self.assertGreater(verdicts["ok"], 500, verdicts)
        self.assertGreater(verdicts["message_malformed"], 500, verdicts)
        self.assertGreaterEqual(len(verdicts), 12, verdicts)

    def test_exchanges(self):
        """a request shows the frame of its answer, an answer its request and the time between them"""
        waiting, pairs, number = [], 0, 0
        expected = []
        for number, (line, shown) in enumerate(self.pair("exchanges", "-2"), 1):
            if line["is"] == "request":
                waiting.append((number, shown))
                continue
            request_number, request = waiting.pop()
            expected.append((line["reason"], request_number, number))
            self.assertEqual(shown["promisegrid.response_to"], [str(request_number)], f"{line}: {shown}")
            self.assertEqual(request["promisegrid.response_in"], [str(number)], f"{line}: {request}")
            self.assertAlmostEqual(float(shown["promisegrid.time"][0]), 250e-6, places=8)
            for _, unanswered in waiting:  # earlier ones with the same id, as when a request was lost
                self.assertEqual(unanswered["promisegrid.response_in"], [])
            waiting.clear()
            pairs += 1
        self.assertGreater(pairs, 100)
        self.assertTrue({"none", "busy", "no_such_right", "unknown_protocol"} <= {reason for reason, _, _ in expected}, expected)

    def test_promise_1(self):
        """the examples of promise-1.md: every key by its name, alone in a datagram and as the body of a message"""
        table = re.findall(r"^\| (\d+) \| ([a-z_]+) \|", PROMISE.read_text().split("\n## Operations")[0], re.M)
        names = {int(key): name for key, name in table}
        self.assertEqual(sorted(names), list(range(26)))
        fields = [*FIELDS, *(f"promisegrid.promise.{name}" for name in names.values()), "promisegrid.promise.tag",
                  *(f"promisegrid.promise.event.{name}" for name in ("number", "unix_ms", "what", "text"))]
        right = message1.Right(7, 3, bytes(16))
        examples = list(examples_of_promise_1())
        self.assertGreater(len(examples), 20)
        path = self.directory / "promise.pcap"
        write_pcap(path, [datagram(make(body)) for _, body in examples
                          for make in (promise_datagram, lambda body: message1.encode_request(right, bytes(8), body))])
        decoded = self.decode(path, "-o", "promisegrid.promise_bodies:TRUE", fields=fields)

        def text_of(value):
            return value.hex() if isinstance(value, bytes) else "1" if value is True else "0" if value is False else str(value)

        for index, shown in enumerate(decoded):
            name, body = examples[index // 2]
            self.assertEqual(shown["promisegrid.malformed"], [], f"{name}: {shown}")
            expected = {}

            def walk(value, key=None):
                if isinstance(value, dict):
                    for key, inner in value.items():
                        walk(inner, key)
                elif isinstance(value, list) and key == 23 and value and isinstance(value[0], int):
                    for part, inner in zip(("number", "unix_ms", "what", "text"), value):
                        expected.setdefault(f"event.{part}", []).append(text_of(inner))
                elif isinstance(value, list):
                    for inner in value:
                        walk(inner, key)
                else:
                    expected.setdefault("tag" if key == 14 else names[key], []).append(text_of(value))

            walk(read_cbor(body)[0])
            self.assertTrue(expected or name == "done", name)
            for field, values in expected.items():
                got = [value.replace("True", "1").replace("False", "0") for value in shown[f"promisegrid.promise.{field}"]]
                if field in ("bytes", "cid"):
                    got = [value.replace(":", "") for value in got]
                self.assertEqual(got, values, f"{name}, {field}: {shown}")

    def test_malformed_promise_1(self):
        """maps that break a rule of promise-1.md are flagged with it"""
        cases = {
            "promise_truncated": ["", "a2 00 01", "a1 00", "a1 14 44 01 02", "a3 00 01 01 1b 00 00", "a1 14 5b ff ff ff ff ff ff ff ff",
                                  "bb ff ff ff ff ff ff ff ff"],
            "promise_trailing": ["a0 00", "a1 00 05 a0"],
            "promise_not_map": ["80", "00", "f5", "da 67 72 69 64"],
            "promise_not_shortest": ["a1 00 18 05", "b8 01 00 05", "a1 03 19 00 ff", "a1 03 1b 00 00 00 00 ff ff ff ff"],
            "promise_indefinite": ["bf ff", "a1 14 5f ff", "a1 17 9f ff"],
            "promise_type": ["a1 00 61 61", "a1 0a 41 61", "a1 0f 01", "a1 61 61 00", "a1 03 20", "a1 03 fa 00 00 00 00", "a1 03 f6",
                             "a1 03 c0 00", "a1 0e 81 01", "a1 03 1c"],
            "promise_key_order": ["a2 01 00 00 01", "a2 01 00 01 00"],
            "promise_utf8": ["a1 0d 61 ff", "a1 0d 62 c0 80", "a1 0d 63 ed a0 80", "a1 0d 64 f4 90 80 80", "a1 0d 62 e2 82"],
            "promise_too_deep": ["a1 18 40 81 81 81 81 00"],
            "promise_key_unknown": ["a2 00 05 01 07", "a2 00 06 18 63 00"],
        }
        flat = [(verdict, bytes.fromhex(text)) for verdict, texts in cases.items() for text in texts]
        path = self.directory / "malformed.pcap"
        write_pcap(path, [datagram(promise_datagram(body)) for _, body in flat])
        for (verdict, body), shown in zip(flat, self.decode(path)):
            self.assertEqual(shown["promisegrid.malformed"], [verdict], f"{body.hex()}: {shown}")

    def test_other_ports(self):
        """an envelope is known on any port, unless a preference says no; other bytes there are left alone"""
        message = message1.encode_request(message1.Right(7, 3, bytes(16)), bytes(8), b"hello")
        path = self.directory / "ports.pcap"
        write_pcap(path, [datagram(message, port=port) for port in (4646, 5001, 5002)] + [datagram(b"x" * 90, port=5001)])

        def known(*options):
            return ["promisegrid" in frame["frame.protocols"][0] for frame in self.decode(path, *options)]
        self.assertEqual(known(), [True, True, True, False])
        self.assertEqual(known("-o", "promisegrid.heuristic:FALSE"), [True, False, False, False])
        self.assertEqual(known("-o", "promisegrid.heuristic:FALSE", "-o", "promisegrid.ports:5001-5002"), [False, True, True, True])

    def test_cut_frames(self):
        """frames that the capture holds a part of are said to be cut, never called malformed for it"""
        right = message1.Right(7, 3, bytes(16))
        frames = [datagram(message1.encode_request(right, bytes(8), b"h" * 300)),
                  datagram(promise_datagram(dict(examples_of_promise_1())["history-answer"]))]
        every = [(frame, cut_to) for frame in frames for cut_to in range(IPV4_UDP, len(frame))]
        path = self.directory / "cut.pcap"
        write_pcap(path, [frame for frame, _ in every], [cut_to for _, cut_to in every])
        seen = 0
        for (_, cut_to), shown in zip(every, self.decode(path)):
            self.assertEqual(shown["promisegrid.malformed"], [], f"cut to {cut_to}: {shown}")
            if "promisegrid" in shown["frame.protocols"][0]:
                self.assertNotEqual(shown["promisegrid.note.cut"], [], f"cut to {cut_to}: {shown}")
                seen += 1
        self.assertGreater(seen, 400)

    def test_any_bytes(self):
        """frames shortened everywhere, and random changes anywhere in them, never make it fail"""
        chance = random.Random(SEED)
        table = [frame for frame in frames_of(self.directory / "packets.pcap") if len(frame) > IPV4_UDP]
        table += [datagram(promise_datagram(body)) for _, body in examples_of_promise_1()]
        valid = table[0]
        frames = [valid[:length] for length in range(len(valid))]
        for _ in range(6000):
            frame = bytearray(chance.choice(table))
            for _ in range(chance.randint(1, 6)):
                frame[chance.randrange(len(frame))] = chance.randrange(256)
            frames.append(bytes(frame[:chance.randrange(len(frame))] if chance.random() < 0.2 else frame))
        path = self.directory / "any.pcap"
        write_pcap(path, frames)
        decoded = self.decode(path, "-2", "-o", "promisegrid.promise_bodies:TRUE")
        self.assertEqual(len(decoded), len(frames))
        self.assertGreater(sum("promisegrid" in frame["frame.protocols"][0] for frame in decoded if frame["frame.protocols"]), 3000)
        write_pcap(path, frames, [chance.randrange(200) for _ in frames])
        self.assertEqual(len(self.decode(path)), len(frames))
        self.assertNotIn("Lua Error", self.tshark("-r", path, "-V"))


if __name__ == "__main__":
    tap.main()
