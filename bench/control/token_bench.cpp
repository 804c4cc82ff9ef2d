// Measures what verifying a chain of tokens costs beside the bare signature checks of libsodium that it
// needs: the same payloads, signatures and keys, one core, in turn, so that both sides meet the same machine.
// Prints microseconds for each and the ratio of bare to whole (1: verifying costs nothing else). The bar is
// 0.8.
//   token_bench [DELEGATIONS] [ROUNDS]
#include <sodium.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "control/token/chain.hpp"
#include "control/token/issue.hpp"
#include "control/token/terms.hpp"

namespace {

using namespace pgrid;

constexpr std::int64_t kNow = 1'790'000'000;
constexpr int kPerRound = 200;

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
  return values[values.size() / 2];
}

/// Microseconds of one call.
template <typename Call>
double time_of(Call call) {
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kPerRound; ++i) call();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count() /
         kPerRound;
}

int run(unsigned delegations, unsigned rounds) {
  std::vector<identity::SigningKey> keys;
  for (unsigned i = 0; i <= delegations; ++i) {
    identity::Seed seed{};
    seed[0] = static_cast<std::uint8_t>(i + 1);
    keys.emplace_back(seed);
  }
  const token::Terms terms{
      .can = token::kSend, .rate = 1000, .burst = {}, .in_flight = {}, .body_max = 256, .deadline_us = {}};
  const std::vector<std::uint8_t> policy = token::policy_of(terms);
  const std::string subject = keys.front().did();
  std::vector<std::vector<std::uint8_t>> tokens;
  std::vector<token::Digest> digests;
  for (unsigned i = 0; i < delegations; ++i) {
    const std::string audience = keys[i + 1].did();
    tokens.push_back(token::sign(keys[i], token::Delegation{.audience = audience,
                                                            .subject = subject,
                                                            .command = token::kSendCommand,
                                                            .policy = policy,
                                                            .meta = {},
                                                            .expires = kNow + 3600,
                                                            .not_before = {}}));
    digests.push_back(token::digest_of(tokens.back()));
  }
  const std::vector<std::uint8_t> arguments = token::arguments_of(terms);
  const std::vector<std::uint8_t> invocation =
      token::sign(keys.back(), token::Invocation{.audience = subject,
                                                 .subject = subject,
                                                 .command = token::kSendCommand,
                                                 .arguments = arguments,
                                                 .proofs = digests,
                                                 .expires = kNow + 300,
                                                 .issued_at = kNow});
  const std::vector<token::Bytes> proofs(tokens.begin(), tokens.end());
  const std::string_view audiences[] = {subject};
  const token::RevocationList revoked;
  token::Chain chain;
  const token::Conditions conditions{.at = kNow, .audiences = audiences, .revocations = &revoked};
  bool good = true;
  const auto whole = [&] {
    good &= token::verify(invocation, proofs, conditions, chain) == token::Reason::valid;
  };
  whole();
  std::vector<token::Token> read = chain.delegations;
  read.push_back(chain.invocation);
  const auto bare = [&] {
    for (const token::Token& one : read)
      good &= crypto_sign_verify_detached(one.signature.data(), one.signed_payload.data(),
                                          one.signed_payload.size(), one.key.data()) == 0;
  };
  std::vector<double> wholes, bares, ratios;
  for (unsigned i = 0; i < rounds; ++i) {
    bares.push_back(time_of(bare));
    wholes.push_back(time_of(whole));
    ratios.push_back(bares.back() / wholes.back());
  }
  std::printf("%u delegations: %.1f us, bare signature checks %.1f us, ratio %.3f%s\n", delegations,
              median(wholes), median(bares), median(ratios), good ? "" : ", and a verdict was wrong");
  return good ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const unsigned rounds = argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 15;
  if (argc > 1) return run(static_cast<unsigned>(std::clamp(std::atoi(argv[1]), 0, 8)), rounds);
  int failed = 0;
  for (const unsigned delegations : {0u, 1u, 3u, 8u}) failed |= run(delegations, rounds);
  return failed;
}
