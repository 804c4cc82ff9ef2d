// Shows that control/token and an independent model of UCAN and of our profile give the same word for every
// chain of tokens, good or bad: 4,000 random chains, or PGRID_CHAINS of them (CI: 100,000).
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "control/token/chain.hpp"
#include "tests/control/token/chain_generator.hpp"

namespace pgrid::token {
namespace {

constexpr std::uint64_t kSeed = 20261121;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(c));
    text += two;
  }
  return text;
}

Bytes span_of(const std::string& bytes) {
  return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}

std::string_view ours(const model::Question& question) {
  RevocationList revoked;
  for (const std::string& hash : question.revoked) {
    Digest digest;
    std::copy(hash.begin(), hash.end(), digest.begin());
    revoked.add(digest);
  }
  std::vector<Bytes> proofs;
  for (const std::string& proof : question.proofs) proofs.push_back(span_of(proof));
  const std::string_view audiences[] = {question.audience};
  Chain chain;
  return name_of(verify(span_of(question.invocation), proofs,
                        {.at = question.at,
                         .audiences = audiences,
                         .profile = question.is_lenient ? Profile::spec : Profile::node,
                         .revocations = &revoked},
                        chain));
}

TEST(Chains, EveryWordIsTheModels) {
  const std::uint64_t count = from_environment("PGRID_CHAINS", 4'000);
  model::ChainGenerator generator(from_environment("PGRID_CHAINS_SEED", kSeed));
  std::map<std::string, std::uint64_t> words;
  std::uint64_t disagreements = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const model::Case one = generator.next();
    const std::string expected = model::verdict(one.question);
    ++words[expected];
    const std::string_view found = ours(one.question);
    if (found == expected || ++disagreements > 5) continue;
    std::string tokens = hex(one.question.invocation);
    for (const std::string& proof : one.question.proofs) tokens += "\n" + hex(proof);
    ADD_FAILURE() << "chain " << i << " (" << one.fault << ", " << (one.question.is_lenient ? "spec" : "node")
                  << "): the model says " << expected << ", we say " << found << "\n"
                  << tokens;
  }
  EXPECT_EQ(disagreements, 0u) << "of " << count;
  std::string seen;
  for (const auto& [word, times] : words) seen += word + " " + std::to_string(times) + "\n";
  std::printf("%s", seen.c_str());
  // A generator that stopped making some fault would find nothing there.
  for (unsigned i = 0; i < kReasons; ++i) {
    const std::string word(name_of(static_cast<Reason>(i)));
    if (word == "replayed") continue;
    EXPECT_GT(words[word], count / 5000) << word;
  }
}

}  // namespace
}  // namespace pgrid::token
