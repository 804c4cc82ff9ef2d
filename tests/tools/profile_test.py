#!/usr/bin/env python3
"""Shows that tools/profile shares a node's time out over its stages so that they sum to all of it, says what to do where a node
was built without stamps, and believes nothing that a socket tells it. The node is a socket that answers as DPDK's telemetry does."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/python"))
sys.path.insert(0, str(ROOT / "tools/shell"))
import stage_shares  # noqa: E402
import tap  # noqa: E402

HZ = 2_000_000_000  # a tick is half a nanosecond


def reading(turns=0, scale=0, **changes):
    """What a node says after `scale` bursts of 32 messages: rx takes 320 ticks of each, admit 640, collect 960, tx 80."""
    words = {"built": 1, "tsc_hz": HZ, "poll_measuring": 1, "poll_turns": turns, "poll_empty_turns": 0,
             "poll_empty_ticks": 2000 * scale, "poll_stamp_ticks": 20}
    for stage, ticks in (("rx", 320), ("admit", 640), ("collect", 960), ("tx", 80)):
        words |= {f"poll_{stage}_ticks": ticks * scale, f"poll_{stage}_messages": 32 * scale, f"poll_{stage}_bursts": scale}
    for part, ticks in (("authorize", 26), ("dispatch", 30)):  # of one message each, stamp included
        words |= {f"poll_{part}_ticks": ticks * scale, f"poll_{part}_messages": scale, f"poll_{part}_bursts": scale}
    words |= {"worker_measuring": 1, "worker_turns": turns, "worker_empty_turns": 0, "worker_empty_ticks": 0,
              "worker_stamp_ticks": 20, "worker_activate_ticks": 3200 * scale, "worker_activate_messages": 32 * scale,
              "worker_activate_bursts": 2 * scale}
    return words | changes


class Arithmetic(unittest.TestCase):
    def test_stages_sum_to_the_whole(self):
        """ticks and ns of the stages sum to those of a message, shares to one"""
        result = stage_shares.profile(reading(5, 10), reading(25, 110), "poll")
        whole = [stage for stage in result["stages"] if "part_of" not in stage]
        self.assertAlmostEqual(sum(stage["ticks"] for stage in whole), 2000 / 32)
        self.assertAlmostEqual(result["sum"]["ns"], 2000 / 32 / 2)
        self.assertAlmostEqual(sum(stage["share"] for stage in whole), 1)
        self.assertEqual(result["messages"], 3200)
        self.assertEqual(result["turns"], 20)
        self.assertAlmostEqual(result["busy"], 0.5)
        self.assertEqual([stage["messages_per_burst"] for stage in whole], [32.0] * 4)

    def test_parts_leave_the_stamp_out(self):
        """a part is less what the stamp took, and is named with its stage"""
        stages = {stage["stage"]: stage for stage in stage_shares.profile(reading(), reading(1, 100), "poll")["stages"]}
        self.assertAlmostEqual(stages["authorize"]["ticks"], 6)
        self.assertAlmostEqual(stages["dispatch"]["ns"], 5)
        self.assertEqual(stages["dispatch"]["part_of"], "admit")
        self.assertAlmostEqual(stages["dispatch"]["share"], 10 * 32 / 2000)

    def test_workers(self):
        """a worker's bursts are its activations"""
        result = stage_shares.profile(reading(), reading(1, 100), "worker")
        self.assertEqual(result["stages"][0]["messages_per_burst"], 16)
        self.assertAlmostEqual(result["sum"]["ns"], 50)

    def test_restart_gives_no_figure(self):
        """figures that began from zero in between are not taken for a difference"""
        self.assertIsNone(stage_shares.profile(reading(9, 100), reading(1, 3), "worker"))

    def test_nothing_came(self):
        """a node without traffic has no time per message"""
        result = stage_shares.profile(reading(), reading(), "poll")
        self.assertEqual(result["messages"], 0)
        self.assertIn("no message", stage_shares.text(result, "poll core", 1.0))


class Program(unittest.TestCase):
    def setUp(self):
        self.undo = contextlib.ExitStack()
        self.addCleanup(self.undo.close)
        self.run_dir = pathlib.Path(self.undo.enter_context(tempfile.TemporaryDirectory(prefix="pgrid-profile-")))

    def node(self, name, readings):
        """A socket that gives these readings one after another, and the last one for ever."""
        folder = self.run_dir / "dpdk" / name
        folder.mkdir(parents=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(folder / "dpdk_telemetry.v2"))
        listener.listen()
        self.undo.callback(listener.close)
        left = list(readings)

        def serve(asker):
            with asker:
                asker.send(b'{"version":"DPDK 22.11","pid":1,"max_output_len":16384}')
                while command := asker.recv(1024).decode():
                    if command == "/pgrid/profile":
                        answer = left.pop(0) if len(left) > 1 else left[0]
                        asker.send(answer if isinstance(answer, bytes) else json.dumps({command: answer}).encode())
                    else:
                        asker.send(json.dumps({command: {"answered": 0}}).encode())

        def accept():
            while True:
                try:
                    asker, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(asker,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()

    def profile(self, *arguments, name="tested"):
        environment = os.environ | {"RUNTIME_DIRECTORY": str(self.run_dir), "PYTHONDONTWRITEBYTECODE": "1"}
        where = ["--name", name] if name else []  # nodes of somebody else on this machine are none of ours
        return subprocess.run([ROOT / "tools/profile", *where, *arguments], capture_output=True, text=True, timeout=60,
                              env=environment)

    def test_table(self):
        """it prints each stage and the sum, of poll cores and workers"""
        self.node("tested", [reading(), reading(20, 100)])
        done = self.profile("--seconds", "0.05")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.startswith("  ")}
        self.assertEqual(rows["rx"], ["16.0%", "10.0", "5.0", "32.0"])
        self.assertEqual(rows["dispatch"], ["16.0%", "10.0", "5.0"])
        self.assertEqual(rows["activate"], ["100.0%", "100.0", "50.0", "16.0"])
        self.assertEqual(done.stdout.count("  sum "), 2)

    def test_json(self):
        """--json is one object, with the same figures"""
        self.node("tested", [reading(), reading(20, 100)])
        done = self.profile("--seconds", "0.05", "--json")
        result = json.loads(done.stdout)
        self.assertAlmostEqual(result["poll_cores"]["sum"]["ns"], 31.25)
        self.assertEqual(result["workers"]["messages"], 3200)

    def test_not_built(self):
        """a node of an ordinary build: what it is, and the command that builds one that measures"""
        self.node("tested", [{"built": 0}])
        done = self.profile("--seconds", "0.05")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("tested measures no stages", done.stderr)
        self.assertIn("-Dprofile=true", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_nonsense(self):
        """what is no object of numbers is not believed"""
        partly = {name: n for name, n in reading().items() if name != "poll_rx_bursts"}
        for words in (partly, {"built": 1, "tsc_hz": "many"}, {"built": 1, "tsc_hz": 0}, [], None, b"nonsense"):
            with self.subTest(str(words)[:40]):
                self.undo.close()
                self.setUp()
                self.node("tested", [words])
                done = self.profile("--seconds", "0.05")
                self.assertEqual(done.returncode, 1)
                self.assertNotIn("Traceback", done.stderr)

    def test_no_node(self):
        """no node of that name, and a socket that nobody serves, are a sentence"""
        folder = self.run_dir / "dpdk" / "tested"
        folder.mkdir(parents=True)
        left = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        left.bind(str(folder / "dpdk_telemetry.v2"))
        left.close()
        done = self.profile("--seconds", "0.05")
        self.assertEqual(done.returncode, 1)
        self.assertIn("no node named tested", done.stderr)

    def test_several_nodes(self):
        """with several nodes it asks which one"""
        self.node("tested", [reading()])
        self.node("other", [reading()])
        done = self.profile("--seconds", "0.05", name=None)
        self.assertEqual(done.returncode, 1)
        self.assertIn("--name", done.stderr)
        self.assertIn("tested", done.stderr)

    def test_arguments(self):
        """wrong arguments are status 2; --help has an example"""
        self.assertEqual(self.profile("--seconds", "0").returncode, 2)
        self.assertEqual(self.profile("--sideways").returncode, 2)
        self.assertIn("Example", self.profile("--help").stdout)


if __name__ == "__main__":
    tap.main()
