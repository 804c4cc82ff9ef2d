#!/usr/bin/env python3
"""Shows what a token is worth: one that a node issued for somebody else's DID is redeemed over the API and used over the
wire; passed on twice, each time narrower; verified offline; revoked, and then the slot answers no_such_right before
`revoke` has returned. Bad tokens get one word each and change nothing. Without a key a node has no identity, and serves."""
import base64
import json
import os
import time

import case
import message1
from message1 import Kind, Reason
from node import EXAMPLES, ApiError

B = dict(name="b", device="tap:pg1", v4="198.51.100.1", host_v4="198.51.100.2", v6="2001:db8:1::1", host_v6="2001:db8:1::2")


def parts_of(text):
    """The bytes of a bundle: multibase "u"."""
    text = text.strip()
    assert text[0] == "u", text[:8]
    return base64.urlsafe_b64decode(text[1:] + "=" * (-len(text[1:]) % 4))


class Tokens(case.Case):
    def setUp(self):
        super().setUp()
        self.a = self.node()
        self.a.deploy(EXAMPLES / "echo.wasm", "echo")
        self.keys = {name: self.new_key(name) for name in ("alice", "bob", "carol")}

    def new_key(self, name):
        return self.a.cli("id", "--new", self.path(f"{name}.key")).stdout.strip()

    def path(self, name):
        return self.a.directory / name

    def grant(self, *options, to="alice", name="token"):
        self.a.cli("cap", "grant", "echo", "--to", self.keys[to], "-o", self.path(name), *options)
        return self.path(name)

    def redeem(self, token, who, *options, node=None, status=0):
        return (node or self.a).cli("cap", "redeem", token, "--key", self.path(f"{who}.key"), *options, status=status)

    def call(self, uri, body=b"ping"):
        return message1.call(uri, body, timeout_s=5)

    def refusal(self, node, tokens):
        """The word with which an API refuses what is redeemed."""
        with self.assertRaises(ApiError) as refused:
            node.api("POST", "/v1/tokens/redeem", {"tokens": tokens})
        self.assertEqual((refused.exception.status, refused.exception.code), (422, "refused"))
        return refused.exception.message.split(":")[0]

    def rights(self, node=None):
        return [(r["slot"], r["generation"]) for r in (node or self.a).api("GET", "/v1/rights")["rights"]]

    def test_issued_redeemed_passed_on_revoked(self):
        """a token becomes a right that works over the wire; a link of its chain is revoked and the right is gone at once"""
        b = self.node(**B)
        node_did = self.a.cli("id").stdout.strip()
        self.assertNotEqual(node_did, b.cli("id").stdout.strip())
        self.assertNotEqual(node_did, self.a.cli("id", "echo").stdout.strip())
        for did in self.keys.values():
            self.assertRegex(did, r"^did:key:z6Mk")
        token = self.grant("--can", "send", "--rate", "1000", "--expires", "1h")
        first = self.redeem(token, "alice").stdout.strip()
        self.assertEqual(self.call(first).body, b"ping")

        # Passed on twice, offline, each time narrower.
        for giver, taker, limit in (("alice", "bob", "500"), ("bob", "carol", "100")):
            self.a.cli("cap", "attenuate", token, "--to", self.keys[taker], "--key", self.path(f"{giver}.key"), "--rate", limit,
                       "-o", self.path(f"{taker}.token"))
            token = self.path(f"{taker}.token")
        self.redeem(token, "bob", status=1)  # it is carol's
        self.redeem(token, "carol", "-o", self.path("invocation"))
        verify = ["cap", "verify", "--audience", node_did, self.path("invocation")]
        now = int(time.time())
        self.assertEqual(self.a.cli(*verify, "--at", now).stdout, "valid\n")
        self.assertEqual(self.a.cli(*verify, "--at", now + 7200, status=1).stdout, "expired\n")
        self.assertEqual(self.a.cli("cap", "verify", "--audience", self.keys["bob"], "--at", now, self.path("invocation"),
                                    status=1).stdout, "audience_mismatch\n")
        right = json.loads(self.a.cli("cap", "redeem", self.path("invocation"), "--json").stdout)
        self.assertEqual((right["rate"], right["can"]), (100, "send"))
        self.assertEqual(self.call(right["uri"]).body, b"ping")

        # For another node it is nothing; and it is good once.
        self.assertEqual(self.refusal(b, self.path("invocation").read_text()), "audience_mismatch")
        self.assertEqual(self.refusal(self.a, self.path("invocation").read_text()), "replayed")
        self.assertEqual(self.rights(b), [])

        # Bob's link goes: carol's right with it, alice's stays.
        issued = json.loads(self.a.cli("cap", "ls", "--tokens", "--json").stdout)["tokens"]
        self.assertEqual([len(t["redeemed"]) for t in issued], [2])
        self.a.cli("cap", "revoke", self.path("bob.token"))
        self.assertEqual(self.call(right["uri"]).reason, Reason.no_such_right)
        self.assertEqual(self.call(first).body, b"ping")
        self.redeem(token, "carol", "-o", self.path("again"))
        self.assertEqual(self.refusal(self.a, self.path("again").read_text()), "revoked")
        (self.path("revoked.json")).write_text(json.dumps([issued[0]["cid"]]))
        self.assertEqual(self.a.cli(*verify, "--at", now, "--revoked", self.path("revoked.json"), status=1).stdout, "revoked\n")

        # The root goes, by its CID: everything. It stays so over a restart of control.
        self.a.cli("cap", "revoke", issued[0]["cid"])
        self.assertEqual(self.call(first).reason, Reason.no_such_right)
        self.a.allow("pgrid-control", "control ")
        self.a.kill("pgrid-control")
        self.a.wait_serving()
        self.redeem(self.path("token"), "alice", "-o", self.path("late"))
        self.assertEqual(self.refusal(self.a, self.path("late").read_text()), "revoked")
        self.assertEqual(self.a.cli("id").stdout.strip(), node_did)

    def test_bad_tokens(self):
        """each bad token is refused with its word, and nothing is changed"""
        token = self.grant("--rate", "10", "--body-max", "8B")
        self.redeem(token, "alice", "-o", self.path("good"))
        good = parts_of(self.path("good").read_text())
        before = self.rights()

        def text(data):
            return "u" + base64.urlsafe_b64encode(data).decode().rstrip("=")

        half = bytearray(good)
        half[100] ^= 1
        for data, word in ((b"", "malformed"), (b"\x80", "malformed"), (good[:-1], "malformed"), (good + b"\0", "malformed"),
                           (b"\x98\x02" + good[1:], "non_canonical"), (b"\x9f" + good[1:], "non_canonical"),
                           (b"\x82\x58\x40" + bytes(64) + good[67:], "bad_signature"),
                           (b"\x82" + b"\x5a\0\0\x20\0" + bytes(8192) + b"\xa0", "token_too_large")):
            self.assertEqual(self.refusal(self.a, text(data) if data else "u"), word)
        self.assertIn(self.refusal(self.a, text(bytes(half))), ("bad_signature", "malformed", "unsupported_key", "non_canonical"))
        with self.assertRaises(ApiError) as refused:
            self.a.api("POST", "/v1/tokens", {"right": "echo", "to": "did:web:example.com"})
        self.assertEqual(refused.exception.code, "invalid_argument")
        with self.assertRaises(ApiError) as refused:
            self.a.api("POST", "/v1/tokens", {"right": "echo", "to": self.keys["bob"], "expires_in_s": 86_401})
        self.assertEqual(refused.exception.code, "invalid_argument")
        self.assertEqual(self.rights(), before)
        right = json.loads(self.a.cli("cap", "redeem", self.path("good"), "--json").stdout)
        self.assertEqual((right["rate"], right["body_max"]), (10, 8))
        self.assertEqual(self.call(right["uri"], b"x" * 9).reason, Reason.too_large)

    def test_no_key(self):
        """a key that others may read is not used: a sentence says so, tokens are refused, and everything else goes on"""
        uri = self.a.create_right("echo")["uri"]
        key = next(self.a.run.rglob("node.key"))
        self.assertEqual((key.stat().st_mode & 0o777, key.stat().st_size), (0o600, 32))
        os.chmod(key, 0o640)
        self.a.allow("pgrid-control", "control ", "no identity")
        self.a.kill("pgrid-control")
        self.a.wait_serving()
        self.assertIn("chmod 600", self.a.cli("id", status=1).stderr)
        self.assertIn("chmod 600", self.a.cli("cap", "grant", "echo", "--to", self.keys["alice"], status=1).stderr)
        self.assertEqual(self.call(uri).kind, Kind.answer)
        self.assertEqual(self.a.invoke("echo", b"x")["body"], b"x")


if __name__ == "__main__":
    case.main()
