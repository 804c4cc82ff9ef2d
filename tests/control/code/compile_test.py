#!/usr/bin/env python3
"""Shows the program pgrid-compile: a module on stdin becomes a verdict and an image on stdout; everything else is one sentence on stderr
and an exit status; a module made to be expensive ends within its limits.

Usage: compile_test.py PGRID_COMPILE
"""
import json
import pathlib
import random
import subprocess
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "python"))
import tap

PROGRAM = sys.argv.pop(1)
EXAMPLES = pathlib.Path(PROGRAM).resolve().parents[2] / "docs/examples"
# (module (memory (export "memory") 1) (func (export "pg_activate")))
SMALLEST = bytes.fromhex("0061736d 01000000 01040160 0000 03020100 05030100 01"
                         "0718 02 066d656d6f7279 0200 0b70675f6163746976617465 0000 0a040102000b".replace(" ", ""))


def run(arguments, module=b""):
    return subprocess.run([PROGRAM, *arguments], input=module, capture_output=True, timeout=150)


def leb(n):
    out = b""
    while True:
        n, low = n >> 7, n & 0x7f
        out += bytes([low | (0x80 if n else 0)])
        if not n:
            return out


def with_body(body):
    """SMALLEST with another body of pg_activate."""
    code = b"\x01" + leb(len(body)) + body
    return SMALLEST[:SMALLEST.index(b"\x0a\x04\x01\x02")] + b"\x0a" + leb(len(code)) + code


class Compile(unittest.TestCase):
    def test_image(self):
        """a module becomes a verdict and an image, the same one each time"""
        first = run(["--memory", "1048576"], SMALLEST)
        self.assertEqual((first.returncode, first.stderr), (0, b""))
        verdict, image = first.stdout.split(b"\n", 1)
        self.assertEqual(json.loads(verdict)["short"], "terminates within 1 steps per message")
        self.assertTrue(image.startswith(b"\x7fELF"))
        self.assertEqual(image, run(["--memory", "65536"], SMALLEST).stdout.split(b"\n", 1)[1])

    def test_verify(self):
        """only verified: the verdict, and no image"""
        done = run(["--verify", "--memory", "1048576"], SMALLEST)
        self.assertEqual((done.returncode, done.stderr, done.stdout.count(b"\n")), (0, b"", 1))
        self.assertEqual(done.stdout, run(["--memory", "1048576"], SMALLEST).stdout.split(b"\n", 1)[0] + b"\n")

    def test_refused(self):
        """a refusal is one sentence, exit 1, and no output"""
        for module in (b"", b"nonsense", SMALLEST[:-1]):
            done = run(["--memory", "1048576"], module)
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            self.assertTrue(done.stderr.startswith(b"pgrid-compile: "))
            self.assertEqual(done.stderr.count(b"\n"), 1)

    def test_usage(self):
        """wrong arguments are said, exit 2"""
        for arguments in ([], ["--verify"], ["--memory"], ["--memory", "x"], ["--memory", "0"], ["--memory", "1m"], ["--what"]):
            done = run(arguments)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn(b"--memory BYTES", done.stderr)

    def test_fingerprint(self):
        """the fingerprint names engine and CPU"""
        done = run(["--fingerprint"])
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stdout.decode(), r"^wasmtime \d+\.\d+\.\d+, configuration \d+, \w+.*\n$")

    def test_any_bytes(self):
        """any file ends in a verdict or in one sentence: random bytes, and modules cut off or with bits turned over"""
        rng = random.Random(5)
        modules = [p.read_bytes() for p in sorted(EXAMPLES.glob("*.wasm"))] or [SMALLEST]
        files = [rng.randbytes(rng.randrange(200)) for _ in range(10)] + [SMALLEST[:8] + rng.randbytes(80) for _ in range(10)]
        for module in modules:
            files += [module[:rng.randrange(len(module))] for _ in range(10)]
            for _ in range(25):
                turned = bytearray(module)
                for _ in range(rng.randrange(1, 4)):
                    turned[rng.randrange(8, len(turned))] ^= 1 << rng.randrange(8)
                files.append(bytes(turned))
        verdicts = 0
        for data in files:
            done = run(["--verify", "--memory", "1048576"], data)
            if done.returncode == 0:
                verdicts += 1
                self.assertEqual(json.loads(done.stdout)["format"], 1)
            else:
                self.assertEqual((done.returncode, done.stdout, done.stderr.count(b"\n")), (1, b"", 1), data.hex())
        self.assertGreater(verdicts, 0)  # some turned bits do no harm

    def test_limits(self):
        """a small module that would cost the compiler half a minute is ended, and that is said"""
        loops = 1750  # 7 kB
        body = b"\x00" + b"\x03\x40" * loops + b"\x0b" * loops + b"\x0b"
        done = run(["--memory", "1048576"], with_body(body))
        self.assertIn(done.returncode, (0, 1))
        if done.returncode:
            self.assertIn(b"more CPU time", done.stderr)
            self.assertEqual(done.stderr.count(b"\n"), 1)

    def test_expensive(self):
        """deep nesting ends in an image or a sentence, not in a crash"""
        depth = 400_000

        body = b"\x00" + b"\x02\x40" * depth + b"\x0b" * depth + b"\x0b"
        done = run(["--memory", "1048576"], with_body(body))
        self.assertIn(done.returncode, (0, 1), done.stderr[:300])
        self.assertLessEqual(done.stderr.count(b"\n"), 1)


if __name__ == "__main__":
    tap.main()
