#!/usr/bin/env python3
"""Shows that the documents agree with the tree: links lead somewhere, commands exist, every counter and every suite is
described.

Usage: docs_test.py BUILD_DIRECTORY
"""
import json
import pathlib
import re
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import source_tree as tree
import tap

BUILD = pathlib.Path(sys.argv.pop(1)).resolve()
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.M | re.S)
PGRID = BUILD / "tools" / "pgrid" / "pgrid"


def documents():
    return tree.files(suffixes={".md"})


def prose(path):
    """The document without its code blocks and code spans."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", tree.text(path)))


def anchors(path):
    """The names that headings of a document get."""
    found = set()
    for heading in re.findall(r"^#+\s+(.*)$", FENCE.sub("", tree.text(path)), re.M):
        heading = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        found.add(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
    return found


def code_lines(path):
    """Lines of code in a document: fenced, or indented by four after an empty line."""
    lines, fenced, previous = [], False, ""
    for line in tree.text(path).splitlines():
        if re.match(r"\s*(```|~~~)", line):
            fenced = not fenced
        elif fenced or (line.startswith("    ") and (previous == "" or previous.startswith("    "))):
            lines.append(line.strip())
        previous = line
    return lines


class Links(unittest.TestCase):
    def test_links(self):
        """every relative link leads to a file, and to a heading of it"""
        broken = []
        for path in documents():
            for target in LINK.findall(prose(path)):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, anchor = target.partition("#")
                file = (tree.ROOT / path.parent / name).resolve() if name else tree.ROOT / path
                if not file.exists():
                    broken.append(f"{path}: {target}")
                elif anchor and file.suffix == ".md" and anchor not in anchors(file.relative_to(tree.ROOT)):
                    broken.append(f"{path}: {target} (no such heading)")
        self.assertEqual(broken, [])


class Counters(unittest.TestCase):
    def test_counters(self):
        """docs/OPERATING.md describes every counter, word for word as abi/shared/counters.hpp does"""
        made = subprocess.run([sys.executable, tree.ROOT / "tools/shell/counters_table.py"], capture_output=True, text=True,
                              check=True).stdout
        self.assertGreater(made.count("\n"), 60)
        document = tree.text("docs/OPERATING.md")
        begin, end = "<!-- counters: begin -->\n", "<!-- counters: end -->"
        self.assertIn(begin, document)
        table = document.split(begin, 1)[1].split(end, 1)[0]
        self.assertEqual(table, made, "run tools/shell/counters_table.py --write")

    def test_reasons(self):
        """docs/OPERATING.md names every reason of a non-commitment"""
        enum = re.search(r"enum class Reason[^{]*\{(.*?)\n\};", tree.text("abi/shared/reason.hpp"), re.S).group(1)
        names = re.findall(r"^\s*(\w+) = \d+", enum, re.M)
        self.assertGreater(len(names), 8)
        document = tree.text("docs/OPERATING.md")
        self.assertEqual([n for n in names if n != "none" and f"`{n}`" not in document], [])


class Suites(unittest.TestCase):
    def test_suites(self):
        """every test has a suite, and tests/README.md describes exactly the suites there are"""
        tests = json.loads((BUILD / "meson-info" / "intro-tests.json").read_text())
        self.assertGreater(len(tests), 5)
        bare = [t["name"] for t in tests if not t["suite"] or t["suite"] == ["promisegrid"]]
        self.assertEqual(bare, [], "a test without a suite")
        real = {s.split(":")[-1] for t in tests for s in t["suite"]}
        described = set(re.findall(r"^\| `([\w-]+)` \|", tree.text("tests/README.md"), re.M))
        optional = {"fuzz"}  # built with -Dfuzz=true only
        self.assertEqual(described - optional, real - optional)


class Commands(unittest.TestCase):
    def test_scripts_exist(self):
        """every tools/... and build/... command in a code block names a program of the tree"""
        wrong = []
        for path in documents():
            for line in code_lines(path):
                word = re.sub(r"^(\$ |sudo |time )+", "", line).split(" ")[0]
                if word.startswith("tools/") and not (tree.ROOT / word).is_file():
                    wrong.append(f"{path}: {line}")
                if word.startswith("build/") and not (BUILD / word.removeprefix("build/")).exists():
                    wrong.append(f"{path}: {line}")
        self.assertEqual(wrong, [])

    def test_pgrid_commands_exist(self):
        """every `pgrid COMMAND` in a code block is a command that pgrid --help knows"""
        if not PGRID.exists():
            self.skipTest("pgrid is not built")
        lines = [line for path in documents() for line in code_lines(path)]
        used = set(re.findall(r"(?:^|\| |/)pgrid ((?:cap )?[a-z]+)", "\n".join(lines), re.M))
        self.assertGreater(len(used), 5)
        wrong = []
        for command in sorted(used):
            done = subprocess.run([PGRID, *command.split(), "--help"], capture_output=True, text=True, timeout=20)
            if done.returncode != 0:
                wrong.append(f"pgrid {command}: {(done.stderr or done.stdout).strip()[:100]}")
        self.assertEqual(wrong, [])


if __name__ == "__main__":
    tap.main()
