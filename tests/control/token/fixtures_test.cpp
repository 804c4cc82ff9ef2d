// Shows that every row of the public UCAN 1.0.0 fixtures (ucan-wg/spec, commit 9955aa1, fixtures/1.0.0) gets
// its verdict and its class of error under the profile "spec". The files are where PGRID_VECTORS says, else
// in
// ../shared/vectors beside the repository; without them the tests say so and skip.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "control/token/chain.hpp"
#include "control/token/issue.hpp"
#include "control/token/multibase.hpp"
#include "control/token/policy.hpp"
#include "control/token/writer.hpp"

namespace pgrid::token {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

fs::path folder() {
  if (const char* path = std::getenv("PGRID_VECTORS")) return fs::path(path) / "ucan-1.0.0";
  return fs::path(PGRID_SOURCE_ROOT).parent_path() / "shared/vectors/ucan-1.0.0";
}

#define LOAD_OR_SKIP(json, name)                                                               \
  std::ifstream file(folder() / (name));                                                       \
  if (!file) GTEST_SKIP() << "no " << folder() / (name) << "; PGRID_VECTORS names the folder"; \
  const Json json = Json::parse(file)

Bytes span_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

std::string bytes_in(const Json& item) { return from_base64(item["/"]["bytes"].get<std::string>()).value(); }

/// The words that a class of error in the fixtures can be here.
std::set<std::string_view> words_of(const std::string& error) {
  if (error == "InvalidClaim") return {"issuer_mismatch", "powerline"};
  if (error == "UnavailableProof") return {"missing_proof"};
  if (error == "Expired") return {"expired"};
  if (error == "TooEarly") return {"not_yet_valid"};
  if (error == "InvalidAudience") return {"audience_mismatch"};
  if (error == "InvalidSubject") return {"subject_mismatch"};
  if (error == "InvalidSignature") return {"bad_signature"};
  if (error == "MatchError") return {"policy_violated"};
  return {};  // a class that is new: the row fails
}

std::string_view verdict_of(const Json& row, Profile profile) {
  const std::string invocation = bytes_in(row["invocation"]);
  std::vector<std::string> proofs;
  for (const Json& proof : row["proofs"]) proofs.push_back(bytes_in(proof));
  std::vector<Bytes> views;
  for (const std::string& proof : proofs) views.push_back(span_of(proof));
  // The fixtures name no executor: it is whom the invocation is for.
  Token token;
  EXPECT_EQ(name_of(read(span_of(invocation), true, Profile::spec, token)), "valid") << row["name"];
  const std::string_view audiences[] = {token.audience.empty() ? token.subject : token.audience};
  Chain chain;
  return name_of(verify(span_of(invocation), views,
                        {.at = row["time"].get<std::int64_t>(), .audiences = audiences, .profile = profile},
                        chain));
}

TEST(Fixtures, Invocations) {
  LOAD_OR_SKIP(json, "invocation.json");
  for (const Json& row : json["valid"]) EXPECT_EQ(verdict_of(row, Profile::spec), "valid") << row["name"];
  for (const Json& row : json["invalid"]) {
    const std::string error = row["error"]["name"];
    EXPECT_TRUE(words_of(error).contains(verdict_of(row, Profile::spec)))
        << row["name"] << ": " << error << ", got " << verdict_of(row, Profile::spec);
  }
  EXPECT_EQ(json["valid"].size(), 7u);
  EXPECT_EQ(json["invalid"].size(), 13u);
}

TEST(Fixtures, OurProfileTakesNoneOfThemForNoneExpires) {
  LOAD_OR_SKIP(json, "invocation.json");
  for (const Json& row : json["valid"]) {
    EXPECT_EQ(verdict_of(row, Profile::node), "no_expiry") << row["name"];
  }
}

TEST(Fixtures, Delegations) {
  LOAD_OR_SKIP(json, "delegation.json");
  ASSERT_EQ(json["valid"].size(), 1u);
  for (const Json& row : json["valid"]) {
    const std::string bytes = from_base64(row["token"].get<std::string>()).value();
    Token token;
    ASSERT_EQ(name_of(read(span_of(bytes), false, Profile::spec, token)), "valid") << row["name"];
    EXPECT_TRUE(is_signed(token));
    EXPECT_EQ(token_digest_from_text(row["cid"].get<std::string>()), token.digest);
    const Json& payload = row["envelope"]["payload"];
    EXPECT_EQ(token.issuer, payload["iss"].get<std::string>());
    EXPECT_EQ(token.audience, payload["aud"].get<std::string>());
    EXPECT_EQ(token.subject, payload["sub"].get<std::string>());
    EXPECT_EQ(token.command, payload["cmd"].get<std::string>());
    EXPECT_EQ(token.expires, payload["exp"].get<std::int64_t>());
    // The issuer's private key is there: what we sign with it is the same, byte for byte.
    identity::Seed seed;
    for (const auto& [name, key] : json["principals"].items()) {
      const std::string tagged = from_base64(key.get<std::string>()).value();  // varint 0x1300, 32 bytes
      ASSERT_EQ(tagged.size(), 34u);
      std::copy(tagged.begin() + 2, tagged.end(), seed.begin());
      if (identity::SigningKey(seed).did() == token.issuer) break;
    }
    const identity::SigningKey key(seed);
    ASSERT_EQ(key.did(), token.issuer);
    Delegation again{.audience = token.audience,
                     .subject = token.subject,
                     .command = token.command,
                     .policy = {},
                     .meta = {},
                     .expires = token.expires,
                     .not_before = {}};
    const std::string nonce = from_base64(payload["nonce"].get<std::string>()).value();
    ASSERT_EQ(nonce.size(), again.nonce.size());
    std::copy(nonce.begin(), nonce.end(), again.nonce.begin());
    const std::vector<std::uint8_t> made = sign(key, again);
    EXPECT_EQ(std::string(made.begin(), made.end()), bytes);
  }
}

void write_json(Writer& out, const Json& json) {
  if (json.is_object()) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : json.items()) keys.push_back(key);
    std::ranges::sort(keys, [](const auto& a, const auto& b) {
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    });
    out.map(keys.size());
    for (const std::string& key : keys) write_json(out.text(key), json[key]);
  } else if (json.is_array()) {
    out.array(json.size());
    for (const Json& one : json) write_json(out, one);
  } else if (json.is_string()) {
    out.text(json.get<std::string>());
  } else if (json.is_number_float()) {
    const auto bits = std::bit_cast<std::uint64_t>(json.get<double>());
    std::uint8_t bytes[9] = {0xfb};
    for (unsigned i = 0; i < 8; ++i) bytes[1 + i] = static_cast<std::uint8_t>(bits >> (56 - 8 * i));
    out.raw(bytes);
  } else if (json.is_number()) {
    out.integer(json.get<std::int64_t>());
  } else {
    const std::uint8_t simple[] = {static_cast<std::uint8_t>(json.is_null()     ? 0xf6
                                                             : json.get<bool>() ? 0xf5
                                                                                : 0xf4)};
    out.raw(simple);
  }
}

TEST(Fixtures, Policies) {
  LOAD_OR_SKIP(json, "policy.json");
  unsigned policies = 0;
  for (const char* group : {"valid", "invalid"})
    for (const Json& row : json[group]) {
      Writer args;
      write_json(args, row["args"]);
      for (const Json& one : row["policies"]) {
        Writer policy;
        write_json(policy, one);
        ASSERT_EQ(check(policy.view(), true).reason, Reason::valid) << one;
        ASSERT_EQ(check_policy(policy.view(), 8), Reason::valid) << one;
        EXPECT_EQ(satisfies(policy.view(), args.view()), group == std::string("valid"))
            << one << " of " << row["args"];
        ++policies;
      }
    }
  EXPECT_EQ(policies, 25u);
}

}  // namespace
}  // namespace pgrid::token
