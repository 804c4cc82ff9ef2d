#!/usr/bin/env python3
"""Shows that bench/micro/table adds up what it says it adds up: medians are read, every stage is in the sum once, refusals cost
what they cost, and 20 % is 20 %."""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/python"))
sys.path.insert(0, str(ROOT / "bench/micro"))
import stage_sum  # noqa: E402
import tap  # noqa: E402

NAMES = [name for name, _ in stage_sum.STAGES]
FIGURES = {
    "stages/warm": dict.fromkeys(NAMES, 5.0),
    "stages/cold": dict.fromkeys(NAMES, 50.0),
    "stages/two_cores": dict.fromkeys(NAMES, 10.0),
    "refused/warm": dict.fromkeys(stage_sum.REFUSED, 6.0),
    "refused/cold": dict.fromkeys(stage_sum.REFUSED, 60.0),
    "idle_turn": {"idle_turn": 128.0},
    "whole/two_cores": {"whole": 99.0},
}
SUM = 10 * len(NAMES) + 128.0 / 128


def path(ns, busy=0):
    """What bench/path/run --json prints, as far as it is read."""
    return {"steps": {"body-64": {"median": 1000 / ns, "rounds": [{"busy": busy, "counted": {"answered": 1000}}]}}}


class StageSum(unittest.TestCase):
    def test_medians(self):
        """names without their settings, medians and no other aggregate"""
        report = {"benchmarks": [
            {"name": "stages/warm/iterations:40/repeats:5_mean", "run_name": "stages/warm/iterations:40/repeats:5",
             "run_type": "aggregate", "aggregate_name": "mean", "rx": 9.0},
            {"name": "stages/warm/iterations:40/repeats:5_median", "run_name": "stages/warm/iterations:40/repeats:5",
             "run_type": "aggregate", "aggregate_name": "median", "rx": 7.0},
            {"name": "idle_turn", "run_type": "iteration", "idle_turn": 3.0}]}
        found = stage_sum.medians(report)
        self.assertEqual(found["stages/warm"]["rx"], 7.0)
        self.assertEqual(found["idle_turn"]["idle_turn"], 3.0)

    def test_what_did_not_run(self):
        """a bench that skipped itself is no figure of zero"""
        with self.assertRaisesRegex(ValueError, "two CPUs"):
            stage_sum.medians({"benchmarks": [{"name": "stages/two_cores", "error_occurred": True,
                                               "error_message": "needs two CPUs, and may use one"}]})

    def test_sum(self):
        """the sum is that of the stages over two cores, and a turn's share"""
        result = stage_sum.compare(FIGURES, path(SUM))
        self.assertAlmostEqual(result["sum_ns"], SUM)
        self.assertAlmostEqual(result["ratio"], 1)
        self.assertEqual([row["stage"] for row in result["stages"]], NAMES)
        more = copy.deepcopy(FIGURES)
        for name in NAMES:
            more["stages/two_cores"][name] += 1
            self.assertAlmostEqual(stage_sum.compare(more, path(SUM))["sum_ns"], SUM + 1, msg=name)
            more["stages/two_cores"][name] -= 1

    def test_refusals(self):
        """what the path refused as busy is paid for by what it answered"""
        result = stage_sum.compare(FIGURES, path(SUM, busy=500))
        self.assertAlmostEqual(result["refusal_ns"], 36)
        self.assertAlmostEqual(result["sum_ns"], SUM + 18)

    def test_close(self):
        """within 20 % of the path's own figure, above or below, and no more"""
        for ratio, close in ((0.79, False), (0.81, True), (1.0, True), (1.19, True), (1.21, False)):
            self.assertEqual(stage_sum.compare(FIGURES, path(SUM / ratio))["close"], close, ratio)

    def test_no_path(self):
        """without a rate of answers there is nothing to compare with"""
        with self.assertRaisesRegex(ValueError, "no rate of answers"):
            stage_sum.compare(FIGURES, {})

    def test_worker(self):
        """the bench's own work with rings is taken off"""
        figures = {"Activation/1": {"cpu_time": 116.0}, "Rings/1": {"cpu_time": 12.0}, "Activation/32": {"cpu_time": 2080.0},
                   "Rings/32": {"cpu_time": 416.0}, "ActivationCold/32": {"activation": 200.0}}
        self.assertEqual(stage_sum.worker_ns(figures), {"alone_ns": 104.0, "burst_ns": 52.0, "cold_ns": 200.0})

    def test_rings(self):
        """every operation of the ring has its row, once for each size of body"""
        figures = {}
        for where, add in (("same_core/{}", 1), ("same_core/{}_cold", 2), ("two_cores/{}", 3)):
            for kind in ("write", "stream"):
                for body in (64, 1024):
                    figures[where.format(kind) + f"/{body}"] = {kind: body + add, "publish": 1.0, "read": 2.0, "release": 3.0}
        rows = stage_sum.ring_rows(figures)
        self.assertEqual([row["operation"] for row in rows], ["write", "read", "publish", "release", "stream"] * 2)
        self.assertEqual((rows[0]["same_core_ns"], rows[0]["cold_ns"], rows[0]["two_cores_ns"]), (65, 66, 67))
        self.assertEqual(rows[9]["two_cores_ns"], 1027)


class Program(unittest.TestCase):
    def test_without_a_build(self):
        """a build that is not there is a sentence and the command that mends it"""
        with tempfile.TemporaryDirectory() as directory:
            figures = pathlib.Path(directory) / "path.json"
            figures.write_text(json.dumps(path(100)))
            done = subprocess.run([ROOT / "bench/micro/table", "--build", directory, "--path", figures], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertIn("ninja -C", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_help(self):
        """--help shows how it is used"""
        done = subprocess.run([ROOT / "bench/micro/table", "--help"], capture_output=True, text=True)
        self.assertIn("Example", done.stdout)


if __name__ == "__main__":
    tap.main()
