"""The bars that the path is held to, and the arithmetic of rounds: a ratio is of two figures of one round."""
import dataclasses
import statistics
from collections.abc import Callable

POLL_CORES = 1
RIGHT_BYTES = 64 + 64 * POLL_CORES
INSTANCE_BYTES = 16 * 1024


@dataclasses.dataclass(frozen=True)
class Bar:
    key: str
    what: str
    bar: float
    aim: float | None
    at_least: bool       # else at most
    needs: tuple         # names of steps
    of: Callable         # the figures of those, in that order -> number
    unit: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    bar: Bar
    median: float
    low: float
    high: float

    @property
    def met(self):
        return self.median >= self.bar.bar if self.bar.at_least else self.median <= self.bar.bar

    @property
    def reaches_aim(self):
        if self.bar.aim is None:
            return None
        return self.median >= self.bar.aim if self.bar.at_least else self.median <= self.bar.aim


def _ratio(above, below):
    return above / below


def _same(value):
    return value


BARS = [
    Bar("echo", "64-byte bodies, echo / testpmd 5tswap", 0.30, 0.5, True, ("body-64", "5tswap:body-64"), _ratio),
    Bar("kernel", "64-byte bodies, node / kernel UDP and Wasmtime", 15, 25, True, ("body-64", "kernel-udp"), _ratio),
    Bar("large", "1,024-byte bodies, echo / testpmd 5tswap", 0.2, 0.35, True, ("body-1024", "5tswap:body-1024"), _ratio),
    Bar("functions", "1,000 functions / one", 0.8, 0.9, True, ("functions-1000", "functions-1"), _ratio),
    Bar("rights", "1,000,000 rights uniformly / one", 0.8, 0.9, True, ("rights-many", "rights-one"), _ratio),
    Bar("round-trip", "node's round trip, unloaded / bare rings", 4, 3, False, ("latency", "ring"), _ratio),
    Bar("neighbour", "with a neighbour that loops / without", 0.93, 0.98, True, ("neighbour-loops", "neighbour-quiet"), _ratio),
    Bar("refusals", "refusals after authorization / testpmd 5tswap", 0.4, 0.6, True, ("refused-all", "5tswap:refused-all"), _ratio),
    Bar("changes", "rate lost while 10,000 rights change a second", 1, 0, False, ("changes",), _same, " %"),
    Bar("right-memory", "resident for a right, one poll core", RIGHT_BYTES, None, False, ("right-memory",), _same, " B"),
    Bar("instance-memory", "resident for an idle instance beyond its memory", INSTANCE_BYTES, None, False, ("instance-memory",), _same,
        " B"),
]


def spread(values):
    """Median, least and greatest."""
    return statistics.median(values), min(values), max(values)


def rows(rounds):
    """Rows of all bars whose steps were measured. `rounds`: for each a dictionary of step to figures; what was measured once stands in
    the first."""
    made = []
    for bar in BARS:
        values = [bar.of(*(figures[name]["value"] for name in bar.needs)) for figures in rounds
                  if all(name in figures for name in bar.needs)]
        if values:
            made.append(Row(bar, *spread(values)))
    return made
