#!/usr/bin/env python3
"""Shows that docs/API.md is the API: its examples work, what it names exists, what exists it names."""
import json
import pathlib
import re
import shutil
import tempfile

import case
import examples
from node import EXAMPLES, ROOT, ApiError

DOCUMENT = "docs/API.md"
HEADING = re.compile(r"^### `(GET|POST|DELETE) (/v1/[\w/]+)`$", re.M)


class ApiDocument(case.Case):
    def setUp(self):
        super().setUp()
        self.a = self.node()
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="pgrid-api-"))
        self.undo.later(shutil.rmtree, self.directory)
        shutil.copy(EXAMPLES / "echo.wasm", self.directory)

    def test_examples(self):
        """every example, in order: a success, and JSON"""
        shell = examples.Shell(self.undo, self.directory, PGRID_NODE=str(self.a.run))
        ran = [text for kind, text in examples.blocks(DOCUMENT) if kind == "sh"]
        self.assertGreater(len(ran), 14)
        for text in ran:
            with self.subTest(text.strip().splitlines()[-1][:90]):
                status, output = shell.run(text)
                self.assertEqual(status, 0, output)
                self.assertIsInstance(json.loads(output), dict)
        self.assertEqual(self.a.api("GET", "/v1/processes")["processes"], [], "the last example cleans up")

    def test_what_it_names_exists(self):
        """every heading is a path that control knows with that method; another method is 405"""
        named = HEADING.findall((ROOT / DOCUMENT).read_text())
        self.assertGreater(len(named), 18)
        methods = {}
        for method, path in named:
            methods.setdefault(path, set()).add(method)
        for path, known in methods.items():
            real = path.replace("NAME", "nobody").replace("RIGHT", "0.0")
            for method in ("GET", "POST", "DELETE"):
                with self.subTest(f"{method} {path}"):
                    try:
                        status, message = 200, str(self.a.api(method, real))
                    except ApiError as error:
                        status, message = error.status, error.message
                    self.assertNotIn("there is nothing here", message)
                    self.assertEqual(status == 405, method not in known, message)

    def test_what_exists_it_names(self):
        """every path that pgrid asks for, and every word that control's routes look for, stands in the document"""
        text = (ROOT / DOCUMENT).read_text()
        headings = {path for _, path in HEADING.findall(text)}
        words = {word for path in headings for word in path.split("/")}
        routed = set()
        for file in (ROOT / "control" / "api").glob("*.cpp"):
            routed |= set(re.findall(r'(?:\bis\(\d, |path(?:\(\))?\[\d\] [!=]= )"(\w+)"', file.read_text()))
        self.assertGreater(len(routed), 5)
        self.assertEqual(routed - words, set())
        asked = set()
        for file in (ROOT / "tools" / "pgrid").rglob("*.cpp"):
            asked |= set(re.findall(r'"(/v1/\w+)', file.read_text()))
        self.assertGreater(len(asked), 4)
        self.assertEqual({path for path in asked if not any(one.startswith(path) for one in headings)}, set())


if __name__ == "__main__":
    case.main()
