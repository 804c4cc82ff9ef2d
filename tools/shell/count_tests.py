#!/usr/bin/env python3
"""Counts the test cases in meson's testlog.json files, and says which failed.

    count_tests.py LOG.json...   prints "PASSED FAILED SKIPPED" on stdout, failed cases and their output on stderr

A GoogleTest program counts its cases, a TAP test its lines, everything else counts as one. A program that fails although
none of its cases did (a sanitizer's report at exit, a crash) counts as one failure.
"""
import json
import re
import sys

GTEST_PASSED = re.compile(r"^\[  PASSED  \] (\d+) tests?\.", re.M)
GTEST_FAILED = re.compile(r"^\[  FAILED  \] (\d+) tests?, listed below", re.M)
GTEST_SKIPPED = re.compile(r"^\[  SKIPPED \] (\d+) tests?, listed below", re.M)
TAP_OK = re.compile(r"^ok\b(?!.*# SKIP)", re.M)
TAP_SKIPPED = re.compile(r"^ok\b.*# SKIP", re.M)
TAP_FAILED = re.compile(r"^not ok\b(?!.*# TODO)", re.M)

PASSES = {"OK", "EXPECTEDFAIL"}
SKIPS = {"SKIP", "IGNORED"}
OUTPUT_LINES = 40  # of a failed program, on stderr


def total(pattern, text):
    return sum(int(n) for n in pattern.findall(text))


def count(test):
    """(passed, failed, skipped) of one line of the log."""
    text = test.get("stdout") or ""
    result = test["result"]
    if GTEST_PASSED.search(text) or GTEST_FAILED.search(text):
        passed, failed, skipped = (total(p, text) for p in (GTEST_PASSED, GTEST_FAILED, GTEST_SKIPPED))
    elif TAP_OK.search(text) or TAP_FAILED.search(text) or TAP_SKIPPED.search(text):
        passed, failed, skipped = (len(p.findall(text)) for p in (TAP_OK, TAP_FAILED, TAP_SKIPPED))
    elif result in SKIPS:
        return 0, 0, 1
    else:
        passed, failed, skipped = (1, 0, 0) if result in PASSES else (0, 1, 0)
    if result not in PASSES | SKIPS and failed == 0:
        failed = 1
    return passed, failed, skipped


def main(logs):
    totals = [0, 0, 0]
    for log in logs:
        try:
            lines = open(log, encoding="utf-8", errors="replace").read().splitlines()
        except OSError as error:
            print(f"no test log: {error}", file=sys.stderr)
            totals[1] += 1
            continue
        for line in filter(None, lines):
            test = json.loads(line)
            cases = count(test)
            totals = [a + b for a, b in zip(totals, cases)]
            if cases[1]:
                print(f"FAILED: {test['name']} ({test['result']}, exit status {test.get('returncode')})", file=sys.stderr)
                output = (test.get("stdout") or "") + (test.get("stderr") or "")
                for text in output.splitlines()[-OUTPUT_LINES:]:
                    print(f"  | {text[:220]}", file=sys.stderr)
    print(*totals)


if __name__ == "__main__":
    main(sys.argv[1:])
