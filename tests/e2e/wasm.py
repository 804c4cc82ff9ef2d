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


def module(imports=(), exports=("memory", "pg_activate"), pages=1, body=b"\x0b"):
    """A module with one function () -> () of the given body. Imports are (module, name) of functions (i32, i32) -> i32."""
    types = vector([b"\x60\x00\x00", b"\x60\x02\x7f\x7f\x01\x7f"])
    imported = vector([name(m) + name(n) + b"\x00\x01" for m, n in imports])
    what = {"memory": name("memory") + b"\x02\x00", "pg_activate": name("pg_activate") + b"\x00" + leb(len(imports))}
    code = b"\x00" + body
    return (b"\0asm\x01\0\0\0" + section(1, types) + section(2, imported) + section(3, vector([b"\x00"])) +
            section(5, vector([b"\x00" + leb(pages)])) + section(7, vector([what[e] for e in exports])) +
            section(10, vector([leb(len(code)) + code])))
