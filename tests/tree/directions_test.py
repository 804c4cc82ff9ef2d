#!/usr/bin/env python3
"""Shows that the tree keeps to its directions: {abi, drivers} <- {dataplane, control} <- {tests, bench, tools}, foreign
headers only in their folder, files of a readable length, nothing that ties the tree to one machine."""
import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import source_tree as tree
import tap

sys.argv[1:] = []  # the build directory, which this test does not need

# Which top folders each top folder may include.
MAY_INCLUDE = {
    "abi": {"abi"},
    "drivers": {"drivers"},
    "dataplane": {"abi", "drivers", "dataplane"},
    "control": {"abi", "drivers", "control"},
    "docs": {"abi"},
    "tools": {"abi", "drivers", "dataplane", "control", "tools"},
    "bench": {"abi", "drivers", "dataplane", "control", "tools", "bench", "tests"},
    "tests": {"abi", "drivers", "dataplane", "control", "tools", "tests"},
}

# A foreign header, and the only folders that may name it. (Folders end with a slash.)
FOREIGN = [
    (r"rte_\w+\.h", ("drivers/dpdk/",)),
    (r"(wasmtime|wasm)(\.hh?|/.*)", ("drivers/wasm/", "tests/control/code/")),
    (r"wabt/.*", ("drivers/wabt/",)),
    (r"liburing(\.h|/.*)", ("drivers/uring/",)),
    (r"(bpf|xdp)/.*", ("drivers/bpf/", "tests/drivers/bpf/")),
    (r"boost/.*", ("control/", "tests/control/", "tools/")),
    (r"sqlite3\.h", ("drivers/sqlite/",)),
    (r"openssl/.*", ("drivers/hash/",)),
    (r"spdlog/.*", ("control/",)),
    (r"toml\+\+/.*|toml\.hpp", ("drivers/config/",)),
    (r"CLI/.*", ("tools/", "control/", "dataplane/")),
    (r"seccomp\.h", ("drivers/", "dataplane/worker/")),
    (r"flatbuffers/.*", ("dataplane/", "tools/", "tests/", "bench/")),
    (r"(gtest|gmock)/.*", ("tests/",)),
    (r"benchmark/.*", ("bench/",)),
]

LINES_MAX = 400  # a file is one idea, read in one sitting; what is longer is listed with its reason
LINES_LISTED = 320  # below this a listed file has no need to be
LONG_FILES = pathlib.Path("tests/tree/long_files.txt")

# Paths of somebody's machine, and hosts of package registries (a lock file names the index it was made from).
# Written in pieces so that this file does not find itself.
MACHINE = re.compile(r"(?<![\w.>-])/(?:wo" r"rk|ro" r"ot|ho" r"me/\w+)/\w")
REGISTRY = re.compile(r"\b(?:deb\.debian" r"\.org|(?:static|index)\.crates" r"\.io|pypi" r"\.org|registry\.npmjs" r"\.org)")


class Directions(unittest.TestCase):
    def test_folders(self):
        """each folder includes only what lies below it"""
        wrong = []
        for path in tree.files(*MAY_INCLUDE, suffixes=tree.CODE):
            for quoted, header in tree.includes(path):
                top = header.split("/")[0]
                if quoted and top in MAY_INCLUDE and top not in MAY_INCLUDE[path.parts[0]]:
                    wrong.append(f"{path} includes {header}")
        self.assertEqual(wrong, [])

    def test_includes_are_rooted(self):
        """quoted includes start at the root of the repository"""
        # Guests include these the way a user's own project does, with copies of them in one folder.
        wrong = [f"{path} includes {header}" for path in tree.files(*MAY_INCLUDE, suffixes=tree.CODE)
                 for quoted, header in tree.includes(path)
                 if quoted and header.split("/")[0] not in MAY_INCLUDE and header not in ("promisegrid.h", "pg_control.h")]
        self.assertEqual(wrong, [])

    def test_the_model_is_independent(self):
        """what tokens are compared to shares no code with them"""
        files = [p for p in tree.files("tests/control/token", suffixes=tree.CODE) if p.name.startswith(("model", "chain_"))]
        self.assertGreater(len(files), 5)
        wrong = [f"{path} includes {header}" for path in files for quoted, header in tree.includes(path)
                 if quoted and not header.startswith("tests/control/token/")]
        self.assertEqual(wrong, [])

    def test_foreign_headers(self):
        """foreign headers appear only in their folder"""
        wrong = []
        for path in tree.files(*MAY_INCLUDE, suffixes=tree.CODE):
            for _, header in tree.includes(path):
                for pattern, folders in FOREIGN:
                    if re.fullmatch(pattern, header) and not str(path).startswith(folders):
                        wrong.append(f"{path} includes <{header}>, which belongs to {' '.join(folders)}")
        self.assertEqual(wrong, [])

    def test_include_targets_exist(self):
        """a rooted include names a file of the tree or a generated one"""
        def is_generated(header):
            build = tree.ROOT / pathlib.Path(header).parent / "meson.build"
            return build.is_file() and pathlib.Path(header).name in build.read_text()

        wrong = [f"{path} includes {header}" for path in tree.files(*MAY_INCLUDE, suffixes=tree.CODE)
                 for quoted, header in tree.includes(path)
                 if quoted and header.split("/")[0] in MAY_INCLUDE and not is_generated(header)
                 and not (tree.ROOT / header).is_file()]
        self.assertEqual(wrong, [])


class Files(unittest.TestCase):
    def test_length(self):
        """no file is over 400 lines unless it is listed with a reason"""
        listed = {}
        for line in tree.text(LONG_FILES).splitlines():
            if line and not line.startswith("#"):
                name, _, reason = line.partition(" ")
                listed[name] = reason.strip()
        long = {str(p): tree.text(p).count("\n") for p in tree.files()
                if tree.is_text(p) and p.name not in ("LICENSE", "Cargo.lock")}
        unlisted = [f"{name}: {lines} lines" for name, lines in long.items() if lines > LINES_MAX and name not in listed]
        self.assertEqual(unlisted, [], f"split them, or list them in {LONG_FILES}")
        idle = [name for name in listed if long.get(name, 0) <= LINES_LISTED]
        self.assertEqual(idle, [], f"listed in {LONG_FILES} without need")
        self.assertEqual([name for name, reason in listed.items() if not reason], [], "listed without a reason")

    def test_no_machine(self):
        """no path of one machine and no registry's host is written anywhere"""
        wrong = []
        for path in tree.files():
            if not tree.is_text(path) or path.name == "Cargo.lock":
                continue
            for number, line in enumerate(tree.text(path).splitlines(), 1):
                if MACHINE.search(line) or REGISTRY.search(line):
                    wrong.append(f"{path}:{number}: {line.strip()[:100]}")
        self.assertEqual(wrong, [])

    def test_headers_are_guarded(self):
        """every header is included once: #pragma once, or a guard where C reads it"""
        wrong = [str(p) for p in tree.files(suffixes={".hpp", ".h"})
                 if "#pragma once" not in tree.text(p) and not re.search(r"^#ifndef \w+_H_?$", tree.text(p), re.M)]
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    tap.main()
