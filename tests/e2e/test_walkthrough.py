#!/usr/bin/env python3
"""Shows that the walk-through of docs/CAPABILITIES.md does what it says: its blocks run as a reader would paste them, in order,
and print what the document shows."""
import pathlib
import re
import shutil
import tempfile

import case
import examples
from node import EXAMPLES, HARMLESS, TROUBLE

DOCUMENT = "docs/CAPABILITIES.md"


def pattern(shown):
    """What a document shows, as a regular expression: `...` is anything on a line, and alone on it any lines; a blank is
    any number of them."""
    text = ""
    for line in shown.rstrip("\n").split("\n"):
        if line.strip() == "...":
            text += r"(?:.*\n)*?"
            continue
        parts = [r"[ ]+".join(map(re.escape, re.split(" +", part))) for part in line.rstrip().split("...")]
        text += ".*".join(parts) + r"[ ]*\n"
    return re.compile(rf"\A{text}\Z")


class WalkThrough(case.Case):
    def test_walk_through(self):
        """every block, in order, prints what stands below it"""
        directory = pathlib.Path(tempfile.mkdtemp(prefix="pgrid-walk-"))
        self.undo.later(shutil.rmtree, directory, True)
        shell = examples.Shell(self.undo, directory, EXAMPLES=str(EXAMPLES))  # ended before its folder goes
        steps = examples.blocks(DOCUMENT)
        self.assertGreater(len(steps), 10)
        said = None
        try:
            for kind, text in steps:
                if kind == "sh":
                    self.assertEqual(said or "", "", "something was printed that the document does not show")
                    _, said = shell.run(text)
                else:
                    self.assertEqual(kind, "text")
                    said = said.rstrip("\n") + "\n"
                    self.assertTrue(pattern(text).search(said), f"the document shows\n{text}and what came was\n{said}")
                    said = None
        except AssertionError:
            log = directory / "up.log"
            print("".join(f"# {line}\n" for line in (log.read_text().splitlines()[-40:] if log.exists() else [])))
            raise
        trouble = [line for line in (directory / "up.log").read_text().splitlines()
                   if TROUBLE.search(line) and not any(re.search(one, line) for one in HARMLESS)]
        self.assertEqual(trouble, [])


if __name__ == "__main__":
    case.main()
