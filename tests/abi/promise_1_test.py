#!/usr/bin/env python3
"""The promise-1 document agrees with itself: its CDDL is promise-1.cddl, every example is what the schema's rule of that name
allows, in deterministic encoding and with the size that the text says; every operation and key that the text names is there;
and the schema says no to what is near the examples but not of them."""
import os
import re
import sys
import unittest

sys.path.insert(0, os.path.dirname(__file__))
import cddl

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
DOCUMENT = open(os.path.join(ROOT, "abi/wire/promise-1.md"), encoding="utf-8").read()
TEXT = open(os.path.join(ROOT, "abi/wire/promise-1.cddl"), encoding="utf-8").read()
SCHEMA = cddl.Schema(TEXT)
EXAMPLES = re.findall(r"(\d+) bytes?:\n\n```hex ([a-z-]+)\n(.*?)```", DOCUMENT, re.DOTALL)


def example_bytes(block):
    data = b""
    for line in block.splitlines():
        words = line.split("#")[0].split()
        if len(words) == 3 and words[1] == "*":
            data += bytes.fromhex(words[0]) * int(words[2])
        else:
            data += bytes.fromhex("".join(words))
    return data


class Promise1(unittest.TestCase):
    def test_schema_in_the_document_is_the_schema(self):
        self.assertIn("```cddl\n" + TEXT + "```", DOCUMENT)

    def test_every_message_has_an_example(self):
        named = {name for _, name, _ in EXAMPLES}
        self.assertEqual(len(named), len(EXAMPLES))
        for rule in ("request", "answer", "notice"):
            for _, name in SCHEMA.rules[rule][1]:
                self.assertIn(name, named)

    def test_examples_are_what_the_schema_says(self):
        self.assertGreater(len(EXAMPLES), 20)
        for size, name, block in EXAMPLES:
            data = example_bytes(block)
            self.assertEqual(len(data), int(size), name)
            self.assertLessEqual(len(data), 1024, name)
            SCHEMA.check(name, cddl.read(data))
            SCHEMA.check("promise-1", cddl.read(data))

    def test_what_is_near_an_example_is_refused(self):
        wrong = {
            "mint": ["a20001", "a3000101070300ff", "a200010208", "a2000109ff", "a2010700" + "01", "a2000118ff00"],
            "random": ["a100" + "09", "a200090c00", "a200090c190101", "a200090c1818" + "00"],
            "timer": ["a200080b1a03938701", "a200080b41" + "00"],
            "grant": ["a10003", "a200030a60"],
            "advertise": ["a3000a0d61610e80", "a3000a0d61610f01"],
        }
        for rule, bodies in wrong.items():
            for body in bodies:
                with self.assertRaises((cddl.Wrong, ValueError), msg=f"{rule} {body}"):
                    SCHEMA.check(rule, cddl.read(bytes.fromhex(body)))

    def test_the_table_of_keys_is_complete(self):
        keys = {int(n) for n in re.findall(r"^\s*(?:\?\s*)?(\d+):", TEXT, re.MULTILINE)}
        keys |= {int(n) for n in re.findall(r"[{,] (?:\? )?(\d+):", TEXT)}
        rows = {int(n) for n in re.findall(r"^\| (\d+) \| [a-z_]+ \| (?:number|text|array|bool|bytes)", DOCUMENT, re.MULTILINE)}
        self.assertEqual(keys, rows)

    def test_operations_of_the_schema_have_their_row(self):
        for rule in SCHEMA.rules["request"][1]:
            number = next(node[1] for _, _, key, node in SCHEMA.rules[rule[1]][1] if key == 0)
            row = re.search(rf"^\| {number} \| ([a-z_]+) \| \d", DOCUMENT, re.MULTILINE)
            self.assertIsNotNone(row, rule)
            self.assertIn(rule[1].replace("-", "_"), row.group(1))


if __name__ == "__main__":
    unittest.main()
