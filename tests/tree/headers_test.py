#!/usr/bin/env python3
"""Shows that every header of the product compiles alone. A header that is the first include of its own .cpp shows that in the ordinary
build; the others are compiled here, with the flags of their folder's nearest source file.

Usage: headers_test.py BUILD_DIRECTORY
"""
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import source_tree as tree
import tap

BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
FOLDERS = ("abi", "drivers", "dataplane", "control", "tools")
TRIES = 5  # sets of flags that a header is tried with


def proven_by_source(header):
    source = header.with_suffix(".cpp")
    if not (tree.ROOT / source).is_file():
        return False
    first = next((h for _, h in tree.includes(source)), None)
    return first == str(header)


def compile_flags():
    """Source file (relative to the root) -> its compile command without input, output and dependency files."""
    flags = {}
    for entry in json.loads((BUILD / "compile_commands.json").read_text()):
        words = shlex.split(entry["command"])
        kept, skip = [], False
        for word in words:
            if skip:
                skip = False
            elif word in ("-o", "-MF", "-MQ", "-MT"):
                skip = True
            elif word not in ("-c", "-MD", entry["file"]) and not word.startswith("-O"):
                kept.append(word)
        source = pathlib.Path(os.path.normpath(os.path.join(entry["directory"], entry["file"])))
        if source.suffix == ".cpp" and source.is_relative_to(tree.ROOT):
            flags[source.relative_to(tree.ROOT)] = kept
    return flags


def nearest(header, flags):
    """The flags of the sources that share the longest leading path with the header, best first: libraries of one folder
    differ in the foreign headers that they see."""
    def shared(source):
        ours, theirs = header.parts[:-1], source.parts[:-1]
        mirrored = ("tests",) + ours == theirs
        same = 0
        for a, b in zip(ours, theirs):
            if a != b:
                break
            same += 1
        return (same, mirrored, source.parts[0] == "tests")
    distinct = []
    for source in sorted(flags, key=shared, reverse=True):
        if flags[source] not in distinct:
            distinct.append(flags[source])
    return distinct[:TRIES]


class Headers(unittest.TestCase):
    def test_compile_alone(self):
        """every header compiles alone"""
        flags = compile_flags()
        headers = [h for h in tree.files(*FOLDERS, suffixes={".hpp"}) if not proven_by_source(h)]
        self.assertGreater(len(headers), 10)

        def compile_one(header):
            for command in nearest(header, flags):
                command = command + ["-fsyntax-only", "-O0", "-U_FORTIFY_SOURCE", "-fdiagnostics-color=never", "-x", "c++", "-"]
                done = subprocess.run(command, cwd=BUILD, input=f'#include "{header}"\n', text=True, capture_output=True,
                                      timeout=120)
                if done.returncode == 0:
                    break
            return header, done

        failures = []
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for header, done in pool.map(compile_one, headers):
                if done.returncode:
                    errors = [line for line in done.stderr.splitlines() if "error" in line][:3]
                    failures.append(f"{header}: {errors}")
        self.assertEqual(failures, [])


if __name__ == "__main__":
    tap.main()
