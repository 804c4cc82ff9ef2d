"""Checks CBOR against a schema in CDDL (RFC 8610): the part of it that abi/wire/promise-1.cddl uses.

Rules and groups, choices, maps with number keys, arrays, occurrence (?, *, n*m), literals, ranges, uint, bool, true, tstr,
bstr, .size. Also reads CBOR in deterministic encoding (RFC 8949 section 4.2.1) and nothing else. Written apart from the
node's own reader, so that one checks the other.
"""
import re

TOKEN = re.compile(r"\s*(?:;[^\n]*\n)?\s*(\d+\*\d+|\d+\.\.\d+|[A-Za-z][A-Za-z0-9-]*|\.size|\d+|[{}\[\]():,=/?*])")


class Wrong(Exception):
    """The CBOR is not deterministic, or is not what the schema says."""


def read(data):
    """The value of one CBOR item that is all of `data`. Maps are lists of pairs, so that their order is seen."""
    value, end = _item(data, 0)
    if end != len(data):
        raise Wrong("something behind the item")
    return value


def _item(data, at):
    if at >= len(data):
        raise Wrong("cut off")
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if major == 7:
        if low not in (20, 21):
            raise Wrong("a simple value that is not used")
        return low == 21, at
    n = low
    if low >= 24:
        if low > 27:
            raise Wrong("no fixed length")
        size = 1 << (low - 24)
        if at + size > len(data):
            raise Wrong("cut off")
        n = int.from_bytes(data[at : at + size], "big")
        at += size
        if n < (24 if size == 1 else 1 << (4 * size)):
            raise Wrong("not the shortest form")
    if major == 0:
        return n, at
    if major in (2, 3):
        if at + n > len(data):
            raise Wrong("cut off")
        raw = bytes(data[at : at + n])
        return (raw if major == 2 else raw.decode()), at + n
    if major == 4:
        items = []
        for _ in range(n):
            value, at = _item(data, at)
            items.append(value)
        return items, at
    if major == 5:
        pairs, last = [], b""
        for _ in range(n):
            begin = at
            key, at = _item(data, at)
            if data[begin:at] <= last:
                raise Wrong("keys do not rise")
            last = data[begin:at]
            value, at = _item(data, at)
            pairs.append((key, value))
        return Map(pairs), at
    raise Wrong("a kind of item that is not used")


class Map(list):
    """Pairs of key and value, as they stood."""


class Schema:
    def __init__(self, text):
        text = re.sub(r";[^\n]*", "", text)
        self.tokens, at = [], 0
        while text[at:].strip():
            match = TOKEN.match(text, at)
            if not match:
                raise ValueError("not understood: " + text[at : at + 40])
            self.tokens.append(match.group(1))
            at = match.end()
        self.rules, self.at = {}, 0
        while self.at < len(self.tokens):
            name = self._take()
            self._take("=")
            self.rules[name] = self._type()

    def _peek(self, ahead=0):
        return self.tokens[self.at + ahead] if self.at + ahead < len(self.tokens) else None

    def _take(self, wanted=None):
        token = self._peek()
        if wanted is not None and token != wanted:
            raise ValueError(f"{wanted} expected, not {token}")
        self.at += 1
        return token

    def _type(self):
        choices = [self._single()]
        while self._peek() == "/":
            self._take()
            choices.append(self._single())
        return ("choice", choices) if len(choices) > 1 else choices[0]

    def _single(self):
        token = self._take()
        if token in "{[(":
            kind = {"{": "map", "[": "array", "(": "group"}[token]
            entries, end = [], {"{": "}", "[": "]", "(": ")"}[token]
            while self._peek() != end:
                entries.append(self._entry())
                if self._peek() == ",":
                    self._take()
            self._take(end)
            return (kind, entries)
        if ".." in token:
            low, high = token.split("..")
            node = ("range", int(low), int(high))
        elif token.isdigit():
            node = ("range", int(token), int(token))
        else:
            node = ("name", token)
        if self._peek() == ".size":
            self._take()
            size = self._single()
            if size[0] == "group":
                size = size[1][0][3]
            node = ("size", node, size)
        return node

    def _entry(self):
        low, high = 1, 1
        token = self._peek()
        if token == "?":
            self._take()
            low = 0
        elif token == "*":
            self._take()
            low, high = 0, 1 << 62
        elif re.fullmatch(r"\d+\*\d+", token):
            low, high = (int(n) for n in self._take().split("*"))
        key = None
        if self._peek(1) == ":":
            key = int(self._take())
            self._take(":")
        return (low, high, key, self._type())

    def check(self, rule, value):
        self._check(self.rules[rule], value, rule)

    def _fits(self, node, value):
        try:
            self._check(node, value, "")
            return True
        except Wrong:
            return False

    def _flat(self, entries):
        for low, high, key, node in entries:
            if key is None and node[0] == "name" and self.rules.get(node[1], (None,))[0] == "group":
                yield from self._flat(self.rules[node[1]][1])
            else:
                yield low, high, key, node

    def _check(self, node, value, where):
        def must(holds):
            if not holds:
                raise Wrong(f"{where}: {value!r} is no {node}")

        kind = node[0]
        if kind == "choice":
            must(any(self._fits(one, value) for one in node[1]))
        elif kind == "range":
            must(type(value) is int and node[1] <= value <= node[2])
        elif kind == "size":
            self._check(node[1], value, where)
            size = len(value if isinstance(value, bytes) else value.encode())
            must(node[2][1] <= size <= node[2][2])
        elif kind == "map":
            must(isinstance(value, Map))
            entries = {key: (low, one) for low, _, key, one in self._flat(node[1])}
            for key, one in value:
                must(key in entries)
                self._check(entries[key][1], one, f"{where}.{key}")
            there = {key for key, _ in value}
            must(all(low == 0 or key in there for key, (low, _) in entries.items()))
        elif kind == "array":
            must(isinstance(value, list) and not isinstance(value, Map))
            rest = list(value)
            for low, high, _, one in node[1]:
                taken = 0
                while rest and taken < high and self._fits(one, rest[0]):
                    rest.pop(0)
                    taken += 1
                must(taken >= low)
            must(not rest)
        elif node[1] == "uint":
            must(type(value) is int)
        elif node[1] == "bool":
            must(type(value) is bool)
        elif node[1] == "true":
            must(value is True)
        elif node[1] in ("tstr", "bstr"):
            must(isinstance(value, str if node[1] == "tstr" else bytes))
        else:
            self._check(self.rules[node[1]], value, where or node[1])
