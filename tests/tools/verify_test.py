#!/usr/bin/env python3
"""Shows `pgrid verify`: a verdict that names what is proved, a refusal that says why, exit statuses; and that no node is needed."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import tap
from cli_case import PGRID, Case

HEAD = bytes.fromhex("0061736d01000000")
ACTIVATE = bytes.fromhex("010401600000" "03020100")  # type () -> (), one function of it
EXPORTS = bytes.fromhex("0503010001" "071802066d656d6f7279020 00b70675f61637469766174650000".replace(" ", ""))
EMPTY = HEAD + ACTIVATE + EXPORTS + bytes.fromhex("0a040102000b")
ENDLESS = HEAD + ACTIVATE + EXPORTS + bytes.fromhex("0a09010700" "03400c000b0b")  # (loop (br 0))


class Verify(Case):
    def file(self, content):
        path = self.directory / "module.wasm"
        path.write_bytes(content)
        return path

    def test_proved(self):
        """a function that ends: proved, with steps, for people and for programs"""
        text = self.pgrid("verify", self.file(EMPTY)).stdout.decode()
        self.assertIn("can be deployed", text)
        self.assertRegex(text, r"pg_activate +ends, after 1 step at most")
        verdict = json.loads(self.pgrid("verify", "--json", self.file(EMPTY)).stdout)
        self.assertEqual(verdict["termination"], [{"entry": "pg_activate", "proved": True, "steps": 1, "steps_per_message": 1}])
        self.assertEqual(verdict, json.loads(self.pgrid("verify", "--json", "--quick", self.file(EMPTY)).stdout))

    def test_not_proved(self):
        """one that does not: can be deployed all the same, and the reason has a place in the file"""
        text = self.pgrid("verify", self.file(ENDLESS)).stdout.decode()
        self.assertRegex(text, r"pg_activate +not proved to end: .*function 0, at byte \d+")
        self.assertIn("time limit", text)

    def test_refused(self):
        """a refusal says why: exit status 1"""
        self.assertIn(b"not WebAssembly", self.pgrid("verify", self.file(b"text"), status=1).stderr)
        self.assertIn(b"the limit is 64 KiB", self.pgrid("verify", "--memory", "64KiB", self.file(EMPTY.replace(
            b"\x05\x03\x01\x00\x01", b"\x05\x03\x01\x00\x02")), status=1).stderr)

    def test_usage(self):
        """no such file, wrong options: exit status 2"""
        self.assertIn(b"no such file", self.pgrid("verify", self.directory / "none.wasm", status=2).stderr)
        self.pgrid("verify", status=2)


if __name__ == "__main__":
    tap.main()
