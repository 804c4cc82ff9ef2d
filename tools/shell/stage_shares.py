"""The arithmetic of tools/profile: what a poll core and a worker did between two readings of /pgrid/profile."""

# What is timed for some messages only, and the stage that it is a part of (abi/shared/stages.hpp).
PARTS = {
    "poll": {"authorize": "admit", "dispatch": "admit", "refuse": "admit",
             "take": "collect", "settle": "collect", "answer": "collect"},
    "worker": {"receive": "activate", "guest": "activate", "send": "activate"},
}
# What counts as a message's way through, best first: the table's ns are per one of these.
MESSAGES = {"poll": ("rx", "collect", "control"), "worker": ("activate",)}


def stages_of(reading, who):
    """Names in the order that the node tells them."""
    return [name[len(who) + 1:-len("_ticks")] for name in reading
            if name.startswith(who + "_") and name.endswith("_ticks") and name not in (f"{who}_empty_ticks", f"{who}_stamp_ticks")]


def between(before, after, who):
    """None when the node or one of its workers was started in between: its figures began from zero."""
    difference = {name: after[name] - before.get(name, 0) for name in after if name.startswith(who + "_")}
    difference[f"{who}_measuring"] = after.get(f"{who}_measuring", 0)
    difference[f"{who}_stamp_ticks"] = after.get(f"{who}_stamp_ticks", 0)
    return None if any(n < 0 for n in difference.values()) else difference


def profile(before, after, who):
    """{"measuring", "turns", "busy": share of the time, "messages", "stages": [...], "sum": {...}} of `who` (poll, worker), or None.

    A stage has `share` of the time with something to do, `ticks` and `ns` per message of the whole, and `messages_per_burst`. A
    part also has `part_of`, and its ticks are those of messages that it was timed for, less the stamp's own."""
    if not after.get(f"{who}_measuring"):
        return None
    words = between(before, after, who)
    if words is None:
        return None
    ns_per_tick = 1e9 / after["tsc_hz"]
    stamp = words[f"{who}_stamp_ticks"] / words[f"{who}_measuring"]
    names = stages_of(after, who)
    whole = [name for name in names if name not in PARTS[who]]
    busy = sum(words[f"{who}_{name}_ticks"] for name in whole)
    everything = busy + words[f"{who}_empty_ticks"]
    messages = next((n for n in (words.get(f"{who}_{name}_messages", 0) for name in MESSAGES[who]) if n), 0)
    rows = []
    for name in whole:
        ticks, through, bursts = (words[f"{who}_{name}_{what}"] for what in ("ticks", "messages", "bursts"))
        rows.append(row(name, ticks / messages if messages else 0.0, ticks / busy if busy else 0.0, through / bursts if bursts else None,
                        ns_per_tick))
        for part in names:
            if PARTS[who].get(part) != name:
                continue
            ticks, looked = (words[f"{who}_{part}_{what}"] for what in ("ticks", "messages"))
            if looked:
                each = max(ticks / looked - stamp, 0.0)
                rows.append(row(part, each, each * messages / busy if busy else 0.0, None, ns_per_tick) | {"part_of": name})
    return {"measuring": words[f"{who}_measuring"], "turns": words[f"{who}_turns"], "empty_turns": words[f"{who}_empty_turns"],
            "busy": busy / everything if everything else 0.0, "messages": messages, "stages": rows,
            "sum": row("sum", busy / messages if messages else 0.0, 1.0 if busy else 0.0, None, ns_per_tick)}


def row(name, ticks, share, per_burst, ns_per_tick):
    return {"stage": name, "share": share, "ticks": ticks, "ns": ticks * ns_per_tick, "messages_per_burst": per_burst}


def text(result, what, seconds):
    """The table of one profile."""
    cores = f"{result['measuring']} {what}{'' if result['measuring'] == 1 else 's'}"
    lines = [f"{cores}: {result['messages'] / seconds / 1e6:.3f} M messages/s, busy {result['busy']:.1%} of the time, "
             f"{result['turns'] / seconds:,.0f} turns/s with work"]
    if not result["messages"]:
        return lines[0] + "\n  no message came through: nothing to share out"
    lines.append(f"  {'stage':14} {'share':>7} {'ticks':>8} {'ns':>8} {'messages':>9}")
    lines.append(f"  {'':14} {'':7} {'a message':>17} {'a burst':>9}")
    for stage in result["stages"] + [result["sum"]]:
        name = ("  " if "part_of" in stage else "") + stage["stage"]
        per_burst = f"{stage['messages_per_burst']:9.1f}" if stage["messages_per_burst"] else ""
        lines.append(f"  {name:14} {stage['share']:7.1%} {stage['ticks']:8.1f} {stage['ns']:8.1f} {per_burst}".rstrip())
    return "\n".join(lines)
