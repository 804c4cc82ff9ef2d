#!/usr/bin/env python3
"""Writes the examples of promise-1.md as files: what fuzz_promise begins with.

usage: promise_corpus.py DOCUMENT DIRECTORY STAMP
"""
import pathlib
import re
import sys

document, directory, stamp = map(pathlib.Path, sys.argv[1:])
directory.mkdir(parents=True, exist_ok=True)
for name, block in re.findall(r"```hex ([a-z-]+)\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL):
    data = b""
    for line in block.splitlines():
        words = line.split("#")[0].split()
        if len(words) == 3 and words[1] == "*":
            data += bytes.fromhex(words[0]) * int(words[2])
        else:
            data += bytes.fromhex("".join(words))
    for rights in (0, 1):  # that the message carries
        (directory / f"{name}-{rights}").write_bytes(bytes([rights]) + data)
stamp.touch()
