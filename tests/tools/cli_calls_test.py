#!/usr/bin/env python3
"""Shows `pgrid invoke` over the API and by datagram, rights, counters, new functions and the doctor: the other half of
cli_test.py."""
import base64
import json
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import tap
from cli_case import PGRID, RIGHT, URI, Case, answer, error


class Invoke(Case):
    def test_body(self):
        """invoke: sends the body, prints the answer's"""
        with self.control({"POST /v1/invoke": lambda r: answer(base64.b64decode(json.loads(r[4])["body_base64"])[::-1])}) as control:
            self.assertEqual(self.say("invoke", "echo", "hello"), "olleh\n")
            self.assertEqual(self.say("invoke", "echo", "-", input=b"from stdin"), "nidts morf\n")
            self.assertEqual(self.say("invoke", "echo"), "\n")
            self.say("invoke", "echo", "x", "--deadline", "50ms")
            self.assertEqual(json.loads(control.requests[0][4]), {"target": "echo", "body_base64": "aGVsbG8="})
            self.assertEqual(json.loads(control.requests[3][4])["deadline_us"], 50_000)

    def test_json(self):
        """invoke --json: kind, reason, body or body_base64, round trip"""
        with self.control({"POST /v1/invoke": answer(b"text")}):
            self.assertEqual(json.loads(self.say("invoke", "e", "--json")),
                             {"kind": "answer", "reason": "none", "body": "text", "round_trip_ns": 4321})
        with self.control({"POST /v1/invoke": answer(b"\xff\x00")}):
            out = json.loads(self.say("invoke", "e", "--json"))
            self.assertEqual(base64.b64decode(out["body_base64"]), b"\xff\x00")
            self.assertNotIn("body", out)
            self.assertEqual(self.pgrid("invoke", "e").stdout, b"\xff\x00\n")

    def test_non_commitment(self):
        """a non-commitment: its reason, what to do, exit status 1"""
        with self.control({"POST /v1/invoke": answer(kind="non_commitment", reason="broken")}):
            done = self.pgrid("invoke", "e", status=1)
            self.assertIn(b"non_commitment: broken", done.stderr)
            self.assertIn(b"pgrid logs", done.stderr)
            self.assertEqual(json.loads(self.say("invoke", "e", "--json", status=1))["reason"], "broken")

    def test_count(self):
        """invoke --count: the sum of what came back; exit status by the worst"""
        kinds = iter([answer(), answer(), answer(kind="non_commitment", reason="busy"), answer()] * 2)
        with self.control({"POST /v1/invoke": lambda _: next(kinds)}):
            out = json.loads(self.say("invoke", "e", "--count", "4", "--json", status=1))
            self.assertEqual((out["sent"], out["answered"], out["non_commitments"], out["lost"]), (4, 3, {"busy": 1}, 0))
            self.assertEqual(out["round_trip_ns"]["p50"], 4321)
            self.assertIn("4 sent, 3 answered, 1 busy", self.say("invoke", "e", "--count", "4", status=1))
        with self.control({"POST /v1/invoke": error(504, "timed_out", "too slow")}):
            self.assertEqual(json.loads(self.say("invoke", "e", "--count", "3", "--json", status=4))["lost"], 3)

    def test_too_large(self):
        """a body beyond 1,024 bytes: exit status 2, and nothing is asked"""
        with self.control({"POST /v1/invoke": answer()}) as control:
            self.say("invoke", "e", "x" * 1024)
            self.fails("invoke", "e", "x" * 1025, status=2, contains="1025 bytes")
            self.assertEqual(len(control.requests), 1)


class Udp(Case):
    def serve(self, reply):
        """A UDP socket that answers each datagram with what `reply` makes of it."""
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("127.0.0.1", 0))
        self.addCleanup(server.close)

        def loop():
            try:
                while True:
                    datagram, source = server.recvfrom(2048)
                    for out in reply(datagram):
                        server.sendto(out, source)
            except OSError:
                pass

        threading.Thread(target=loop, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    @staticmethod
    def message(datagram, kind=1, reason=0, wrong_id=False):
        """An answer to a request, built by hand from the schema: the request's envelope, id and body."""
        content = datagram[50:]
        root = struct.unpack_from("<I", content)[0]
        vtable = root - struct.unpack_from("<i", content, root)[0]
        field = lambda n: root + struct.unpack_from("<H", content, vtable + 4 + 2 * n)[0]
        identity = content[field(3):field(3) + 8]
        if wrong_id:
            identity = bytes(8)
        vector = field(7) + struct.unpack_from("<I", content, field(7))[0]
        body = content[vector + 4:vector + 4 + struct.unpack_from("<I", content, vector)[0]]
        out = struct.pack("<I10H", 24, 20, 20, 4, 0, 0, 8, 0, 6, 0, 16)
        out += struct.pack("<iBxH8sI", 20, kind, reason, identity, 4) + struct.pack("<I", len(body)) + body
        out += bytes(-len(out) % 4)
        length = bytes([0x58, len(out) + 1, 0]) if len(out) <= 252 else b"\x59" + struct.pack(">H", len(out))
        return datagram[:47] + length + out

    def test_answer(self):
        """invoke --udp: a datagram there, its answer printed; no control needed"""
        place = self.serve(lambda d: [b"junk", self.message(d, wrong_id=True), self.message(d)])
        self.assertEqual(self.say("invoke", "--udp", place, URI, "over the wire"), "over the wire\n")
        self.assertEqual(self.say("invoke", "--udp", place, URI, "y" * 1024), "y" * 1024 + "\n")
        out = json.loads(self.say("invoke", "--udp", place, URI, "x", "--json"))
        self.assertEqual((out["kind"], out["body"]), ("answer", "x"))
        self.assertGreater(out["round_trip_ns"], 0)

    def test_refusal(self):
        """invoke --udp: a non-commitment has its reason"""
        place = self.serve(lambda d: [self.message(d, kind=2, reason=2)])
        self.assertEqual(json.loads(self.say("invoke", "--udp", place, URI, "--json", status=1))["reason"], "no_such_right")

    def test_silence(self):
        """invoke --udp: nothing comes back: exit status 4"""
        place = self.serve(lambda d: [])
        self.fails("invoke", "--udp", place, URI, "x", "--deadline", "1ms", status=4, contains="no answer came back")

    def test_needs_a_right(self):
        """invoke --udp NAME: exit status 2, and how to get a right"""
        self.fails("invoke", "--udp", "127.0.0.1", "echo", status=2, contains="pgrid cap create echo --show-secret")
        self.fails("invoke", "--udp", "127.0.0.1:0", URI, status=2, contains="is not a host")


class Rights(Case):
    def test_create(self):
        """cap create sends what was asked for; the secret shows only when asked for"""
        with self.control({"POST /v1/rights": lambda r: (201, {**RIGHT, **({"uri": URI} if "secrets=1" in r[2] else {})})}) as control:
            text = self.say("cap", "create", "echo")
            self.assertNotIn("grid://", text)
            self.assertIn("pgrid cap revoke 5.2", text)
            self.assertEqual(json.loads(control.requests[0][4]), {"process": "echo"})
            text = self.say("cap", "create", "echo", "--label", "77", "--rate", "1000", "--burst", "10", "--in-flight", "64", "--body-max", "1KiB",
                            "--deadline", "100ms", "--expires", "1h", "--show-secret")
            self.assertIn(URI, text.splitlines())
            self.assertEqual(json.loads(control.requests[1][4]),
                             {"process": "echo", "label": 77, "rate": 1000, "burst": 10, "in_flight_max": 64, "body_max": 1024,
                              "deadline_max_us": 100_000, "expires_in_s": 3600})

    def test_create_for_a_holder(self):
        """cap create --holder: a right that a process holds, and no secret"""
        held = {**RIGHT, "process": "wordcount", "holder": "twice", "handle": 6, "name": "words"}
        with self.control({"POST /v1/rights": (201, held)}) as control:
            text = self.say("cap", "create", "0", "--holder", "1", "--as", "words", "--rate", "5")
            self.assertIn("right 5.2 to wordcount, held by twice as words, handle 6; take it back with: pgrid cap revoke 5.2", text)
            self.assertNotIn("--show-secret", text)
            self.assertEqual(json.loads(control.requests[0][4]), {"process": "0", "holder": "1", "as": "words", "rate": 5})
            self.assertEqual(json.loads(self.say("cap", "create", "0", "--holder", "1", "--json")), held)
        self.fails("cap", "create", "a", "--holder", "b", "--show-secret", status=2, contains="--holder")

    def test_ls_of_a_holder(self):
        """cap ls: who holds a right, and all that one process holds"""
        held = {**RIGHT, "holder": "twice", "handle": 4, "name": "words"}
        with self.control({"GET /v1/rights": (200, {"rights": [RIGHT, held]})}) as control:
            plain, granted = self.say("cap", "ls", "--holder", "twice").splitlines()[1:]
            self.assertEqual(control.requests[0][2], "holder=twice")
            self.assertIn("twice as words, handle 4", granted)
            self.assertNotIn("handle", plain)
        with self.control({"GET /v1/rights": (200, {"rights": []})}):
            self.assertIn("pgrid cap create NAME --holder twice", self.say("cap", "ls", "--holder", "twice"))

    def test_revoke(self):
        """cap revoke says whether it applies now"""
        with self.control({"DELETE /v1/rights/5.2": (200, {"revoked": True, "applies": "now"})}):
            self.assertEqual(self.say("cap", "revoke", "5.2"), "right 5.2 is revoked\n")
        with self.control({"DELETE /v1/rights/5.2": (200, {"revoked": True, "applies": "at_restart"})}):
            self.assertIn("data plane is away", self.say("cap", "revoke", "5.2"))
        with self.control({"DELETE /v1/rights/desk": (200, {"revoked": True, "applies": "now", "count": 3})}):
            self.assertEqual(self.say("cap", "revoke", "desk"), "right desk is revoked, and 2 derived from it\n")

    def test_cap_derive(self):
        """cap derive: a narrower right out of one, by name or number"""
        with self.control({"POST /v1/rights/desk/derive": (201, {**RIGHT, "name": "intern", "uri": URI})}) as control:
            text = self.say("cap", "derive", "desk", "--as", "intern", "--can", "send", "--rate", "5", "--expires", "1h", "--show-secret")
            self.assertIn("right 5.2, intern, to echo, derived from desk; take it back with: pgrid cap revoke intern", text)
            self.assertIn(URI, text)
            self.assertEqual(json.loads(control.requests[0][4]), {"as": "intern", "can": "send", "rate": 5, "expires_in_s": 3600})
            self.assertEqual(control.requests[0][2], "secrets=1")

    def test_cap_ls_tree(self):
        """cap ls --tree: what was derived stands below what it came from, further in"""
        rights = [{**RIGHT, "slot": 5}, {**RIGHT, "slot": 6, "parent": "8.2"}, {**RIGHT, "slot": 8, "parent": "5.2"},
                  {**RIGHT, "slot": 9, "parent": "7.1"}, {**RIGHT, "slot": 10, "parent": "5.2"}]
        with self.control({"GET /v1/rights": (200, {"rights": rights})}):
            rows = self.say("cap", "ls", "--tree").splitlines()[1:]
            self.assertEqual([(len(row) - len(row.lstrip()), row.split()[0]) for row in rows],
                             [(0, "5.2"), (2, "8.2"), (4, "6.2"), (2, "10.2"), (0, "9.2")])

    def test_ls(self):
        """cap ls: a row for each right"""
        with self.control({"GET /v1/rights": (200, {"rights": [RIGHT]})}) as control:
            row = self.say("cap", "ls", "echo").splitlines()[1].split()
            self.assertEqual(row[:6], ["5.2", "-", "echo", "-", "active", "77"])
            self.assertEqual(control.requests[0][2], "process=echo")
            self.say("cap", "ls", "--show-secret")
            self.assertEqual(control.requests[1][2], "secrets=1")


class Stat(Case):
    def test_stat(self):
        """stat: the counters that moved, with their meaning, and whether the books balance"""
        stat = {"totals": {"rx_packets": 1000, "answered": 900, "vlan_nested": 0}, "in_flight": 3,
                "books": {"received": 1000, "ended": 1000, "dispatched": 903, "settled": 903, "balanced": True},
                "gauges": {"mbufs_total": 8192, "mbufs_in_use": 512, "huge_pages": 1, "plaintext": 1, "stopping": 0},
                "poll_cores": [{"poll_core": 0, "turns": 5, "idle_turns": 1, "in_flight": 3, "counters": {},
                                "latency_ns": {"count": 9, "p50": 1500, "p90": 2000, "p99": 3000, "p999": 4000, "max": 5000}}],
                "workers": [{"worker": 0, "state": "serving", "pid": 42, "deaths": 0, "processes": 1, "handled": 903, "rebuilds": 0}]}
        with self.control({"GET /v1/stat": (200, stat)}):
            text = self.say("stat")
            for words in ("1,000 received, 900 answered, 3 in flight; the books balance", "512 of 8,192", "frames received from ports", "1.50 us",
                          "serving"):
                self.assertIn(words, text)
            self.assertNotIn("vlan_nested", text)
            self.assertIn("vlan_nested", self.say("stat", "--all"))
            self.assertEqual(json.loads(self.say("stat", "--json")), stat)
        stat["workers"][0] |= {"instances": 2, "resident_bytes": 12 << 20}
        stat["memory"] = {"rights": 5, "rights_max": 65536, "right_bytes": 192, "processes": 3, "process_bytes": 128, "instances": 2,
                          "instance_bytes": 6 << 20, "dataplane_resident_bytes": 41 << 20, "workers_resident_bytes": 12 << 20,
                          "control_resident_bytes": 0}
        with self.control({"GET /v1/stat": (200, stat)}):
            text = self.say("stat")
            self.assertIn("a right takes 192 bytes of tables (5 of 65,536 installed), a process 128 bytes (3 deployed), an instance at most 6.0 MiB", text)
            self.assertIn("resident: data plane 41.0 MiB, workers 12.0 MiB, control -", text)
            self.assertIn("  12.0 MiB", text)
        stat["books"]["balanced"] = False
        with self.control({"GET /v1/stat": (200, stat)}):
            self.assertIn("the books do not balance now", self.say("stat"))


class New(Case):
    def test_new(self):
        """new: a folder that builds with make into a module that imports only promisegrid"""
        folder = self.directory / "greet-1"
        text = self.say("new", "--lang", "c", folder)
        self.assertIn("make -C", text)
        header = pathlib.Path(__file__).resolve().parents[2] / "abi" / "guest" / "promisegrid.h"
        self.assertEqual((folder / "promisegrid.h").read_text(), header.read_text())
        self.assertNotIn("NAME", (folder / "README.md").read_text())
        self.fails("new", folder, status=2, contains="is there already")
        if not shutil.which("clang-19"):
            self.skipTest("no clang-19")
        subprocess.run(["make", "-s", "-C", folder], check=True, timeout=60)
        module = (folder / "greet-1.wasm").read_bytes()
        self.assertEqual(module[:4], b"\0asm")
        self.assertIn(b"pg_activate", module)
        self.assertIn(b"promisegrid", module)
        self.assertNotIn(b"env", module)

    def test_new_rust(self):
        """new --lang rust: a cargo project; where Rust lacks the target, make says what to do"""
        folder = self.directory / "greet-1"
        self.say("new", "--lang", "rust", folder)
        binding = pathlib.Path(__file__).resolve().parents[2] / "abi" / "guest" / "promisegrid.rs"
        self.assertEqual((folder / "src" / "promisegrid.rs").read_text(), binding.read_text())
        self.assertIn('name = "greet-1"', (folder / "Cargo.toml").read_text())
        self.assertIn("release/greet_1.wasm", (folder / "Makefile").read_text())
        for file in folder.rglob("*"):
            if file.is_file() and file.name != "promisegrid.rs":
                self.assertNotRegex(file.read_text(), "NAME|CRATE", file)
        (self.directory / "rustc").write_text("#!/bin/sh\necho /nowhere\n")
        (self.directory / "rustc").chmod(0o755)
        done = subprocess.run(["make", "-C", folder, "CARGO=true", f"RUSTC={self.directory}/rustc"], capture_output=True, text=True, timeout=60)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Add it with: rustup target add wasm32-unknown-unknown", done.stderr)

    def test_bindings_agree(self):
        """promisegrid.rs says the same numbers as promisegrid.h"""
        guest = pathlib.Path(__file__).resolve().parents[2] / "abi" / "guest"
        header, rust = (guest / "promisegrid.h").read_text(), (guest / "promisegrid.rs").read_text()
        words = lambda name: "".join(part.capitalize() for part in name.split("_"))
        reasons = re.search(r"enum pg_reason \{(.*?)\}", header, re.S).group(1)
        named = dict(re.findall(r"PG_(\w+) = (\d+)", reasons))
        named.pop("REASON_NONE")
        enum = re.search(r"pub enum Reason \{(.*?)\}", rust, re.S).group(1)
        self.assertEqual(dict(re.findall(r"(\w+) = (\d+)", enum)), {words(name): n for name, n in named.items()})
        define = lambda name: re.search(rf"#define {name} (\d+)", header).group(1)
        self.assertIn(f"pub const BODY_MAX: usize = {define('PG_BODY_MAX')};", rust)
        self.assertIn(f"const ABI_VERSION: u8 = {define('PG_ABI_VERSION')};", rust)
        self.assertIn(f"pub const CONTROL: Handle = Handle({define('PG_HANDLE_CONTROL')});", rust)
        self.assertIn(f"const LOG: Handle = Handle({define('PG_HANDLE_LOG')});", rust)

    def test_bad_names(self):
        """new: a name that no process can have is refused, and nothing made"""
        for name in ("1up", "a b", "Hello", "a_b", "", "x" * 64, ".."):
            with self.subTest(name):
                self.fails("new", str(self.directory / name) if name != ".." else "..", status=2)
        self.assertEqual(list(self.directory.iterdir()), [])


class Doctor(Case):
    def test_doctor(self):
        """doctor: every finding has a level, what is wrong has a way to mend it, and the exit status says whether a node can run"""
        done = subprocess.run([PGRID, "--node", self.directory, "doctor", "--json"], capture_output=True, text=True, timeout=30)
        report = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if report["can_run"] else 1)
        subjects = [f["subject"] for f in report["findings"]]
        for subject in ("programs", "privileges", "tap ports", "directory", "cores", "isolated cores", "huge pages", "locked memory", "iommu", "vfio"):
            self.assertIn(subject, subjects)
        for finding in report["findings"]:
            self.assertIn(finding["level"], ("ok", "warning", "missing"))
            if finding["level"] != "ok":
                self.assertTrue(finding["mend"], finding)
        self.assertEqual(report["can_run"], all(f["level"] != "missing" for f in report["findings"]))


if __name__ == "__main__":
    tap.main()
