#!/usr/bin/env python3
"""Shows what each command of `pgrid` asks of control, what it prints for people and for programs, and its exit status,
against a control socket in this test that answers as docs/API.md says."""
import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import tap
from cli_case import PGRID, PROCESS, RIGHT, Case, error

COMMANDS = ["up", "doctor", "new", "verify", "deploy", "ls", "inspect", "restart", "rm", "logs", "invoke", "cap create", "cap derive", "cap revoke", "cap ls", "stat", "completion",
            "man"]


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
                      ["deploy", "x", "--restart", "sometimes"], ["deploy", "x", "--backoff", "1s"], ["deploy", "x", "--backoff", "1s..10ms"],
                      ["deploy", "x", "--backoff", "0..1s"], ["restart"], ["cap", "revoke", "5"], ["cap", "revoke", "5.x"], ["new", "--lang", "cobol", "x"]):
            with self.subTest(" ".join(words) or "nothing"):
                self.fails(*words, status=2)

    def test_no_node(self):
        """no node: exit status 3, and how to start one"""
        for words in (["ls"], ["stat"], ["inspect", "x"], ["restart", "x"], ["rm", "x"], ["logs", "x"], ["invoke", "x"], ["cap", "ls"],
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

    def test_deploy_with_grants(self):
        """deploy passes on grants in their order, restart limits and the worker"""
        module = self.directory / "twice.wasm"
        module.write_bytes(b"\0asm\1\0\0\0")
        with self.control({"POST /v1/processes": (201, PROCESS)}) as control:
            text = self.say("deploy", "--grant", "words=wordcount,rate=5,deadline=2ms", "--grant", "self=twice", module, "--restarts", "0",
                            "--restart-period", "5s", "--worker", "1")
            self.assertIn("what it holds: pgrid inspect twice", text)
            self.assertEqual(urllib.parse.parse_qs(control.requests[0][2]),
                             {"name": ["twice"], "restarts_max": ["0"], "restart_period_ms": ["5000"], "worker": ["1"],
                              "grant": ["words=wordcount,rate=5,deadline=2ms", "self=twice"]})
        with self.control({"POST /v1/processes": (201, PROCESS)}) as control:
            self.say("deploy", module, "--restart", "on-failure", "--backoff", "10ms..2s", "--give-up", "3", "--group", "web", "--rest-for-one")
            self.assertEqual(urllib.parse.parse_qs(control.requests[0][2]),
                             {"name": ["twice"], "strategy": ["on-failure"], "backoff_min_ms": ["10"], "backoff_max_ms": ["2000"],
                              "give_up_after": ["3"], "group": ["web"], "rest_for_one": ["1"]})
        with self.control({"POST /v1/processes": error(400, "invalid_argument", "grant \"x\": names no process")}):
            self.fails("deploy", module, "--grant", "x", status=2, contains="names no process")
        self.fails("deploy", module, "--worker", "-1", status=2)
        self.fails("deploy", module, "--restart-period", "5", status=2)

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
            self.assertEqual(row.split()[:6], ["echo", "running", "0", "1MiB", "1ms", "1,234"])
            self.assertEqual(json.loads(self.say("ls", "--json")), {"processes": [PROCESS]})
        with self.control({"GET /v1/processes": (200, {"processes": []})}):
            self.assertIn("no process yet", self.say("ls"))

    def test_states(self):
        """ls and inspect: what a process does now, how often it was restarted and why"""
        shown = [({}, "running"), ({"state": "loading"}, "loading"), ({"state": "backing_off", "backoff_ms": 250, "state_text": "x"}, "backing off 250ms"),
                 ({"state": "failed", "state_text": "no\x1b memory"}, "failed: no? memory"),
                 ({"state": "gave_up", "state_text": "it stopped"}, "gave up: it stopped"),
                 ({"state": "worker_down", "state_text": "worker 1 is down; wait"}, "worker 1 is down; wait")]
        for change, words in shown:
            process = {**PROCESS, **change, "rights": [], "restarts_max": 100, "restart_period_ms": 1000, "rebuilds": 1234,
                       "last_rebuild_unix_ms": 1_000_000_000_500, "last_rebuild_text": "trap: unreachable"}
            with self.subTest(words), self.control({"GET /v1/processes": (200, {"processes": [process]}),
                                                    "GET /v1/processes/echo": (200, process)}):
                heading, row = self.say("ls").splitlines()
                self.assertIn("RESTARTS", heading)
                self.assertIn(f"  {words}  ", row)
                self.assertIn("  1,234  ", row)
                text = self.say("inspect", "echo")
                self.assertIn(words, text)
                self.assertIn("1,234; at most 100 in 1s; the last 2001-09-09 01:46:40 UTC: trap: unreachable", text)
        long = {**PROCESS, "state": "failed", "state_text": "\u00e9" * 200}
        with self.control({"GET /v1/processes": (200, {"processes": [long]})}):
            self.assertLess(len(self.say("ls").splitlines()[1]), 200)

    def test_inspect_grants(self):
        """inspect: the rights that a process holds, with name and handle"""
        grant = {**RIGHT, "process": "wordcount", "holder": "echo", "handle": 4, "name": "words"}
        with self.control({"GET /v1/processes/echo": (200, {**PROCESS, "rights": [RIGHT], "grants": [grant]})}):
            text = self.say("inspect", "echo")
            self.assertIn("rights it holds", text)
            self.assertIn("echo as words, handle 4", text)

    def test_inspect(self):
        """inspect: everything about a process, and its rights"""
        with self.control({"GET /v1/processes/echo": (200, {**PROCESS, "rights": [RIGHT]})}):
            text = self.say("inspect", "echo")
            for word in ("bafkecho", "1MiB", "1ms", "2001-09-09 01:46:40", "5.2", "no limit"):
                self.assertIn(word, text)

    def test_inspect_supervision(self):
        """inspect: what happens when it fails, and what it did against its limits"""
        process = {**PROCESS, "strategy": "on-failure", "backoff_min_ms": 10, "backoff_max_ms": 1000, "give_up_after": 8, "group": "web",
                   "rest_for_one": True,
                   "violations": {"counts": {"trap": 12, "time": 0, "handle": 3}, "last_unix_ms": 1_000_000_000_000,
                                  "last_text": "trap: \x1b unreachable"}}
        with self.control({"GET /v1/processes/echo": (200, process)}):
            text = self.say("inspect", "echo")
            self.assertIn("restart on-failure, back-off 10ms to 1s, gives up after 8 pauses", text)
            self.assertIn("group web, takes those deployed later with it", text)
            self.assertIn("handle 3, trap 12; the last 2001-09-09 01:46:40 UTC: trap: ? unreachable", text)

    def test_restart(self):
        """restart asks for a new instance, and says when that gave up at once"""
        with self.control({"POST /v1/processes/echo/restart": (200, PROCESS)}) as control:
            self.assertIn("echo is restarted", self.say("restart", "echo"))
            self.assertEqual(control.requests[0][4], b"")
        gave_up = {**PROCESS, "state": "gave_up", "state_text": "it stopped"}
        with self.control({"POST /v1/processes/echo/restart": (200, gave_up)}):
            self.assertIn("echo was restarted and gave up again: it stopped", self.say("restart", "echo"))

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


if __name__ == "__main__":
    tap.main()
