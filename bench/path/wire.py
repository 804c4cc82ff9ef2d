"""The other end of wire.cpp: orders and report of the wire in the data plane, in a file that both map."""
import math
import mmap
import os
import pathlib
import struct
import time

from bench_node import NoFigure

ORDERS = struct.Struct("<3Q")            # round, outstanding, rate
REPORT_AT, REPORT = 64, struct.Struct("<10Q")
REPORT_FIELDS = ("round", "tsc_hz", "first_tsc", "last_tsc", "sent", "answered", "refused", "unexpected", "missed", "in_flight")
BUCKETS_AT, BITS = 64 + 128, 6
BUCKETS = (36 - BITS + 1) << BITS
BYTES = BUCKETS_AT + 2 * BUCKETS * 8
SLOTS = 4096                             # frames that the wire wants
PERCENTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999}
DRAIN_S = 3


def bucket(ns):
    """As wire_bucket of wire_layout.hpp."""
    if ns < 1 << BITS:
        return ns
    shift = ns.bit_length() - BITS - 1
    return min((shift << BITS) + (ns >> shift), BUCKETS - 1)


def middle(index):
    """The time in the middle of a bucket, in ns."""
    if index < 1 << BITS:
        return float(index)
    shift = (index >> BITS) - 1
    return (((index & ((1 << BITS) - 1)) + (1 << BITS)) << shift) + ((1 << shift) - 1) / 2


def percentiles(buckets):
    """{"p50": ns, ...} of a histogram; none when it is empty."""
    total = sum(buckets)
    found = {}
    for name, part in PERCENTILES.items():
        rank, seen = max(1, math.ceil(part * total)), 0
        for index, n in enumerate(buckets):
            seen += n
            if total and seen >= rank:
                found[name] = middle(index)
                break
    return found


class Wire:
    """`environment` goes into the start of the node; then `run` measures."""

    def __init__(self, directory, build, frames):
        self.path = pathlib.Path(directory) / "wire"
        self.path.write_bytes(bytes(BYTES))
        self.map = mmap.mmap(os.open(self.path, os.O_RDWR), BYTES)
        self.round = 0
        # The node's programs as `pgrid up` finds them, the data plane with the wire preloaded.
        programs = pathlib.Path(directory) / "programs"
        programs.mkdir()
        for program in ("dataplane/worker/pgrid-worker", "control/pgrid-control", "control/code/pgrid-compile"):
            (programs / pathlib.Path(program).name).symlink_to(build / program)
        launcher = programs / "pgrid-dataplane"
        launcher.write_text(f'#!/bin/sh\nLD_PRELOAD={build}/bench/path/pgrid-wire.so exec {build}/dataplane/pgrid-dataplane "$@"\n')
        launcher.chmod(0o755)
        self.environment = os.environ | {"PGRID_LIBEXEC": str(programs), "PGRID_WIRE": str(self.path),
                                         "PGRID_WIRE_FRAMES": str(frames)}

    def order(self, outstanding=0, rate=0):
        self.round += 1
        struct.pack_into("<2Q", self.map, 8, outstanding, rate)
        struct.pack_into("<Q", self.map, 0, self.round)

    def report(self):
        return dict(zip(REPORT_FIELDS, REPORT.unpack_from(self.map, REPORT_AT)))

    def histogram(self, which):
        return struct.unpack_from(f"<{BUCKETS}Q", self.map, BUCKETS_AT + which * BUCKETS * 8)

    def run(self, seconds, outstanding=0, rate=0, warm_up=0.2):
        """So many seconds of closed loop or of paced requests. Every request must have come back at the end."""
        self.order(outstanding, rate)
        time.sleep(warm_up)
        self.order(outstanding, rate)
        time.sleep(seconds)
        # What was sent until now comes back; its times are of the measurement, as nothing else is sent meanwhile.
        counted, histograms = self.report(), (self.histogram(0), self.histogram(1))
        self.order()
        end = time.monotonic() + DRAIN_S
        while (left := self.report())["in_flight"] or left["round"] != self.round:
            if time.monotonic() > end:
                raise NoFigure(f"{left['in_flight']} requests never came back")
            time.sleep(0.01)
        if counted["round"] != self.round - 1:
            raise NoFigure("the wire does not hear: is it preloaded?")
        if counted["unexpected"] or not counted["answered"]:
            raise NoFigure(f"the wire saw {counted['unexpected']} frames that nobody waited for, and {counted['answered']} answers")
        elapsed = (counted["last_tsc"] - counted["first_tsc"]) / counted["tsc_hz"]
        return {"mpps": counted["answered"] / elapsed / 1e6, "sent": counted["sent"], "refused": counted["refused"],
                "missed": counted["missed"], "from_rx": percentiles(histograms[0]), "from_due": percentiles(histograms[1])}
