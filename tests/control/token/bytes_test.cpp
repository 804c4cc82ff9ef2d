// Shows what the reader of DAG-CBOR takes and what it refuses, with the neighbours of every bound; that CIDs
// are read in any base; that a did:key has one text; and that what is written is what is read.
#include <gtest/gtest.h>
#include <sodium.h>

#include "control/identity/did_key.hpp"
#include "control/token/cid.hpp"
#include "control/token/dag_cbor.hpp"
#include "control/token/multibase.hpp"
#include "control/token/policy.hpp"
#include "control/token/selector.hpp"
#include "control/token/writer.hpp"

namespace pgrid::token {
namespace {

std::string from_hex(std::string_view text) { return from_multibase("f" + std::string(text)).value(); }
Bytes span_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

std::string_view word(const std::string& bytes, bool floats = false) {
  return name_of(check(span_of(bytes), floats).reason);
}

TEST(DagCbor, TakesWhatIsCanonical) {
  for (const char* hex : {"00",
                          "17",
                          "1818",
                          "18ff",
                          "190100",
                          "19ffff",
                          "1a00010000",
                          "1affffffff",
                          "1b0000000100000000",
                          "1bffffffffffffffff",
                          "20",
                          "3bffffffffffffffff",
                          "40",
                          "4101",
                          "60",
                          "617a",
                          "62c3a9",
                          "80",
                          "8101",
                          "a0",
                          "a161610a",
                          "a2616101616202",
                          "a261620162616102",
                          "f4",
                          "f5",
                          "f6",
                          "818181818180"})
    EXPECT_EQ(word(from_hex(hex)), "valid") << hex;
}

TEST(DagCbor, RefusesTheRestWithItsReason) {
  struct Row {
    const char* hex;
    const char* word;
  };
  for (const Row& row : std::initializer_list<Row>{{"", "malformed"},
                                                   {"0000", "malformed"},
                                                   {"1817", "non_canonical"},
                                                   {"1900ff", "non_canonical"},
                                                   {"1a0000ffff", "non_canonical"},
                                                   {"1b00000000ffffffff", "non_canonical"},
                                                   {"18", "malformed"},
                                                   {"19ff", "malformed"},
                                                   {"1c", "malformed"},
                                                   {"1f", "malformed"},
                                                   {"41", "malformed"},
                                                   {"5f", "non_canonical"},
                                                   {"7f", "non_canonical"},
                                                   {"9fff", "non_canonical"},
                                                   {"bfff", "non_canonical"},
                                                   {"ff", "malformed"},
                                                   {"5801aa", "non_canonical"},
                                                   {"62c328", "malformed"},
                                                   {"63eda080", "malformed"},
                                                   {"62c0af", "malformed"},
                                                   {"64f4908080", "malformed"},
                                                   {"81", "malformed"},
                                                   {"a1", "malformed"},
                                                   {"a16161", "malformed"},
                                                   {"a10102", "malformed"},
                                                   {"a2616201616102", "non_canonical"},
                                                   {"a2616101616102", "non_canonical"},
                                                   {"a262616101616202", "non_canonical"},
                                                   {"f7", "malformed"},
                                                   {"f0", "malformed"},
                                                   {"f820", "malformed"},
                                                   {"f814", "malformed"},
                                                   {"c100", "malformed"},
                                                   {"d82a00", "malformed"},
                                                   {"d82a40", "malformed"},
                                                   {"d82a4101", "malformed"},
                                                   {"f93c00", "float"},
                                                   {"fa3f800000", "float"},
                                                   {"fb3ff0000000000000", "float"},
                                                   {"9bffffffffffffffff", "malformed"},
                                                   {"bb8000000000000000", "malformed"},
                                                   {"5bffffffffffffffff", "malformed"}})
    EXPECT_EQ(word(from_hex(row.hex)), row.word) << row.hex;
}

TEST(DagCbor, FloatsWhereTheyAreAllowed) {
  EXPECT_EQ(word(from_hex("fb3ff0000000000000"), true), "valid");
  EXPECT_EQ(word(from_hex("f93c00"), true), "non_canonical");
  EXPECT_EQ(word(from_hex("fa3f800000"), true), "non_canonical");
  EXPECT_EQ(word(from_hex("fb7ff0000000000000"), true), "malformed");
  EXPECT_EQ(word(from_hex("fb7ff8000000000000"), true), "malformed");
}

TEST(DagCbor, NestingHasABound) {
  EXPECT_EQ(word(std::string(kNestingMax - 1, '\x81') + '\x80'), "valid");
  const std::string deeper = std::string(kNestingMax, '\x81') + '\x80';
  EXPECT_EQ(word(deeper), "malformed");
  EXPECT_TRUE(check(span_of(deeper), false).is_too_deep);
}

TEST(DagCbor, NumbersAreEqualHoweverWritten) {
  EXPECT_TRUE(equal(span_of(from_hex("01")), span_of(from_hex("fb3ff0000000000000"))));
  EXPECT_TRUE(equal(span_of(from_hex("8120")), span_of(from_hex("81fbbff0000000000000"))));
  EXPECT_FALSE(equal(span_of(from_hex("01")), span_of(from_hex("fb3ff0000000000001"))));
  // 2^64 - 1 is no double; the nearest one is 2^64.
  EXPECT_FALSE(equal(span_of(from_hex("1bffffffffffffffff")), span_of(from_hex("fb43f0000000000000"))));
  EXPECT_FALSE(equal(span_of(from_hex("01")), span_of(from_hex("f5"))));
}

TEST(DagCbor, WhatIsWrittenIsRead) {
  const Digest digest = digest_of(span_of("x"));
  Writer out;
  out.map(3).text("a").array(5).uint(23).uint(24).integer(-1).integer(INT64_MIN).integer(INT64_MAX);
  out.text("b").link(digest).text("cc").bytes(digest);
  ASSERT_EQ(name_of(check(out.view(), false).reason), "valid");
  Cursor in(find(out.view(), "a"));
  EXPECT_EQ(in.next().value, 5u);
  EXPECT_EQ(in.next().value, 23u);
  EXPECT_EQ(in.next().value, 24u);
  EXPECT_EQ(in.next().kind, Kind::nint);
  EXPECT_EQ(in.next().value, static_cast<std::uint64_t>(INT64_MAX));
  EXPECT_EQ(token_digest(first_of(find(out.view(), "b")).content), digest);
  EXPECT_EQ(first_of(find(out.view(), "cc")).content.size(), 32u);
  EXPECT_TRUE(find(out.view(), "c").empty());
}

TEST(Cid, IsReadInAnyBase) {
  // One CID, of the bytes 01 71 12 20 and SHA-256("x"), as several writers of multibase write it.
  const Digest digest = digest_of(span_of("x"));
  const auto bytes = cid_bytes(digest);
  const std::string b64 = base64(bytes);
  std::string url = b64;
  for (char& c : url) c = c == '+' ? '-' : c == '/' ? '_' : c;
  std::string hex;
  for (const std::uint8_t byte : bytes)
    for (const int nibble : {byte >> 4, byte & 15}) hex += "0123456789abcdef"[nibble];
  std::string bits;
  for (const std::uint8_t byte : bytes)
    for (int i = 7; i >= 0; --i) bits += static_cast<char>('0' + (byte >> i & 1));
  for (const std::string& text : {cid_text(digest), "f" + hex, "0" + bits, "m" + b64, "u" + url, "M" + b64,
                                  "U" + url, "z" + base58(bytes)})
    EXPECT_EQ(token_digest_from_text(text), digest) << text;
  EXPECT_TRUE(cid_text(digest).starts_with("zdpu"));
  // As ucan-wg/spec's fixtures write one: base32.
  EXPECT_TRUE(token_digest_from_text("bafyreigyftnzjf4rcu7glp5kfop53vqlopc3zcldauoqdxqlz7t4343gr4"));
  EXPECT_TRUE(token_digest_from_text("BAFYREIGYFTNZJF4RCU7GLP5KFOP53VQLOPC3ZCLDAUOQDXQLZ7T4343GR4"));
  for (const char* text :
       {"", "b", "bafyrei", "afyreigyftnzjf4rcu7glp5kfop53vqlopc3zcldauoqdxqlz7t4343gr4",
        "bafyreigyftnzjf4rcu7glp5kfop53vqlopc3zcldauoqdxqlz7t4343gr5",  // bits behind the end
        "bafyreigyftnzjf4rcu7glp5kfop53vqlopc3zcldauoqdxqlz7t4343gr4a", "zO0", "f0", "?"})
    EXPECT_FALSE(token_digest_from_text(text)) << text;
  // Of code, and of version 0: CIDs, but of no token.
  EXPECT_TRUE(cid_from_text("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"));
  EXPECT_FALSE(token_digest_from_text("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG"));
}

TEST(DidKey, HasOneText) {
  for (int i = 0; i < 1000; ++i) {
    identity::PublicKey key;
    randombytes_buf(key.data(), key.size());
    if (i == 0) key.fill(0);
    if (i == 1) key.fill(0xff);
    const std::string did = identity::did_of(key);
    ASSERT_EQ(did.size(), identity::kDidTextMax);
    EXPECT_EQ(identity::key_of(did), key);
    std::string other = did;
    other[9 + static_cast<std::size_t>(i) % 47] = '0';
    EXPECT_FALSE(identity::key_of(other));
    EXPECT_FALSE(identity::key_of(did + "1"));
    EXPECT_FALSE(identity::key_of(did.substr(0, 55)));
  }
  EXPECT_TRUE(identity::key_of("did:key:z6MkmT9j6fVZqzXV8u2wVVSu49gYSRYGSQnduWXF6foAJrqz"));
  EXPECT_FALSE(identity::key_of("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme"));  // secp256k1
  EXPECT_FALSE(identity::key_of("did:key:zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"));
  EXPECT_FALSE(identity::key_of("did:web:example.com"));
}

TEST(Selector, IsRefusedOutsideItsGrammar) {
  for (const char* text :
       {".", ".a", ".a.b", ".a?", ".a???", ".[0]", ".[-1]", ".[]", ".[1:2]", ".[1:]", ".[:2]", ".[:]",
        ".a[0].b", ".[\"x y\"]", ".[\"\\\"\"]", ".[\"]\"]", ".$_-9", ".[0][1]", ".a.[0]"})
    EXPECT_TRUE(is_selector(text)) << text;
  for (const char* text : {"", "a", "..", ".a.", ".a..b", ".[", ".[0", ".[a]", ".[\"a]", ".[\"\\n\"]", ".a b",
                           ".?", "[0]", ".[1:2:3]", ".[--1]", ".[1234567890123456]", ".a[0]b", ". "})
    EXPECT_FALSE(is_selector(text)) << text;
}

TEST(Like, TakesAPatternApart) {
  EXPECT_TRUE(is_like("", "*"));
  EXPECT_TRUE(is_like("", ""));
  EXPECT_FALSE(is_like("", "?"));
  EXPECT_TRUE(is_like("a*b", "a\\*b"));
  EXPECT_FALSE(is_like("axb", "a\\*b"));
  EXPECT_TRUE(is_like("a\\b", "a\\b"));
  EXPECT_TRUE(is_like("abcabd", "*abd"));
  EXPECT_FALSE(is_like("abcab", "*abd*"));
  EXPECT_TRUE(is_like("mississippi", "m*iss*ip*"));
}

}  // namespace
}  // namespace pgrid::token
