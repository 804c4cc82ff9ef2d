// Shows what tokens do to a node, over a data plane that is small enough to read: issued for a right,
// redeemed once for a child of it that is no wider and ends with the chain; revoked at any link, over
// restarts; refused with one word and nothing changed; and the same for functions.
#include <sys/stat.h>

#include "control/clock.hpp"
#include "control/token/bundle.hpp"
#include "control/token/issue.hpp"
#include "control/token/tokens.hpp"
#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control {
namespace {

using namespace std::chrono_literals;

using fake::ParsedJson;
using token::Bytes;

identity::SigningKey key_of(int number) {
  identity::Seed seed{};
  seed[0] = static_cast<std::uint8_t>(number);
  return identity::SigningKey(seed);
}

std::string text_of(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }
Bytes span_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

class TokensTest : public fake::NodeFixture {
 protected:
  const identity::SigningKey alice_ = key_of(1);
  const identity::SigningKey bob_ = key_of(2);

  void begin() {
    start();
    ASSERT_EQ(deploy("echo").status, 201);
  }
  std::string node_did() { return call("GET", "/v1/identity").body["did"]; }

  /// The bytes of a token for alice.
  std::string issue(const ParsedJson& more = ParsedJson::object()) {
    ParsedJson body{{"right", "echo"}, {"to", alice_.did()}};
    body.update(more);
    const fake::Reply reply = call("POST", "/v1/tokens", body.dump());
    EXPECT_EQ(reply.status, 201) << reply.body;
    return reply.status == 201 ? token::bundle_bytes(reply.body["token"].get<std::string>()) : "";
  }
  std::string pass_on(const std::string& chain, const identity::SigningKey& from,
                      const identity::SigningKey& to, const token::Terms& terms = {}) {
    token::Token last;
    EXPECT_EQ(token::read(token::split(span_of(chain)).back(), false, token::Profile::node, last),
              token::Reason::valid);
    const std::string audience = to.did();
    const std::vector<std::uint8_t> policy = token::policy_of(terms);
    return chain + text_of(token::sign(from, token::Delegation{.audience = audience,
                                                               .subject = last.subject,
                                                               .command = last.command,
                                                               .policy = policy,
                                                               .meta = {},
                                                               .expires = last.expires,
                                                               .not_before = {}}));
  }
  /// An invocation with its proofs behind it.
  std::string invoke_with(const std::string& chain, const identity::SigningKey& key,
                          const token::Terms& terms = {}, const std::string& audience = "") {
    std::vector<token::Digest> proofs;
    token::Token first;
    for (const Bytes part : token::split(span_of(chain))) {
      if (proofs.empty()) {
        EXPECT_EQ(token::read(part, false, token::Profile::node, first), token::Reason::valid);
      }
      proofs.push_back(token::digest_of(part));
    }
    const std::vector<std::uint8_t> arguments = token::arguments_of(terms);
    const std::string executor = audience.empty() ? node_did() : audience;
    return text_of(token::sign(key, token::Invocation{.audience = executor,
                                                      .subject = first.subject,
                                                      .command = token::kSendCommand,
                                                      .arguments = arguments,
                                                      .proofs = proofs,
                                                      .expires = unix_s() + 60,
                                                      .issued_at = {}})) +
           chain;
  }
  fake::Reply redeem(const std::string& tokens) {
    return call("POST", "/v1/tokens/redeem",
                ParsedJson{{"tokens", token::bundle_text(span_of(tokens))}}.dump());
  }
  std::string refusal(const std::string& tokens) {
    const fake::Reply reply = redeem(tokens);
    return reply.status == 422 ? reply.body["error"]["reason"].get<std::string>() : reply.body.dump();
  }
  fake::Reply revoke(const std::string& token) {
    return call("POST", "/v1/tokens/revoke",
                ParsedJson{{"token", token::bundle_text(span_of(token))}}.dump());
  }
  std::size_t rights() { return node_->state().rights().size(); }
};

TEST_F(TokensTest, BecomesAChildOfItsRightAndNoWider) {
  begin();
  const std::string chain =
      pass_on(issue({{"rate", 1000}, {"body_max", 100}, {"label", 77}, {"can", "send,carry"}}), alice_, bob_,
              {.can = {}, .rate = 50, .burst = {}, .in_flight = {}, .body_max = {}, .deadline_us = {}});
  const token::Terms asked{
      .can = token::kSend, .rate = 20, .burst = {}, .in_flight = 5, .body_max = 99, .deadline_us = {}};
  const fake::Reply reply = redeem(invoke_with(chain, bob_, asked));
  ASSERT_EQ(reply.status, 201) << reply.body;
  const RightRecord* right = node_->state().right(reply.body["slot"]);
  ASSERT_NE(right, nullptr);
  const RightRecord* own = node_->state().internal_right_of(right->process);
  EXPECT_EQ(right->parent, (abi::RightRef{own->slot, own->generation}));
  EXPECT_EQ(right->label, 77u);
  EXPECT_EQ(right->permissions, abi::kMaySend);
  EXPECT_EQ(right->rate, 20u);
  EXPECT_EQ(right->in_flight_max, 5u);
  EXPECT_EQ(right->body_max, 99u);
  token::Token last;
  ASSERT_EQ(token::read(token::split(span_of(chain)).back(), false, token::Profile::node, last),
            token::Reason::valid);
  EXPECT_EQ(right->expires_unix_ns / 1'000'000'000, static_cast<std::uint64_t>(*last.expires));
  EXPECT_TRUE(reply.body["uri"].get<std::string>().starts_with("grid://"));
  EXPECT_FALSE(right->token.empty());
}

TEST_F(TokensTest, AreRefusedWithAWordAndNothingChanges) {
  begin();
  const std::string chain = issue({{"rate", 10}});
  const token::Terms good{
      .can = {}, .rate = 10, .burst = {}, .in_flight = {}, .body_max = {}, .deadline_us = {}};
  token::Terms wide = good;
  wide.rate = 11;
  const std::size_t before = rights();
  EXPECT_EQ(refusal(invoke_with(chain, alice_, wide)), "policy_violated");
  EXPECT_EQ(refusal(invoke_with(chain, alice_)), "policy_violated");  // no rate at all is no limit
  EXPECT_EQ(refusal(invoke_with(chain, bob_, good)), "audience_mismatch");
  EXPECT_EQ(refusal(invoke_with(chain, alice_, good, bob_.did())), "audience_mismatch");
  EXPECT_EQ(refusal("x"), "malformed");
  const std::string whole = invoke_with(chain, alice_, good);
  EXPECT_EQ(refusal(whole.substr(0, whole.size() - chain.size())), "missing_proof");
  // What somebody signed who is no process of this node.
  const std::string subject = alice_.did();
  const std::string own = text_of(token::sign(alice_, token::Delegation{.audience = subject,
                                                                        .subject = subject,
                                                                        .command = token::kSendCommand,
                                                                        .policy = {},
                                                                        .meta = {},
                                                                        .expires = unix_s() + 60,
                                                                        .not_before = {}}));
  EXPECT_EQ(refusal(invoke_with(own, alice_)), "revoked");
  EXPECT_EQ(rights(), before);
  EXPECT_EQ(redeem(whole).status, 201);
  EXPECT_EQ(refusal(whole), "replayed");
  EXPECT_EQ(rights(), before + 1);
  // Proofs that are not needed change nothing, not even those of other tokens of this node; and without an
  // audience an invocation is for the process itself.
  const std::string own_did = call("GET", "/v1/identity?process=echo").body["did"];
  EXPECT_EQ(redeem(invoke_with(chain, alice_, good, own_did) + issue()).status, 201);
  stop_control();
  start_control();
  ASSERT_TRUE(attached());
  EXPECT_EQ(refusal(whole), "replayed");
}

TEST_F(TokensTest, RevokingALinkEndsWhatCameOfItOverRestarts) {
  begin();
  const std::string root = issue();
  const std::string chain = pass_on(root, alice_, bob_);
  const fake::Reply first = redeem(invoke_with(root, alice_));
  const fake::Reply second = redeem(invoke_with(chain, bob_));
  const fake::Reply third = redeem(invoke_with(chain, bob_));
  ASSERT_EQ(third.status, 201) << third.body;
  EXPECT_EQ(revoke(chain).body["rights"], 2);
  EXPECT_EQ(node_->state().right(second.body["slot"]), nullptr);
  EXPECT_EQ(node_->state().right(third.body["slot"]), nullptr);
  EXPECT_NE(node_->state().right(first.body["slot"]), nullptr);
  stop_control();
  start_control();
  ASSERT_TRUE(attached());
  EXPECT_EQ(refusal(invoke_with(chain, bob_)), "revoked");
  EXPECT_EQ(redeem(invoke_with(root, alice_)).status, 201);
  // By its CID, in any base. Revoking again changes nothing.
  const token::Digest digest = token::digest_of(span_of(root));
  std::string hex = "f";
  for (const std::uint8_t byte : token::cid_bytes(digest))
    for (const int nibble : {byte >> 4, byte & 15}) hex += "0123456789abcdef"[nibble];
  EXPECT_EQ(call("POST", "/v1/tokens/revoke", ParsedJson{{"cid", hex}}.dump()).body["rights"], 2);
  EXPECT_EQ(
      call("POST", "/v1/tokens/revoke", ParsedJson{{"cid", token::cid_text(digest)}}.dump()).body["rights"],
      0);
  EXPECT_EQ(refusal(invoke_with(root, alice_)), "revoked");
  EXPECT_EQ(call("GET", "/v1/tokens").body["tokens"][0]["state"], "revoked");
}

TEST_F(TokensTest, WhatWasSignedIsRevokedAsWell) {
  begin();
  const std::string root = issue();
  // What a signature made anew over the same payload gives has another CID: the payload's own hash is known too.
  ASSERT_EQ(revoke(root).status, 200);
  token::Token one;
  ASSERT_EQ(token::read(span_of(root), false, token::Profile::node, one), token::Reason::valid);
  const token::Digest payload = token::digest_of(one.signed_payload);
  EXPECT_TRUE(node_->state().revoked_tokens().contains(std::string(payload.begin(), payload.end())));
  EXPECT_TRUE(node_->state().revoked_tokens().contains(std::string(one.digest.begin(), one.digest.end())));
}

TEST_F(TokensTest, EndWithTheirRightAndTheirProcess) {
  begin();
  const fake::Reply right = call("POST", "/v1/rights", R"({"process": "echo", "rate": 7})");
  const std::string ref = std::to_string(right.body["slot"].get<int>()) + "." +
                          std::to_string(right.body["generation"].get<int>());
  const std::string chain = issue({{"right", ref}});
  const fake::Reply reply = redeem(invoke_with(chain, alice_));
  EXPECT_EQ(reply.body["rate"], 7);
  ASSERT_EQ(call("DELETE", "/v1/rights/" + ref).status, 200);
  EXPECT_EQ(node_->state().right(reply.body["slot"]), nullptr);
  EXPECT_EQ(refusal(invoke_with(chain, alice_)), "revoked");
  const std::string other = issue();
  const std::string did = call("GET", "/v1/identity?process=echo").body["did"];
  ASSERT_EQ(call("DELETE", "/v1/processes/echo").status, 200);
  ASSERT_EQ(deploy("echo").status, 201);
  EXPECT_NE(call("GET", "/v1/identity?process=echo").body["did"], did);
  EXPECT_EQ(refusal(invoke_with(other, alice_)), "revoked");
}

TEST_F(TokensTest, AreForFunctionsToo) {
  begin();
  const ProcessRecord process = *node_->state().process("echo");
  const Maker caller{process.index, process.generation, 1, 1};
  const RightRecord own = *node_->state().internal_right_of(process.index);
  TokenService& service = node_->tokens();
  std::optional<std::expected<std::vector<std::uint8_t>, Refusal>> made;
  const auto issue_with = [&](const RightSpec& limits) {
    made.reset();
    service.issue(caller, own, alice_.did(), limits, [&](auto result) { made = std::move(result); });
    EXPECT_TRUE(loop_.run_until([&] { return made.has_value(); }, 5s));
  };
  issue_with({});
  EXPECT_FALSE(*made) << "without an end";
  RightSpec limits;
  limits.expires_in_s = 86'401;
  issue_with(limits);
  EXPECT_FALSE(*made);
  limits.expires_in_s = 60;
  limits.body_max = 10;
  issue_with(limits);
  ASSERT_TRUE(*made) << made->error().text;
  const std::string chain = text_of(**made);
  const std::string tokens =
      invoke_with(chain, alice_,
                  {.can = {}, .rate = {}, .burst = {}, .in_flight = {}, .body_max = 10, .deadline_us = {}});
  std::optional<std::expected<abi::RightRef, Refusal>> right;
  const auto redeem_as = [&](const std::string& bytes) {
    right.reset();
    service.redeem(caller, {bytes.begin(), bytes.end()}, [&](auto result) { right = std::move(result); });
    EXPECT_TRUE(loop_.run_until([&] { return right.has_value(); }, 5s));
  };
  redeem_as("junk");
  ASSERT_FALSE(*right);
  EXPECT_EQ(right->error().reason, abi::Reason::not_permitted);
  EXPECT_EQ(right->error().text, "malformed");
  redeem_as(tokens);
  ASSERT_TRUE(*right) << right->error().text;
  EXPECT_EQ(node_->state().right((*right)->slot)->maker, caller);
  std::optional<std::expected<void, Refusal>> ended;
  const auto revoke_as = [&](const Maker& who, const token::Digest& digest) {
    ended.reset();
    service.revoke(who, token::cid_bytes(digest), [&](auto result) { ended = std::move(result); });
    EXPECT_TRUE(loop_.run_until([&] { return ended.has_value(); }, 5s));
  };
  const token::Digest digest = token::digest_of(span_of(chain));
  revoke_as(caller, token::digest_of(span_of("another")));
  EXPECT_EQ(ended->error().reason, abi::Reason::no_such_right);
  revoke_as({process.index, process.generation + 1, 1, 1}, digest);
  EXPECT_EQ(ended->error().reason, abi::Reason::not_permitted);
  revoke_as(caller, digest);
  EXPECT_TRUE(*ended);
  EXPECT_EQ(node_->state().right((*right)->slot), nullptr);
}

TEST_F(TokensTest, TheNodeServesWithoutAUsableKey) {
  begin();
  const auto path = directory_.path() / "state" / "keys" / "node.key";
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(status.st_size, 32);
  const std::string did = node_did();
  const std::string of_echo = call("GET", "/v1/identity?process=echo").body["did"];
  const std::string tokens = invoke_with(issue(), alice_);
  const auto restart = [&] {
    stop_control();
    start_control();
    ASSERT_TRUE(attached());
  };
  restart();
  EXPECT_EQ(node_did(), did);
  EXPECT_EQ(call("GET", "/v1/identity?process=echo").body["did"], of_echo);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  restart();
  for (const fake::Reply& reply :
       {call("GET", "/v1/identity"), call("GET", "/v1/identity?process=echo"), redeem(tokens),
        call("POST", "/v1/tokens", ParsedJson{{"right", "echo"}, {"to", alice_.did()}}.dump())}) {
    EXPECT_EQ(reply.status, 403) << reply.body;
    EXPECT_NE(reply.body["error"]["message"].get<std::string>().find("chmod 600"), std::string::npos);
  }
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo"})").status, 201);
  ASSERT_EQ(::chmod(path.c_str(), 0600), 0);
  std::filesystem::resize_file(path, 31);
  restart();
  EXPECT_EQ(call("GET", "/v1/identity").status, 500);
  EXPECT_EQ(call("POST", "/v1/rights", R"({"process": "echo"})").status, 201);
  std::filesystem::remove(path);
  restart();
  EXPECT_NE(node_did(), did);
}

}  // namespace
}  // namespace pgrid::control
