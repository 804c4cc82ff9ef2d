"""Small WebAssembly modules, byte by byte, for what a compiler would not let through."""


def leb(n):
    out = bytearray()
    while True:
        byte, n = n & 0x7F, n >> 7
        out.append(byte | (0x80 if n else 0))
        if not n:
            return bytes(out)


def vector(items):
    return leb(len(items)) + b"".join(items)


def name(text):
    return leb(len(text)) + text.encode()


def section(number, content):
    return bytes([number]) + leb(len(content)) + content


# Bodies of functions.
NOTHING = b"\x0b"
TRAP = b"\x00\x0b"                      # unreachable
LOOP = b"\x03\x40\x0c\x00\x0b\x0b"      # loop, br 0
RECURSE = b"\x10\x00\x0b"              # call 0: with no imports, the module's one function
OUT_OF_BOUNDS = b"\x41\x7f\x41\x00\x36\x02\x00\x0b"  # i32.store of 0 at the last address there is


def module(imports=(), exports=("memory", "pg_activate"), pages=1, body=NOTHING, start=False):
    """A module with one function () -> () of the given body, which is exported under each name, and the start function if
    asked for. Imports are (module, name) of functions (i32, i32) -> i32."""
    types = vector([b"\x60\x00\x00", b"\x60\x02\x7f\x7f\x01\x7f"])
    imported = vector([name(m) + name(n) + b"\x00\x01" for m, n in imports])
    function = leb(len(imports))
    what = {"memory": name("memory") + b"\x02\x00"} | {n: name(n) + b"\x00" + function for n in ("pg_activate", "pg_init")}
    code = b"\x00" + body
    return (b"\0asm\x01\0\0\0" + section(1, types) + section(2, imported) + section(3, vector([b"\x00"])) +
            section(5, vector([b"\x00" + leb(pages)])) + section(7, vector([what[e] for e in exports])) +
            (section(8, function) if start else b"") + section(10, vector([leb(len(code)) + code])))
