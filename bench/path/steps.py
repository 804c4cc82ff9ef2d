"""Everything that is measured, by name. A step is a function from the lab and so many seconds to figures: a dictionary whose
`value` is what tables and plots show."""
import contextlib
import dataclasses
import tempfile
import time
from collections.abc import Callable

import changes
import machine
import reference
import traffic
from bench_node import NoFigure, answered_mpps, check, count_for, difference, wait_until_right
from wire import Wire

SETTLE_S = 0.5  # caches warm, clocks up
CLOSED = (1, 8, 64, 512)
PACED = (10, 50, 90)  # % of what 2,048 outstanding bring
PEAK_OUTSTANDING = 2048
HALVINGS = 7          # to within 1 % of the peak


@dataclasses.dataclass(frozen=True)
class Step:
    name: str
    says: str
    measure: Callable
    unit: str = "M/s"
    cpus: int = 2
    once: bool = False  # the same in every round: measured in the first


# The node over a set of frames that is played over and over.

def answered(frames, site="base", allowed=()):
    def measure(lab, seconds):
        place = lab.site(site)
        with place.node(lab.pcap(frames, place.limits.get("rights", 65_536))) as node:
            wait_until_right(node, allowed)
            time.sleep(SETTLE_S)
            counted, elapsed = count_for(node, seconds, allowed)
        busy = sum(n for name, n in counted.items() if name.startswith("busy_"))
        return {"value": answered_mpps(counted, elapsed), "offered": counted["rx_packets"] / elapsed / 1e6, "busy": busy,
                "counted": {name: n for name, n in counted.items() if n}}
    return measure


def refused_all(lab, seconds):
    allowed = ("quota_exceeded", "answered")  # one a second is within the rate
    with lab.site("base").node(lab.pcap("refused-all")) as node:
        wait_until_right(node, allowed)
        time.sleep(SETTLE_S)
        counted, elapsed = count_for(node, seconds, allowed)
    if counted.get("refusals_suppressed"):
        raise NoFigure("refusals after authorization were held back")
    return {"value": (counted["quota_exceeded"] - counted.get("tx_full", 0)) / elapsed / 1e6}


def looping(frames, site):
    """With a neighbour that loops: it must have been stopped about as often as it should."""
    def measure(lab, seconds):
        figures = answered(frames, site, allowed=("broken",))(lab, seconds)
        if not figures["counted"].get("broken"):
            raise NoFigure(f"the neighbour never looped among {figures['counted']['answered']:,} messages: measure longer")
        return figures | {"loops": figures["counted"]["broken"]}
    return measure


def right_changes(lab, seconds):
    """In one node: quiet and busy windows in turn, so that both have the same neighbours on the machine."""
    site, windows = lab.site("base"), 6
    rates, achieved, used = {False: [], True: []}, [], []
    with site.node(lab.pcap("body-64")) as node:
        wait_until_right(node)
        parent, control = node.right("echo"), node.pid("pgrid-control")
        time.sleep(SETTLE_S)
        for window in range(2 * windows):
            busy = window % 2 == 1
            changer = changes.Changer(site.directory / "control.sock", f'{parent["slot"]}.{parent["generation"]}') if busy else None
            if changer:
                changer.start()
                time.sleep(0.1)
                done, before = changer.done, machine.cpu_seconds(control)
            counted, elapsed = count_for(node, seconds / 3)
            if changer:
                achieved.append((changer.done - done) / elapsed)
                used.append((machine.cpu_seconds(control) - before) / elapsed)
                changer.halt()
            rates[busy].append(answered_mpps(counted, elapsed))
    quiet, busy = sum(rates[False]) / windows, sum(rates[True]) / windows
    made = sum(achieved) / windows
    if made < 0.9 * changes.PER_SECOND:
        raise machine.Shortage(f"its CPUs or its disk let control make only {made:,.0f} changes a second of {changes.PER_SECOND:,}")
    return {"value": (1 - busy / quiet) * 100, "changes_per_second": made, "control_cpus": sum(used) / windows,
            "quiet_mpps": quiet, "busy_mpps": busy}


@contextlib.contextmanager
def wired(lab):
    """A node whose port is a wire, warm: (node, wire)."""
    lab.built("bench/path/pgrid-wire.so")
    path, _ = lab.frames("wire")
    lab.huge_pages.need(64)
    early = ("right_unknown", "right_wrong_key", "right_old_generation", "right_revoked")  # before control has published the right
    with tempfile.TemporaryDirectory(dir=lab.directory) as directory:
        wire = Wire(directory, lab.build, path)
        with lab.site("base").node("null:", environment=wire.environment) as node:
            wire.order(outstanding=1)
            wait_until_right(node)
            yield node, wire
            check(difference({"totals": {}}, node.stat()), early)


def latency(lab, seconds):
    """rx_burst to tx_burst, on one node: closed loops first, then paced at shares of its own peak."""
    points = {}
    with wired(lab) as (node, wire):
        for outstanding in CLOSED:
            points[f"{outstanding} outstanding"] = wire.run(seconds / 2, outstanding=outstanding)
            if outstanding == 1:  # the node's own histogram, to compare: from the turn that dispatched to the one that collected
                own_p50 = node.stat()["poll_cores"][0]["latency_ns"]["p50"]
        peak = wire.run(seconds / 2, outstanding=PEAK_OUTSTANDING)["mpps"]
        for percent in PACED:
            points[f"{percent} % of peak"] = wire.run(seconds / 2, rate=int(peak * percent * 1e4))
    for name, point in points.items():
        if "outstanding" in name and point["refused"]:
            raise NoFigure(f"{name}: {point['refused']} requests refused")
    return {"value": points["1 outstanding"]["from_rx"]["p50"], "node_p50_ns": own_p50, "peak_mpps": peak, "points": points}


def throughput(lab, seconds):
    """RFC 2544, 26.1: the fastest rate at which nothing is lost or refused, by halving between nothing and the peak."""
    with wired(lab) as (_, wire):
        low, high = 0.0, wire.run(seconds / 2, outstanding=PEAK_OUTSTANDING)["mpps"]
        best = None
        for _ in range(HALVINGS):
            rate = (low + high) / 2
            trial = wire.run(seconds / 2, rate=int(rate * 1e6))
            if trial["refused"] or trial["missed"]:
                high = rate
            else:
                low, best = rate, trial
    return {"value": low, "at_that_rate": best}


def testpmd(mode, frames):
    def measure(lab, seconds):
        path, count = lab.frames(frames)
        lab.huge_pages.need(machine.pages_of(reference.testpmd_memory_mib(count)) + 4)
        return {"value": reference.testpmd(path, count, mode, seconds)["mpps"]}
    return measure


def kernel_udp(lab, seconds):
    told = reference.kernel_udp(lab.built("bench/path/kernel_udp"), lab.echo_wasm, 64, seconds)
    return {"value": told["mpps"], "lost": told["lost"]}


def ring(lab, seconds):
    told = reference.ring(lab.built("bench/path/ring_round_trip"), seconds / 2)
    return {"value": told["p50_ns"]} | told


# Memory: what is resident, page by page.

def right_memory(lab, _seconds):
    """Two starts of a data plane that differ in the number of rights: installed, and room for them. In whole bytes: what else two
    starts differ by is some hundred KiB, a fifth of a byte for each right."""
    found = {}
    for name in ("base", "rights"):
        with lab.site(name).node("null:", idle="sleep", huge_pages=False) as node:
            found[name] = (machine.resident(node.pid("pgrid-dataplane")), node.stat()["memory"]["rights_max"])
    (small, few), (large, many) = found["base"], found["rights"]
    return {"value": round((large - small) / (many - few)), "rights": many, "resident_bytes": large}


def instance_memory(lab, _seconds):
    linear, beyond = lab.site("functions").instance
    return {"value": beyond, "linear_memory_bytes": linear}


def _swap(frames, mode="5tswap"):
    return Step(f"{mode}:{frames}", f"testpmd {mode} on the frames of {frames}", testpmd(mode, frames))


def steps():
    """By name, in the order in which a round takes them: what is compared stands side by side, for the machine changes."""
    made = []
    for size in traffic.BODIES:
        made += [Step(f"body-{size}", f"echo, bodies of {size:,} bytes", answered(f"body-{size}")), _swap(f"body-{size}")]
    made += [_swap("body-64", "io"), _swap("body-64", "macswap"),
             Step("kernel-udp", "a kernel socket with Wasmtime behind it, bodies of 64 bytes", kernel_udp),
             Step("refused-all", "every message refused after authorization: quota_exceeded", refused_all), _swap("refused-all"),
             Step("refused-4th", "every fourth message refused: quota_exceeded", answered("refused-4th", allowed=("quota_exceeded",))),
             Step("replies-larger", "16 bytes asked, 1,024 answered", answered("replies-larger", "shaped")),
             Step("replies-smaller", "1,024 bytes asked, 16 answered", answered("replies-smaller", "shaped"))]
    made += [Step(f"functions-{n}", f"1,000 functions on the worker, messages to {n:,} of them in turn",
                  answered(f"functions-{n}", "functions")) for n in traffic.FUNCTIONS]
    made += [Step(f"rights-{kind}", f"all rights installed, 100,000 frames {how}", answered(f"rights-{kind}", "rights"))
             for kind, how in (("one", "through one of them"), ("many", "spread over all uniformly"),
                               ("zipf", "spread over all by Zipf's law"), ("1000", "spread over 1,000 of them uniformly"))]
    made += [_swap("rights-many"),
             Step("neighbour-quiet", "one message in 16 to another function of the same worker", answered("neighbour-quiet", "shaped")),
             Step("neighbour-loops", "the same; it loops for 1 ms of CPU time on one message in 1,000,000 of all",
                  looping("neighbour-loops", "shaped")),
             Step("neighbour-apart-quiet", "the neighbour on a worker of its own",
                  answered("neighbour-apart-quiet", "two-workers"), cpus=3),
             Step("neighbour-apart-loops", "the same; it loops", looping("neighbour-apart-loops", "two-workers"), cpus=3),
             Step("two-workers", "half of the messages to each of two workers", answered("two-workers", "two-workers"), cpus=3),
             Step("changes", "rights made and revoked, 10,000 changes a second: rate lost", right_changes, unit="%"),
             Step("latency", "rx_burst to tx_burst, one message at a time; also 8, 64, 512, and paced", latency, unit="ns"),
             Step("ring", "bare byte rings between two processes, there and back", ring, unit="ns"),
             Step("throughput", "the fastest paced rate at which every request is answered (RFC 2544), by seven halvings", throughput),
             Step("right-memory", "resident in the data plane for each right", right_memory, unit="bytes", once=True),
             Step("instance-memory", "resident for each idle instance beyond its linear memory", instance_memory, unit="bytes", once=True)]
    return {step.name: step for step in made}
