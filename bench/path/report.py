"""What was measured, as text for people and as one object for programs."""
import bars

HEAD = ("What", "Bar", "Aim", "Median", "Least to greatest", "Met?")


def number(value):
    """Three digits that mean something."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 1 if abs(value) >= 100 else 2 if abs(value) >= 10 else 3
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def table(head, lines):
    """As Markdown, columns aligned."""
    widths = [max(len(str(line[column])) for line in [head, *lines]) for column in range(len(head))]
    laid = ["| " + " | ".join(str(cell).ljust(width) for cell, width in zip(line, widths)) + " |" for line in [head, *lines]]
    return "\n".join([laid[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *laid[1:]])


def bars_table(rows):
    lines = []
    for row in rows:
        sign, unit = ("≥" if row.bar.at_least else "≤"), row.bar.unit
        lines.append((row.bar.what, f"{sign} {number(row.bar.bar)}{unit}", number(row.bar.aim) + (unit if row.bar.aim is not None else ""),
                      number(row.median) + unit, f"{number(row.low)} to {number(row.high)}",
                      ("yes, and the aim" if row.reaches_aim else "yes") if row.met else "no"))
    return table(HEAD, lines)


def steps_table(steps, rounds):
    lines = []
    for name, step in steps.items():
        values = [figures[name]["value"] for figures in rounds if name in figures]
        if values:
            median, low, high = bars.spread(values)
            lines.append((name, step.says, f"{number(median)} {step.unit}", f"{number(low)} to {number(high)}"))
    return table(("Step", "Measures", "Median", "Least to greatest"), lines)


def latency_table(rounds):
    """Percentiles of every load, in microseconds: medians over the rounds."""
    measured = [figures["latency"]["points"] for figures in rounds if "latency" in figures]
    if not measured:
        return ""
    lines = []
    for name in measured[0]:
        points = [points[name] for points in measured]
        paced = "peak" in name
        cells = [number(bars.spread([point["from_due" if paced else "from_rx"].get(p, 0) / 1000 for point in points])[0])
                 for p in ("p50", "p90", "p99", "p999")]
        lines.append((name, *cells, number(bars.spread([point["mpps"] for point in points])[0]),
                      number(sum(point["refused"] + point["missed"] for point in points))))
    return table(("Load", "p50 µs", "p90", "p99", "p99.9", "M/s", "Not answered"), lines)


def document(machine_facts, options, steps, rounds, left_out):
    """The JSON object."""
    made = bars.rows(rounds)
    figures = {}
    for name, step in steps.items():
        values = [one[name] for one in rounds if name in one]
        if values:
            median, low, high = bars.spread([value["value"] for value in values])
            figures[name] = {"says": step.says, "unit": step.unit, "median": median, "least": low, "greatest": high, "rounds": values}
    return {"machine": machine_facts, "options": options, "steps": figures,
            "bars": [{"key": row.bar.key, "what": row.bar.what, "bar": row.bar.bar, "aim": row.bar.aim,
                      "at_least": row.bar.at_least, "median": row.median, "least": row.low, "greatest": row.high,
                      "met": row.met, "reaches_aim": row.reaches_aim} for row in made],
            "left_out": [{"step": name, "why": why} for name, why in left_out.items()]}
