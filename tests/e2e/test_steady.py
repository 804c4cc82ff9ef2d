#!/usr/bin/env python3
"""Shows the steady state: a node on memif with idle = "spin", under load and past its warm-up, makes no system call and takes
no page fault on the thread of its poll core and on the thread of its worker that runs guests. (TAP and AF_XDP ports make
system calls in their drivers, so it is memif.)"""
import os
import pathlib
import re
import signal
import subprocess
import unittest

import case
import test_ports
from node import EXAMPLES
from sandbox import die_with_parent, poll

WINDOW_S = 2
# What strace says of itself and of the threads' signals; everything else in its output is a system call.
NO_CALL = re.compile(r"^(\d+ +)?(strace: .*|--- .* ---|)$")


def thread(pid, name):
    """/proc/PID/task/TID of the thread with that name."""
    found = [task for task in pathlib.Path(f"/proc/{pid}/task").iterdir() if (task / "comm").read_text().startswith(name)]
    assert len(found) == 1, f"{len(found)} threads {name} in {pid}"
    return found[0]


def faults(task):
    """Minor and major page faults of a thread: fields 10 and 12 of proc(5)."""
    fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[7]), int(fields[9])


class Steady(case.Case):
    bridge = test_ports.Memif.bridge

    def trace(self, tasks):
        """What strace sees of these threads."""
        out = f"/tmp/pgrid-steady-{os.getpid()}"
        self.undo.later(lambda: os.path.exists(out) and os.unlink(out))
        words = ["strace", "-o", out] + [w for task in tasks for w in ("-p", task.name)]
        strace = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        for _ in tasks:
            self.assertIn("attached", strace.stderr.readline())
        answered = self.a.counter("answered")
        try:
            strace.wait(WINDOW_S)
        except subprocess.TimeoutExpired:
            strace.send_signal(signal.SIGINT)
        strace.wait(10)
        self.assertGreater(self.a.counter("answered"), answered + 100, "traced under load")
        return [line for line in pathlib.Path(out).read_text().splitlines() if not NO_CALL.match(line)]

    @unittest.skipIf(case.SANITIZED, "a sanitizer's own page faults")
    def test_nothing_but_work(self):
        """no system call and no page fault on poll core and worker, while thousands of messages are answered"""
        self.a = node = self.make_node(device="memif:socket=SOCKET,role=server,id=0", idle="spin")
        path = f"{node.directory}/memif.sock"
        node.config.write_text(node.config.read_text().replace("SOCKET", path))
        node.start()
        node.deploy(EXAMPLES / "echo.wasm", "echo")
        uri = node.create_right("echo", deadline_max_us=1_000_000)["uri"]
        self.bridge(path)
        ping = ["ping", "-n", "-c", "1", "-W", "1", test_ports.NODE_V4]
        poll(lambda: "1 received" in test_ports.run(*ping, check=False).stdout, 30, "ping")
        tasks = [thread(node.pid("pgrid-dataplane"), "pgrid-poll"), thread(node.pid("pgrid-worker"), "pgrid-guests")]
        load = case.Load(self.undo, uri, outstanding=32, duration="60s", timeout="10s", verify_echo=True)
        poll(lambda: node.counter("answered") > 2000, 40, "warm")
        before = [faults(task) for task in tasks]
        answered = node.counter("answered")
        poll(lambda: node.counter("answered") > answered + 2000, 40, "2,000 messages more")
        self.assertEqual([faults(task) for task in tasks], before, "page faults of the poll core, of the worker")
        self.assertEqual(self.trace(tasks), [])
        load.process.send_signal(signal.SIGINT)
        report = load.report(20)
        self.assertEqual((report["sent"] - report["answered"], report["wrong_body"]), (report["lost"], 0))


if __name__ == "__main__":
    case.main()
