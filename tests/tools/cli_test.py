#!/usr/bin/env python3
"""Shows what each command of `pgrid` asks of control, what it prints for people and for programs, and its exit status,
against a control socket in this test that answers as docs/API.md says."""
import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import tap
from fake_control import FakeControl

PGRID = pathlib.Path(os.environ["PGRID_BUILD"]) / "tools" / "pgrid" / "pgrid"
COMMANDS = ["up", "doctor", "new", "deploy", "ls", "inspect", "rm", "logs", "invoke", "cap create", "cap revoke", "cap ls", "stat"]

COUNTS = {"kept": 1234, "broken": 1, "declined": 2, "no_answer": 3, "refused": 4}
PROCESS = {"name": "echo", "process": 1, "cid": "bafkecho", "worker": 0, "state": "loaded", "state_text": "", "memory_bytes": 1 << 20,
           "time_limit_us": 1000, "rate": 0, "deployed_unix": 1_000_000_000, "module_bytes": 512, "rebuilds": 0, "counts": COUNTS}
RIGHT = {"slot": 5, "generation": 2, "process": "echo", "label": 77, "rate": 1000, "burst": 10, "in_flight_max": 64, "body_max": 1024,
         "deadline_max_us": 100_000, "expires_unix": 0, "created_unix": 1_000_000_000, "state": "active", "counts": COUNTS}
URI = "grid://127.0.0.1:4646/" + "a" * 38 + "a"


def answer(body=b"", kind="answer", reason="none"):
    return 200, {"kind": kind, "reason": reason, "body_base64": base64.b64encode(body).decode(), "round_trip_ns": 4321}


def error(status, code, message):
    return status, {"error": {"code": code, "message": message}}


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgrid-cli-"))
        self.addCleanup(shutil.rmtree, self.directory)

    def pgrid(self, *words, status=0, input=None, **options):
        done = subprocess.run([PGRID, "--node", self.directory, *words], capture_output=True, timeout=30,
                              input=input if input is not None else b"", **options)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def say(self, *words, **options):
        return self.pgrid(*words, **options).stdout.decode()

    def fails(self, *words, status, contains=""):
        """One sentence on stderr, nothing on stdout."""
        done = self.pgrid(*words, status=status)
        lines = done.stderr.decode().splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertTrue(lines[0].startswith("pgrid: "), lines)
        self.assertIn(contains, lines[0])
        self.assertEqual(done.stdout, b"")
        # The same for programs.
        done = self.pgrid(*words, "--json", status=status)
        failure = json.loads(done.stderr)["error"]
        self.assertIn(contains, failure["message"])
        self.assertEqual(done.stdout, b"")
        return failure

    def control(self, answers):
        return FakeControl(self.directory, answers)


class Help(Case):
    def test_every_command_teaches(self):
        """--help of every command: a sentence and an example, exit status 0"""
        for command in COMMANDS:
            with self.subTest(command):
                text = self.say(*command.split(), "--help")
                self.assertIn("Example", text)
                self.assertIn(f"pgrid {command}", text)

    def test_exit_statuses(self):
        """pgrid --help lists the commands and the exit statuses"""
        text = self.say("--help")
        for command in COMMANDS:
            self.assertIn(command.split()[0], text)
        for number in range(5):
            self.assertIn(f"\n  {number}  ", text)


class Usage(Case):
    def test_wrong_arguments(self):
        """wrong arguments: exit status 2 and one sentence"""
        for words in ([], ["fly"], ["invoke"], ["deploy"], ["ls", "--colour"], ["deploy", "x", "--memory", "4MB"], ["cap"],
                      ["deploy", "x", "--time-limit", "5"], ["invoke", "x", "--count", "0"], ["cap", "create", "x", "--rate", "-1"],
                      ["cap", "revoke", "5"], ["cap", "revoke", "5.x"], ["new", "--lang", "cobol", "x"]):
            with self.subTest(" ".join(words) or "nothing"):
                self.fails(*words, status=2)

    def test_no_node(self):
        """no node: exit status 3, and how to start one"""
        for words in (["ls"], ["stat"], ["inspect", "x"], ["rm", "x"], ["logs", "x"], ["invoke", "x"], ["cap", "ls"],
                      ["cap", "create", "x"], ["cap", "revoke", "1.1"]):
            with self.subTest(" ".join(words)):
                self.fails(*words, status=3, contains=f"no node is running at {self.directory}; start one with: pgrid up")

    def test_a_socket_that_nobody_serves(self):
        """a socket left behind by a node that died is no node"""
        left = socket.socket(socket.AF_UNIX)
        left.bind(str(self.directory / "control.sock"))
        left.close()
        self.fails("ls", status=3, contains="no node is running")

    def test_node_by_environment(self):
        """PGRID_NODE names the node as --node does"""
        done = subprocess.run([PGRID, "ls"], capture_output=True, text=True, env={"PGRID_NODE": "/tmp/nowhere-at-all"}, timeout=30)
        self.assertEqual(done.returncode, 3)
        self.assertIn("/tmp/nowhere-at-all", done.stderr)


class Api(Case):
    def test_failures_keep_their_sentence(self):
        """control's sentence is passed on; the exit status follows its code"""
        for status, code, exit_status in ((404, "not_found", 1), (409, "already_exists", 1), (422, "refused", 1), (507, "out_of_resources", 1),
                                          (503, "unavailable", 1), (500, "internal", 1), (400, "invalid_argument", 2), (504, "timed_out", 4)):
            with self.subTest(code), self.control({"GET /v1/processes": error(status, code, "because of the weather")}):
                failure = self.fails("ls", status=exit_status, contains="because of the weather")
                self.assertEqual(failure["code"], code)

    def test_nonsense(self):
        """a control that goes away or writes no JSON: a sentence, exit status 1"""
        with self.control({"GET /v1/processes": (None, None)}):
            self.fails("ls", status=1, contains="went away")
        with self.control({"GET /v1/processes": (200, b"<html>")}):
            self.fails("ls", status=1, contains="not JSON")
        with self.control({"GET /v1/processes": (500, b"oops")}):
            self.fails("ls", status=1, contains="status 500")

    def test_unknown_fields_and_missing_fields(self):
        """another version's answers are shown as far as they go"""
        with self.control({"GET /v1/processes": (200, {"processes": [{"name": "a", "new": [1]}, {}]})}):
            self.assertIn("a", self.say("ls"))


class Processes(Case):
    def test_deploy(self):
        """deploy sends the module and what was asked for"""
        module = self.directory / "hello.wasm"
        module.write_bytes(b"\0asm\1\0\0\0")
        with self.control({"POST /v1/processes": (201, PROCESS)}) as control:
            self.say("deploy", module)
            text = self.say("deploy", module, "--name", "echo", "--memory", "4MiB", "--time-limit", "1ms", "--rate", "50")
            self.assertIn("bafkecho", text)
            self.assertIn("pgrid invoke echo", text)
            (_, _, first, headers, body), (_, _, second, _, _) = control.requests
            self.assertEqual(urllib.parse.parse_qs(first), {"name": ["hello"]})
            self.assertEqual(urllib.parse.parse_qs(second), {"name": ["echo"], "memory_bytes": ["4194304"], "time_limit_us": ["1000"], "rate": ["50"]})
            self.assertEqual(headers["Content-Type"], "application/wasm")
            self.assertEqual(body, module.read_bytes())
            self.assertEqual(json.loads(self.say("deploy", module, "--json")), PROCESS)

    def test_deploy_refused(self):
        """a module that the node refuses: its reason, exit status 1"""
        module = self.directory / "bad.wasm"
        module.write_bytes(b"#!/bin/sh")
        with self.control({"POST /v1/processes": error(422, "refused", "bad.wasm is not WebAssembly")}):
            self.fails("deploy", module, status=1, contains="is not WebAssembly")

    def test_deploy_no_file(self):
        """a file that is not there, or empty: exit status 2, and nothing is asked"""
        (self.directory / "empty.wasm").touch()
        with self.control({}) as control:
            self.fails("deploy", self.directory / "none.wasm", status=2, contains="none.wasm")
            self.fails("deploy", self.directory / "empty.wasm", status=2, contains="empty")
            self.fails("deploy", self.directory, status=2)
            self.assertEqual(control.requests, [])

    def test_ls(self):
        """ls: a row for each process; for programs what control says"""
        with self.control({"GET /v1/processes": (200, {"processes": [PROCESS]})}):
            heading, row = self.say("ls").splitlines()
            self.assertEqual(heading.split()[:3], ["NAME", "STATE", "WORKER"])
            self.assertEqual(row.split()[:6], ["echo", "loaded", "0", "1MiB", "1ms", "1,234"])
            self.assertEqual(json.loads(self.say("ls", "--json")), {"processes": [PROCESS]})
        with self.control({"GET /v1/processes": (200, {"processes": []})}):
            self.assertIn("no process yet", self.say("ls"))

    def test_inspect(self):
        """inspect: everything about a process, and its rights"""
        with self.control({"GET /v1/processes/echo": (200, {**PROCESS, "rights": [RIGHT]})}):
            text = self.say("inspect", "echo")
            for word in ("bafkecho", "1MiB", "1ms", "2001-09-09 01:46:40", "5.2", "no limit"):
                self.assertIn(word, text)

    def test_names_are_escaped(self):
        """a name can not leave its place in the path"""
        with self.control({}) as control:
            self.fails("inspect", "../rights?x", status=1)
            self.assertEqual(control.requests[0][1], "/v1/processes/..%2Frights%3Fx")

    def test_rm(self):
        """rm removes"""
        with self.control({"DELETE /v1/processes/echo": (200, {"removed": True})}):
            self.assertIn("echo is removed", self.say("rm", "echo"))

    def test_logs(self):
        """logs: all lines there are; what a function writes can not command the terminal"""
        lines = [{"seq": 1, "time_unix_ms": 1_000_000_000_123, "kind": "log", "text": "hello \x1b[31m"},
                 {"seq": 2, "time_unix_ms": 1_000_000_000_456, "kind": "event", "text": "trap"}]

        def serve(request):
            after = int(urllib.parse.parse_qs(request[2])["after"][0])
            return 200, {"lines": [line for line in lines if line["seq"] > after], "next": 2}

        with self.control({"GET /v1/processes/echo/logs": serve}):
            text = self.say("logs", "echo")
            self.assertEqual(text, "01:46:40.123  hello ?[31m\n01:46:40.456  * trap\n")
            self.assertEqual([json.loads(line)["seq"] for line in self.say("logs", "echo", "--json").splitlines()], [1, 2])

    def test_logs_follow(self):
        """logs -f: waits for the next line, asks for what comes after it"""
        asked = []
        release = threading.Event()

        def serve(request):
            query = urllib.parse.parse_qs(request[2])
            asked.append((int(query["after"][0]), "wait_ms" in query))
            if len(asked) > 2:
                release.wait(20)
            seq = len(asked)
            return 200, {"lines": [{"seq": seq, "time_unix_ms": 0, "kind": "log", "text": f"line {seq}"}], "next": seq}

        with self.control({"GET /v1/processes/echo/logs": serve}):
            process = subprocess.Popen([PGRID, "--node", self.directory, "logs", "-f", "echo"], stdout=subprocess.PIPE, text=True)
            self.addCleanup(process.stdout.close)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            self.assertIn("line 1", process.stdout.readline())
            self.assertIn("line 2", process.stdout.readline())
            process.send_signal(signal.SIGINT)
            process.wait(10)
            release.set()
        self.assertEqual(asked[:2], [(0, True), (1, True)])


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

    def test_revoke(self):
        """cap revoke says whether it applies now"""
        with self.control({"DELETE /v1/rights/5.2": (200, {"revoked": True, "applies": "now"})}):
            self.assertEqual(self.say("cap", "revoke", "5.2"), "right 5.2 is revoked\n")
        with self.control({"DELETE /v1/rights/5.2": (200, {"revoked": True, "applies": "at_restart"})}):
            self.assertIn("data plane is away", self.say("cap", "revoke", "5.2"))

    def test_ls(self):
        """cap ls: a row for each right"""
        with self.control({"GET /v1/rights": (200, {"rights": [RIGHT]})}) as control:
            row = self.say("cap", "ls", "echo").splitlines()[1].split()
            self.assertEqual(row[:4], ["5.2", "echo", "active", "77"])
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

    def test_bad_names(self):
        """new: a name that no process can have is refused, and nothing made"""
        for name in ("1up", "a b", "", "x" * 64, ".."):
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
