#!/usr/bin/env python3
"""Shows how `pgrid up` supervises: order of start and stop, restarts and their backoff, refusals, and that it never leaves a
process behind. The node's programs are small shell scripts that this test writes; each notes what happens to it."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import tap

PGRID = pathlib.Path(os.environ["PGRID_BUILD"]) / "tools" / "pgrid" / "pgrid"
CPU = min(os.sched_getaffinity(0))

# $me: the program's name; $trace: one line for each thing that happened, of all programs.
SCRIPT = """#!/bin/sh
me=${{0##*/}}
trace=${{0%/*}}/trace
echo "$me start $$ $*" >>$trace
trap 'echo "$me term" >>$trace; exit 0' TERM
trap 'echo "$me int" >>$trace' INT
{before}
echo "$me: ready and well" >&2
{after}
while :; do sleep 0.02; done
"""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Case(unittest.TestCase):
    def setUp(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgrid-up-"))
        self.addCleanup(shutil.rmtree, self.directory)
        self.trace_file = self.directory / "trace"
        self.trace_file.touch()
        self.log = self.directory / "log"
        self.run_dir = self.directory / "run"
        self.config = self.directory / "node.toml"
        self.config.write_text(f'[[port]]\ndevice = "tap:pg0"\naddresses = ["192.0.2.1/24", "2001:db8::1/64"]\nplaintext = true\n'
                               f"[cores]\npoll = [{CPU}]\nworkers = [{CPU}]\nshared = true\n")
        for name in ("dataplane", "worker", "control"):
            self.program(name)
        self.process = None
        self.addCleanup(self.end)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.pids():
            if alive(pid):
                os.kill(pid, signal.SIGKILL)

    def program(self, name, before="", after=""):
        path = self.directory / f"pgrid-{name}"
        path.write_text(SCRIPT.format(before=before, after=after))
        path.chmod(0o755)

    def up(self, *words):
        self.process = subprocess.Popen([PGRID, "--node", self.run_dir, "up", "--config", self.config, *words], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=open(self.log, "wb"), start_new_session=True,
                                        env={**os.environ, "PGRID_LIBEXEC": str(self.directory)})

    def lines(self):
        return self.log.read_text().splitlines()

    def trace(self):
        return [line.split() for line in self.trace_file.read_text().splitlines()]

    def starts(self, name):
        """Process ids of all that were started, in order."""
        return [int(words[2]) for words in self.trace() if words[:2] == [f"pgrid-{name}", "start"]]

    def pids(self):
        return [int(words[2]) for words in self.trace() if words[1] == "start"]

    def until(self, what, condition, seconds=10):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                self.fail(f"{what}: not within {seconds} s\n" + "\n".join(self.lines()))
            time.sleep(0.01)

    def serves(self):
        self.until("serves", lambda: any(" serves " in line for line in self.lines()))

    def stop(self, status=0):
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), status, self.lines())
        self.gone()

    def gone(self):
        self.until("every process gone", lambda: not any(alive(pid) for pid in self.pids()), 5)


class Life(Case):
    def test_start_and_stop(self):
        """data plane, then workers and control; stops control, data plane, worker; leaves nothing"""
        self.up()
        self.serves()
        said = [line.removeprefix("pgrid: ") for line in self.lines()]
        self.assertEqual(said[0], "data plane ready")
        self.assertEqual(sorted(said[1:3]), ["control ready", "worker 0 ready"])
        self.assertIn("serves 192.0.2.1:4646, [2001:db8::1]:4646 in plaintext", said[3])
        self.assertIn(f"pgrid deploy FILE.wasm --node {self.run_dir}", said[3])
        self.assertEqual(len(said), 4)
        self.assertEqual(self.trace()[0][0], "pgrid-dataplane")
        arguments = {words[0]: words[3:] for words in self.trace()}
        common = ["--config", str(self.config), "--node", str(self.run_dir)]
        self.assertEqual(arguments, {"pgrid-dataplane": common, "pgrid-control": common, "pgrid-worker": ["--index", "0", *common]})
        self.stop()
        self.assertEqual([words[0] for words in self.trace() if words[1] == "term"], ["pgrid-control", "pgrid-dataplane", "pgrid-worker"])
        self.assertFalse(self.run_dir.exists())

    def test_interrupt_of_the_terminal(self):
        """Ctrl-C reaches the whole process group of a terminal: the programs are still stopped in order, once"""
        self.up()
        self.serves()
        os.killpg(self.process.pid, signal.SIGINT)
        self.assertEqual(self.process.wait(20), 0)
        self.gone()
        self.assertEqual([words[:2] for words in self.trace() if words[1] in ("term", "int")],
                         [["pgrid-control", "term"], ["pgrid-dataplane", "term"], ["pgrid-worker", "term"]])

    def test_killed(self):
        """kill -9 of `pgrid up` leaves no process, and the next one starts in the same directory"""
        self.up()
        self.serves()
        self.process.kill()
        self.process.wait()
        self.gone()
        self.up()
        self.serves()
        self.stop()

    def test_second_one(self):
        """a second `pgrid up` for the same directory is refused and does the first no harm"""
        self.up()
        self.serves()
        done = subprocess.run([PGRID, "--node", self.run_dir, "up", "--config", self.config], capture_output=True, text=True, timeout=20,
                              env={**os.environ, "PGRID_LIBEXEC": str(self.directory)})
        self.assertEqual(done.returncode, 2)
        self.assertIn(f"a node is running at {self.run_dir} already (process {self.process.pid})", done.stderr)
        self.assertEqual(len(self.pids()), 3)
        self.stop()

    def test_lines_of_the_programs(self):
        """what the programs write is passed on line by line, also without an end of line"""
        self.program("control", after="echo one; echo two >&2; printf three; exit 0")
        self.up()
        self.until("three lines", lambda: {"one", "two", "three"} <= set(self.lines()))
        self.stop()

    def test_left_by_a_child(self):
        """a process that a child left behind does not outlive the node"""
        self.program("control", before='( trap "" TERM; echo "left start $(exec sh -c \'echo $PPID\')" >>$trace; while :; do sleep 0.02; done ) &')
        self.up()
        self.serves()
        self.until("left behind", lambda: self.starts("worker") and any(words[0] == "left" for words in self.trace()))
        self.stop()


class Deaths(Case):
    def test_worker(self):
        """a worker that dies is started again; the others stay"""
        self.up()
        self.serves()
        others = self.starts("dataplane") + self.starts("control")
        os.kill(self.starts("worker")[0], signal.SIGKILL)
        self.until("a second worker", lambda: len(self.starts("worker")) == 2)
        self.until("is ready", lambda: self.lines().count("pgrid: worker 0 ready") == 2)
        self.assertIn("pgrid: worker 0 was killed by signal 9; starting it again in 100 ms", self.lines())
        self.assertEqual(self.starts("dataplane") + self.starts("control"), others)
        self.assertEqual(sum(" serves " in line for line in self.lines()), 1)
        self.stop()

    def test_control(self):
        """control that dies is started again; the others stay"""
        self.up()
        self.serves()
        os.kill(self.starts("control")[0], signal.SIGKILL)
        self.until("is ready", lambda: self.lines().count("pgrid: control ready") == 2)
        self.assertEqual((len(self.starts("dataplane")), len(self.starts("worker"))), (1, 1))
        self.stop()

    def test_data_plane(self):
        """workers that leave with their data plane start again, without backoff, when it is ready"""
        self.program("worker", after='dp=$(sed -n "s/^pgrid-dataplane start \\([0-9]*\\) .*/\\1/p" $trace | tail -n 1)\n'
                                     "while kill -0 $dp 2>/dev/null; do sleep 0.02; done; exit 1")
        self.up()
        self.serves()
        for n in (2, 3):
            os.kill(self.starts("dataplane")[-1], signal.SIGKILL)
            self.until("the data plane is back", lambda: self.lines().count("pgrid: data plane ready") == n)
            self.until("the worker is back", lambda: self.lines().count("pgrid: worker 0 ready") == n)
        self.assertFalse([line for line in self.lines() if line.startswith("pgrid: worker 0 exited")], "its own failure")
        self.assertEqual(len(self.starts("control")), 1)
        self.stop()

    def test_worker_that_does_not_leave(self):
        """a worker that outlives its data plane is killed"""
        self.up()
        self.serves()
        os.kill(self.starts("dataplane")[0], signal.SIGKILL)
        self.until("a second worker", lambda: len(self.starts("worker")) == 2)
        self.assertIn("pgrid: worker 0 does not stop; killing it", self.lines())
        self.stop()

    def test_backoff(self):
        """each death doubles the pause"""
        self.program("control", after="exit 1")
        self.up()
        for pause in (100, 200, 400):
            self.until(f"{pause} ms", lambda: f"pgrid: control exited with 1; starting it again in {pause} ms" in self.lines())
        self.stop()

    def test_why(self):
        """the sentence of a program that failed is passed on"""
        self.program("control", before='echo "pgrid-control: the store is broken; mend it" >&2; exit 1')
        self.up()
        self.until("said", lambda: any("control: the store is broken; mend it" in line for line in self.lines()))
        self.stop()


class Refusals(Case):
    def refused(self, sentence):
        self.assertEqual(self.process.wait(20), 2, self.lines())
        self.gone()
        self.assertEqual(self.lines()[-1], f"pgrid: {sentence}")
        self.assertFalse(self.run_dir.exists(), "a run directory was left")

    def test_data_plane_refuses(self):
        """exit status 2 of a program at its first start: all stop, one sentence, nothing left"""
        self.program("dataplane", before='echo "pgrid-dataplane: port tap:pg0: no such thing; make one" >&2; exit 2')
        self.up()
        self.refused("port tap:pg0: no such thing; make one")
        self.assertEqual(len(self.lines()), 1)
        self.assertEqual(self.starts("worker") + self.starts("control"), [])

    def test_control_refuses(self):
        """the same when others run already"""
        self.program("control", before='echo "pgrid-control: the state is of a newer version; update" >&2; exit 2')
        self.up()
        self.refused("the state is of a newer version; update")
        self.assertEqual(len(self.starts("dataplane")), 1)

    def test_only_at_the_first_start(self):
        """exit status 2 later is a death like any other"""
        self.program("control", before='[ $(grep -c "^$me start" $trace) -ne 2 ] || exit 2')
        self.up()
        self.serves()
        os.kill(self.starts("control")[0], signal.SIGKILL)
        self.until("a third control", lambda: len(self.starts("control")) == 3)
        self.until("is ready", lambda: self.lines().count("pgrid: control ready") == 2)
        self.stop()

    def test_a_program_that_can_not_run(self):
        """a program that can not be run: exit status 2, nothing left"""
        (self.directory / "pgrid-worker").write_bytes(b"\x7fELF not really")
        self.up()
        self.assertEqual(self.process.wait(20), 2, self.lines())
        self.gone()
        self.assertIn("pgrid-worker", self.lines()[-1])

    def test_wrong_configuration(self):
        """a wrong node.toml: one sentence with its line, exit status 2, no program started, no directory made"""
        self.config.write_text("[node]\nname = 5\n")
        self.up()
        self.assertEqual(self.process.wait(20), 2)
        self.assertEqual(len(self.lines()), 1)
        self.assertIn("node.toml:2: [node] name", self.lines()[0])
        self.assertEqual(self.pids(), [])
        self.assertFalse(self.run_dir.exists())


class Stubborn(Case):
    def test_asked_twice(self):
        """a program that ignores SIGTERM: the second Ctrl-C kills it, and `up` says so"""
        self.program("control", before="trap 'echo \"$me term\" >>$trace' TERM")
        self.up()
        self.serves()
        self.process.send_signal(signal.SIGTERM)
        self.until("asked", lambda: ["pgrid-control", "term"] in self.trace())
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.process.wait(20), 1)
        self.gone()
        self.assertIn("was killed by signal 9 while stopping", self.lines()[-1])

    def test_never_ready(self):
        """a program that is never ready is waited for, said so, and can be stopped"""
        self.program("dataplane", before="while :; do sleep 0.02; done")
        self.up()
        self.until("said so", lambda: "pgrid: still waiting for data plane" in self.lines(), 15)
        self.assertEqual(self.starts("worker"), [])
        self.stop()


if __name__ == "__main__":
    tap.main()
