#!/usr/bin/env python3
"""Prints the table of counters in docs/OPERATING.md from abi/shared/counters.hpp; with --write puts it there."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- counters: begin -->\n", "<!-- counters: end -->"
CLASSES = {
    "source": "Came in",
    "drop": "Ended without an answer",
    "local": "The node's own ARP, NDP and echo",
    "punt": "Handed to control",
    "refusal": "Ended with a non-commitment, before a function saw it",
    "total": "A sum kept for the books",
    "outcome": "What became of dispatched messages",
    "detail": "More about the above, and about sending",
}


def table():
    source = (ROOT / "abi/shared/counters.hpp").read_text()
    counters = re.findall(r'^\s*X\((\w+), (\w+), "(.*)"\)', source, re.M)
    lines = []
    for name, title in CLASSES.items():
        lines += [f"\n**{title}** (`{name}`)\n", "| Counter | Means; what to do |", "|---|---|"]
        lines += [f"| `{counter}` | {help_.replace('|', chr(92) + '|')} |" for counter, kind, help_ in counters if kind == name]
    unknown = {kind for _, kind, _ in counters} - set(CLASSES)
    if unknown:
        sys.exit(f"counters_table.py: classes without a title: {unknown}")
    return "\n".join(lines) + "\n\n"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        path = ROOT / "docs/OPERATING.md"
        before, rest = path.read_text().split(BEGIN, 1)
        path.write_text(before + BEGIN + table() + END + rest.split(END, 1)[1])
    else:
        sys.stdout.write(table())
