"""The plots of docs/, from the object that report.document makes."""
import statistics

import svg
import traffic

COMMAND = "bench/path/run"


def _note(document):
    machine, options = document["machine"], document["options"]
    return (f"{COMMAND}: medians of {options['rounds']} rounds of {options['seconds']:g} s, one poll core, one worker core; "
            f"{machine['cpu']}, {machine['cpus']} CPUs, load average {machine['load_average']:g} at the start")


def _ratio(above, below):
    """The median of the rounds' ratios."""
    return statistics.median(a["value"] / b["value"] for a, b in zip(above["rounds"], below["rounds"]))


def throughput(document):
    """Node and testpmd over the size of bodies; over the node's bars their ratio."""
    steps = document["steps"]
    sizes = [size for size in traffic.BODIES if f"body-{size}" in steps and f"5tswap:body-{size}" in steps]
    if not sizes:
        return None
    swap = [steps[f"5tswap:body-{size}"]["median"] for size in sizes]
    node = [steps[f"body-{size}"]["median"] for size in sizes]
    ratios = [_ratio(steps[f"body-{size}"], steps[f"5tswap:body-{size}"]) for size in sizes]
    return svg.bars("Answered messages beside testpmd 5tswap on the same frames", [f"{size} bytes of body" for size in sizes],
                    {"testpmd 5tswap (runs nothing)": swap, "node, echo function": node}, "M/s", _note(document),
                    [f"{mine:.3g}, ratio {ratio:.2f}" for mine, ratio in zip(node, ratios)])


def scaling(document):
    """How much of the rate is left with many functions and many rights."""
    steps = document["steps"]
    groups, values = [], []
    for base, names in (("functions-1", ("functions-10", "functions-100", "functions-1000")),
                        ("rights-one", ("rights-1000", "rights-many", "rights-zipf"))):
        for name in names:
            if name in steps and base in steps:
                groups.append({"rights-many": "1M rights", "rights-zipf": "1M, Zipf", "rights-1000": "1,000 rights"}.get(
                    name, name.replace("functions-", "") + " functions"))
                values.append(_ratio(steps[name], steps[base]))
    if not groups:
        return None
    return svg.bars("Rate with many functions and rights, of the rate with one", groups, {"ratio": values}, "", _note(document))


def latency(document):
    """Percentiles over the load."""
    if "latency" not in document["steps"]:
        return None
    rounds = [one["points"] for one in document["steps"]["latency"]["rounds"]]
    places = list(rounds[0])
    series = {}
    for name, key in (("median", "p50"), ("90 %", "p90"), ("99 %", "p99"), ("99.9 %", "p999")):
        series[name] = [statistics.median(points[place]["from_due" if "peak" in place else "from_rx"].get(key, 0) / 1000
                                          for points in rounds) for place in places]
    return svg.lines("Latency from rx_burst to tx_burst (paced: from when the request was due)",
                     [place.replace(" outstanding", " out").replace(" of peak", "") for place in places], series, "µs", _note(document),
                     [next((i for i, place in enumerate(places) if "peak" in place), len(places))])


def write(document, folder):
    """Writes what can be drawn, and returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in (("throughput", throughput), ("scaling", scaling), ("latency", latency)):
        drawing = draw(document)
        if drawing:
            path = folder / f"bench-{name}.svg"
            path.write_text(drawing)
            written.append(path)
    return written
