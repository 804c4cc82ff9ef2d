// Which tokens are revoked: by their CID, and by the hash of what was signed, because a signature made anew
// over the same payload gives a token with another CID.
#pragma once

#include <unordered_set>

#include "control/token/token.hpp"

namespace pgrid::token {

struct DigestHash {
  std::size_t operator()(const Digest& digest) const {
    std::size_t value;  // a SHA-256 needs no further mixing
    __builtin_memcpy(&value, digest.data(), sizeof value);
    return value;
  }
};
using DigestSet = std::unordered_set<Digest, DigestHash>;

class Revocations {
 public:
  virtual ~Revocations() = default;
  /// `digest` names a token, or the payload of one.
  [[nodiscard]] virtual bool holds(const Digest& digest) const = 0;
};

/// From a list that somebody wrote.
class RevocationList : public Revocations {
 public:
  void add(const Digest& digest) { digests_.insert(digest); }
  [[nodiscard]] bool holds(const Digest& digest) const override { return digests_.contains(digest); }

 private:
  DigestSet digests_;
};

}  // namespace pgrid::token
