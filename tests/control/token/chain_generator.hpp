// Makes chains of tokens at random: good ones, and ones with every kind of fault that we could think of,
// alone or together. Written over the model's trees; shares no code with control/token.
#pragma once

#include <array>
#include <random>

#include "tests/control/token/model.hpp"

namespace pgrid::model {

inline constexpr std::int64_t kGeneratedAt = 1'790'000'000;  // when every chain is used, in Unix seconds
inline const std::string kGeneratedHeader("\x34\x01\xed\x01\xed\x01\x13\x71",
                                          8);  // varsig: Ed25519 over DAG-CBOR

struct Case {
  Question question;
  std::string fault;  // what was done to it, in words; empty: nothing on purpose
};

class ChainGenerator {
 public:
  explicit ChainGenerator(std::uint64_t seed);
  Case next();

 private:
  struct Key {
    std::array<unsigned char, 64> secret;
    std::string did;
  };
  /// A token before it is encoded and signed.
  struct Draft {
    bool is_invocation = false;
    std::vector<Pair> fields;
    const Key* key = nullptr;
    Value header;
    std::string tag;
    std::string token;  // when it is made
    Value& field(const std::string& name);
    void drop(const std::string& name);
  };

  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  bool one_in(std::uint64_t n) { return below(n) == 0; }
  template <typename T>
  const T& any_of(const std::vector<T>& list) {
    return list[below(list.size())];
  }
  const Key& any_key() { return keys_[below(keys_.size())]; }

  Value literal(int depth);
  Value arguments();
  std::string selector(const Value& args);
  Value statement(const Value& args, int depth);
  Value true_statement(const Value& args);
  std::vector<Draft> drafts(std::size_t delegations);
  void seal(Draft& draft);
  void seal_all(std::vector<Draft>& chain);
  std::string break_one(std::vector<Draft>& chain);
  std::string break_encoding(std::string& token);
  Value odd_encoding();

  std::mt19937_64 random_;
  std::vector<Key> keys_;
  Question question_;  // of the case in the making
};

}  // namespace pgrid::model
