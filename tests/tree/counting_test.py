#!/usr/bin/env python3
"""Shows that tools/test counts right: every kind of test program, and every way to fail without saying so."""
import pathlib
import sys
import unittest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[n] / d) for n, d in ((1, "python"), (2, "tools/shell"))]
import count_tests
import tap

sys.argv[1:] = []  # the build directory, which this test does not need

GTEST = "[==========] 3 tests ran.\n[  PASSED  ] {} tests.\n"
GTEST_FAILED = "[  FAILED  ] 2 tests, listed below:\n[  FAILED  ] A.b\n[  FAILED  ] A.c\n"


class Counting(unittest.TestCase):
    def check(self, expected, result, stdout=""):
        self.assertEqual(count_tests.count({"name": "x", "result": result, "stdout": stdout}), expected)

    def test_plain(self):
        """a plain program counts as one"""
        self.check((1, 0, 0), "OK", "done\n")
        self.check((0, 1, 0), "FAIL", "oh\n")
        self.check((0, 1, 0), "TIMEOUT")
        self.check((0, 0, 1), "SKIP")

    def test_gtest(self):
        """GoogleTest cases count each"""
        self.check((3, 0, 0), "OK", GTEST.format(3))
        self.check((1, 2, 0), "FAIL", GTEST.format(1) + GTEST_FAILED)
        self.check((1, 0, 0), "OK", "[  PASSED  ] 1 test.\n")
        self.check((2, 0, 1), "OK", GTEST.format(2) + "[  SKIPPED ] 1 test, listed below:\n[  SKIPPED ] A.b\n")

    def test_tap(self):
        """lines of the Test Anything Protocol count each"""
        self.check((2, 0, 1), "OK", "ok 1 - a\nok 2 - b\nok 3 - c # SKIP why\n1..3\n")
        self.check((1, 1, 0), "FAIL", "ok 1 - a\n# trouble\nnot ok 2 - b\n1..2\n")

    def test_silent_failure(self):
        """a program that fails behind passed cases counts as a failure: a sanitizer at exit, a crash, a time limit"""
        self.check((3, 1, 0), "FAIL", GTEST.format(3))
        self.check((1, 1, 0), "TIMEOUT", "ok 1 - a\n")
        self.check((2, 1, 0), "ERROR", "ok 1 - a\nok 2 - b\n1..3\n")


if __name__ == "__main__":
    tap.main()
