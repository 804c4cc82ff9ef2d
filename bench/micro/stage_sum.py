"""The arithmetic of bench/micro/table: medians out of Google Benchmark's JSON, the sum of the stages, its distance from the path."""

# Stages of the poll core in the order of a turn, as path_bench names its counters, and what they are.
STAGES = [
    ("rx", "a burst from the port"),
    ("parse", "frame, checksums, envelope, fields"),
    ("authorize", "slot, key, limits"),
    ("dispatch", "in-flight entry, record into the request ring"),
    ("publish", "shows a burst of records to the worker"),
    ("free", "mbufs of the requests"),
    ("collect", "record from the reply ring, checked"),
    ("settle", "outcome counted"),
    ("answer", "fresh mbuf, headers, body, checksum"),
    ("tx", "hand-off to the port"),
]
REFUSED = ["rx", "parse", "authorize", "refuse", "free", "tx"]
TURN = 128  # messages of a turn at full load: four bursts of 32
CLOSE = 0.2  # the sum may be off by so much of the path's own figure


def medians(report):
    """{name of a benchmark without its settings: {"cpu_time": ns, counters...}} from JSON with aggregates. ValueError when one
    did not run."""
    found = {}
    for entry in report["benchmarks"]:
        name = entry.get("run_name", entry["name"]).split("/iterations:")[0].split("/repeats:")[0]
        if entry.get("error_occurred"):
            raise ValueError(f"{name}: {entry.get('error_message', 'failed')}")
        if entry.get("run_type") == "aggregate" and entry.get("aggregate_name") != "median":
            continue
        found[name] = entry
    return found


PATH_STEP = "body-64"  # of bench/path/run: an echo of 64 bytes


def path_ns(result):
    """ns per answered message from what bench/path/run --json says."""
    mpps = result.get("steps", {}).get(PATH_STEP, {}).get("median")
    if not mpps:
        raise ValueError(f"bench/path/run gave no rate of answers (step {PATH_STEP})")
    return 1000 / mpps


def refused_per_answer(result):
    """Requests refused as busy for each one answered: the poll core's time goes to them too."""
    rounds = result["steps"][PATH_STEP].get("rounds", [])
    answered = sum(one["counted"]["answered"] for one in rounds)
    return sum(one["busy"] for one in rounds) / answered if answered else 0.0


def compare(path_bench, path_result):
    """Rows and sums. `path_bench`: its medians."""
    warm, cold, two = (path_bench[f"stages/{kind}"] for kind in ("warm", "cold", "two_cores"))
    rows = [{"stage": name, "what": what, "warm_ns": warm[name], "cold_ns": cold[name], "two_cores_ns": two[name]}
            for name, what in STAGES]
    turn = path_bench["idle_turn"]["idle_turn"] / TURN
    refusal = sum(path_bench["refused/warm"][name] for name in REFUSED)
    path = path_ns(path_result)
    refusals = refused_per_answer(path_result)
    total = sum(row["two_cores_ns"] for row in rows) + turn + refusals * refusal
    return {
        "stages": rows,
        "turn_ns": turn,
        "refusal_ns": refusal,
        "refusals_per_answer": refusals,
        "refuse": {"warm_ns": path_bench["refused/warm"]["refuse"], "cold_ns": path_bench["refused/cold"]["refuse"]},
        "sum_ns": total,
        "whole_turn_ns": path_bench["whole/two_cores"]["whole"],
        "path_ns": path,
        "ratio": total / path,
        "close": abs(total / path - 1) <= CLOSE,
    }


def worker_ns(activation_bench):
    """The worker's share of a message, less what the bench itself does with its rings."""
    def each(kind):
        return (activation_bench[f"Activation/{kind}"]["cpu_time"] - activation_bench[f"Rings/{kind}"]["cpu_time"]) / kind
    return {"alone_ns": each(1), "burst_ns": each(32), "cold_ns": activation_bench["ActivationCold/32"]["activation"]}


def ring_rows(ring_bench):
    """[(operation, bytes of body, same core, cold, two cores)] in ns: write, stream and read of a record, publish and release
    of a burst."""
    rows = []
    for body in (64, 1024):
        for kind in ("write", "stream"):
            same, cold, two = (ring_bench[f"{name}/{body}"] for name in
                               (f"same_core/{kind}", f"same_core/{kind}_cold", f"two_cores/{kind}"))
            names = [kind] if kind == "stream" else [kind, "read", "publish", "release"]
            rows += [{"operation": name, "body": body, "same_core_ns": same[name], "cold_ns": cold[name],
                      "two_cores_ns": two[name]} for name in names]
    return rows
