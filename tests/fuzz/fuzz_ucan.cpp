// Chains of tokens: the first of the input is the invocation, the others are its proofs. Ours and the model's
// verdict are the same under both profiles; and what is well-formed is tried on policies even where no
// signature is good.
#include "control/token/bundle.hpp"
#include "control/token/chain.hpp"
#include "control/token/policy.hpp"
#include "control/token/terms.hpp"
#include "tests/control/token/model.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace {

using namespace pgrid;

constexpr std::int64_t kNow = 1'790'000'000;  // of the chains that the corpus begins with

void compare(std::span<const token::Bytes> parts, token::Profile profile) {
  model::Question question;
  question.at = kNow;
  question.is_lenient = profile == token::Profile::spec;
  question.invocation.assign(parts[0].begin(), parts[0].end());
  for (const token::Bytes proof : parts.subspan(1)) question.proofs.emplace_back(proof.begin(), proof.end());
  // The executor is whom it is for, where it says so.
  token::Token first;
  if (token::read(parts[0], true, profile, first) == token::Reason::valid)
    question.audience = first.audience.empty() ? first.subject : first.audience;
  const std::string_view audiences[] = {question.audience};
  token::Chain chain;
  const token::Reason reason = token::verify(parts[0], parts.subspan(1),
                                             {.at = kNow, .audiences = audiences, .profile = profile}, chain);
  test::require(model::verdict(question) == token::name_of(reason), "another word than the model's");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const test::Input input(data, size);
  const auto bytes = std::span(reinterpret_cast<const std::uint8_t*>(input.bytes().data()), size);
  const std::vector<token::Bytes> parts = token::split(bytes);
  if (parts.empty()) return 0;
  compare(parts, token::Profile::node);
  compare(parts, token::Profile::spec);
  token::Token invocation;
  if (token::read(parts[0], true, token::Profile::spec, invocation) != token::Reason::valid) return 0;
  (void)token::terms_in(invocation.arguments);
  const auto args =
      model::decode(std::string(invocation.arguments.begin(), invocation.arguments.end()), true);
  for (const token::Bytes part : std::span(parts).subspan(1)) {
    token::Token one;
    if (token::read(part, false, token::Profile::spec, one) != token::Reason::valid) continue;
    const auto policy = model::decode(std::string(one.policy.begin(), one.policy.end()), true);
    test::require(token::satisfies(one.policy, invocation.arguments) == model::policy_holds(policy, args),
                  "the model's policy says otherwise");
    token::Terms terms;
    token::narrow(terms, one.policy);
  }
  return 0;
}
