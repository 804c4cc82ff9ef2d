#!/usr/bin/env python3
"""Shows that bench/path/run chooses what it is asked for, works its ratios out within a round, gives no figure where there must be
none, and draws plots that are well-formed. Nothing is measured here."""
import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import random
import struct
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bench/path"), str(ROOT / "tests/python")]
import bars  # noqa: E402
import bench_node  # noqa: E402
import frames  # noqa: E402
import machine  # noqa: E402
import plots  # noqa: E402
import report  # noqa: E402
import tap  # noqa: E402
import traffic  # noqa: E402
import wire  # noqa: E402


def load_run():
    loader = importlib.machinery.SourceFileLoader("bench_path_run", str(ROOT / "bench/path/run"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


run = load_run()


def refused(arguments):
    """What parse says of wrong arguments; its exit status must be 2."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            run.parse(arguments)
        except SystemExit as end:
            assert end.code == 2, end.code
            return said.getvalue()
    raise AssertionError("taken")


class Arguments(unittest.TestCase):
    def test_everything(self):
        """without arguments every step of every bar, five rounds"""
        asked = run.parse([])
        self.assertGreaterEqual(asked.rounds, 5)
        for bar in bars.BARS:
            self.assertLessEqual(set(bar.needs), set(asked.steps), bar.key)

    def test_quick(self):
        """--quick is one round, and gives way to what is said"""
        self.assertEqual(run.parse(["--quick"]).rounds, 1)
        self.assertEqual(run.parse(["--quick", "--rounds", "3"]).rounds, 3)

    def test_only(self):
        """--only takes bars with all they need, steps, and patterns"""
        self.assertEqual(list(run.parse(["--only", "echo"]).steps), ["body-64", "5tswap:body-64"])
        self.assertEqual(list(run.parse(["--only", "ring", "functions-1?"]).steps), ["functions-10", "ring"])

    def test_refused(self):
        """what cannot be is refused with a sentence"""
        self.assertIn("no such bar or step", refused(["--only", "nope"]))
        self.assertIn("above zero", refused(["--rounds", "0"]))
        self.assertIn("above zero", refused(["--seconds", "-1"]))
        self.assertIn("--rights", refused(["--rights", "2000000"]))

    def test_list(self):
        """--list names every bar and step"""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            run.print_list()
        for name in [bar.key for bar in bars.BARS] + list(run.all_steps()):
            self.assertIn(f"| {name} ", said.getvalue())


class Arithmetic(unittest.TestCase):
    ROUNDS = [{"body-64": {"value": 6.0}, "5tswap:body-64": {"value": 20.0}},   # 0.3
              {"body-64": {"value": 9.0}, "5tswap:body-64": {"value": 20.0}},   # 0.45
              {"body-64": {"value": 10.0}, "5tswap:body-64": {"value": 40.0}}]  # 0.25

    def test_ratio_within_a_round(self):
        """a ratio is of figures of one round: the medians' own ratio would be 0.45"""
        row, = bars.rows(self.ROUNDS)
        self.assertAlmostEqual(row.median, 0.3)
        self.assertEqual((row.low, row.high), (0.25, 0.45))
        self.assertTrue(row.met)
        self.assertFalse(row.reaches_aim)

    def test_half_measured(self):
        """a bar of which a step was left out has no row"""
        self.assertEqual(bars.rows([{"body-64": {"value": 6.0}}]), [])

    def test_at_most(self):
        """where less is better, more does not meet the bar"""
        row, = bars.rows([{"latency": {"value": 2000.0}, "ring": {"value": 400.0}}])
        self.assertFalse(row.met)
        row, = bars.rows([{"latency": {"value": 1100.0}, "ring": {"value": 400.0}}])
        self.assertTrue(row.met and row.reaches_aim)

    def test_once(self):
        """what is measured in the first round only has its row"""
        rows = bars.rows([{"right-memory": {"value": 128.0}}, {}])
        self.assertEqual([(row.bar.key, row.met) for row in rows], [("right-memory", True)])

    def test_table(self):
        """the table says bar, median, spread and whether it is met"""
        text = report.bars_table(bars.rows(self.ROUNDS))
        self.assertRegex(text, r"5tswap +\| ≥ 0\.3 +\| 0\.5 +\| 0\.3 +\| 0\.25 to 0\.45 +\| yes +\|")

    def test_numbers(self):
        """numbers are short and lose nothing that matters"""
        self.assertEqual([report.number(v) for v in (0.30049, 12.345, 123.45, 16384, 0, -0.5, None)],
                         ["0.3", "12.35", "123.5", "16,384", "0", "-0.5", "-"])


class NoFigure(unittest.TestCase):
    GOOD = {"rx_packets": 100, "dispatched": 90, "answered": 90, "busy_ring": 10}

    def test_busy(self):
        """busy is the source's doing"""
        bench_node.check(self.GOOD)

    def test_refused(self):
        """a refusal of what should be answered makes a run worthless, unless the run is about it"""
        for name in ("quota_exceeded", "right_unknown", "no_answer", "busy_worker", "worker_deaths", "a_counter_of_tomorrow"):
            with self.assertRaisesRegex(bench_node.NoFigure, name):
                bench_node.check(self.GOOD | {name: 1})
        bench_node.check(self.GOOD | {"quota_exceeded": 1}, ("quota_exceeded",))

    def test_silence(self):
        """nothing answered is no rate of 0"""
        with self.assertRaises(bench_node.NoFigure):
            bench_node.check(self.GOOD | {"answered": 0})
        with self.assertRaises(bench_node.NoFigure):
            bench_node.check(self.GOOD | {"rx_packets": 0}, ("answered",))

    def test_lost_answers(self):
        """answers that no port took do not count"""
        self.assertAlmostEqual(bench_node.answered_mpps({"answered": 5_000_000, "tx_full": 1_000_000}, 2.0), 2.0)

    def test_cores(self):
        """too few CPUs is a shortage, and says how many are missing"""
        with self.assertRaisesRegex(machine.Shortage, "needs 3 CPUs, and here are 2"):
            machine.need_cpus(3, have=2)
        machine.need_cpus(3, have=3)

    def test_left_out(self):
        """a step that the machine is too small for is named, and the others go on"""
        def too_small(_lab, _seconds):
            raise machine.Shortage("needs more")
        kinds = run.all_steps()["ring"].__class__
        steps = {"a": kinds("a", "", too_small), "b": kinds("b", "", lambda _lab, seconds: {"value": seconds}),
                 "c": kinds("c", "", lambda *_: {"value": 1}, once=True)}
        lab = type("Lab", (), {"say": staticmethod(lambda _text: None)})
        measured, left_out = run.measure(lab, steps, 2, 7, )
        self.assertEqual(measured, [{"b": {"value": 7}, "c": {"value": 1}}, {"b": {"value": 7}}])
        self.assertEqual(left_out, {"a": "needs more"})


class Times(unittest.TestCase):
    def test_buckets(self):
        """the wire's buckets are those of wire_layout.hpp"""
        for ns, expected in ((0, 0), (63, 63), (64, 64), (127, 127), (128, 128), (129, 128), (1000, 317), (1_000_000, 954)):
            self.assertEqual(wire.bucket(ns), expected)
        self.assertEqual(wire.bucket(2**40), wire.BUCKETS - 1)

    def test_middle(self):
        """a bucket's middle lies in it, within 1.6 %"""
        for ns in (0, 1, 63, 64, 100, 999, 12_345, 7_654_321, 2**35):
            middle = wire.middle(wire.bucket(ns))
            self.assertEqual(wire.bucket(int(middle)), wire.bucket(ns))
            self.assertLessEqual(abs(middle - ns), max(1, ns / 60))

    def test_percentiles(self):
        """of 1,000 times"""
        counts = [0] * wire.BUCKETS
        counts[50], counts[60], counts[wire.bucket(100_000)] = 600, 390, 10
        found = wire.percentiles(counts)
        self.assertEqual((found["p50"], found["p90"], found["p99"]), (50, 60, 60))
        self.assertGreater(found["p999"], 99_000)
        self.assertEqual(wire.percentiles([0] * wire.BUCKETS), {})


class Frames(unittest.TestCase):
    def test_checksum(self):
        """the checksum is RFC 1071's, word by word"""
        source = random.Random(1)
        for length in [0, 1, 2, 3, 20, 77, 512]:
            data = source.randbytes(length)
            padded = data + b"\0" * (length % 2)
            total = sum(struct.unpack(f">{len(padded) // 2}H", padded))
            while total >> 16:
                total = (total & 0xFFFF) + (total >> 16)
            self.assertEqual(frames.checksum(data), ~total & 0xFFFF)
        self.assertEqual(frames.checksum(b"\xff\xff"), 0)

    def test_file(self):
        """what is written can be read, and an answer that differs is found"""
        right = frames.message1.Right(3, 4, bytes(16))
        with tempfile.TemporaryDirectory() as directory:
            path = pathlib.Path(directory) / "a.pcap"
            sent = frames.write_requests(path, [frames.Request(right, frames.pattern(i, 16)) for i in range(4)])
            data = path.read_bytes()
            self.assertEqual(len(sent), 4)
            length = struct.unpack_from("<I", data, 24 + 8)[0]
            packet = data[40:40 + length]
            self.assertEqual(frames.message1.decode(packet[42:]).body, frames.pattern(0, 16))
            self.assertEqual(frames.checksum(packet[14:34]), 0)
            with self.assertRaises(AssertionError):  # requests are no answers
                frames.compare_answers(path, sent, 4)

    def test_zipf(self):
        """of 1,000 ranks the first is drawn about 1 / 7.5 of the time, as the harmonic number says; all are in range"""
        drawn = traffic.zipf(1000, 20_000, random.Random(2))
        self.assertTrue(0 <= min(drawn) and max(drawn) < 1000)
        self.assertAlmostEqual(drawn.count(0) / 20_000, 1 / 7.485, delta=0.02)
        self.assertGreater(drawn.count(0), drawn.count(1))


class Plots(unittest.TestCase):
    def test_written(self):
        """every plot is well-formed, and shows the ratio"""
        point = {"from_rx": {"p50": 900.0, "p90": 1e3, "p99": 2e3, "p999": 9e4}, "mpps": 1.0, "refused": 0, "missed": 0}
        points = {"1 outstanding": point, "50 % of peak": point | {"from_due": point["from_rx"]}}
        figures = {name: {"value": value} for name, value in
                   (("body-64", 6.0), ("5tswap:body-64", 20.0), ("functions-1", 5.0), ("functions-1000", 4.5), ("rights-one", 5.0),
                    ("rights-many", 4.0))} | {"latency": {"value": 900.0, "points": points}}
        document = report.document({"cpu": "a <CPU> & more", "cpus": 2, "load_average": 0.1}, {"rounds": 1, "seconds": 1},
                                   run.all_steps(), [figures], {})
        with tempfile.TemporaryDirectory() as directory:
            written = plots.write(document, pathlib.Path(directory) / "deep")
            self.assertEqual([path.name for path in written], ["bench-throughput.svg", "bench-scaling.svg", "bench-latency.svg"])
            for path in written:
                self.assertTrue(xml.parse(path).getroot().tag.endswith("svg"))
            self.assertIn("ratio 0.30", written[0].read_text())
        self.assertIn("1 outstanding", report.latency_table([figures]))
        self.assertEqual({bar["key"] for bar in document["bars"]}, {"echo", "functions", "rights"})

    def test_nothing(self):
        """where nothing was measured, nothing is drawn"""
        document = report.document({}, {}, run.all_steps(), [], {})
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual(plots.write(document, pathlib.Path(directory)), [])


if __name__ == "__main__":
    tap.main()
