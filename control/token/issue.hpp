// Makes tokens: encodes and signs (UCAN 1.0.0). What it makes, chain.hpp reads.
#pragma once

#include <optional>
#include <vector>

#include "control/identity/signing_key.hpp"
#include "control/token/token.hpp"

namespace pgrid::token {

using Nonce = std::array<std::uint8_t, 12>;
[[nodiscard]] Nonce random_nonce();

struct Delegation {
  std::string_view audience;  // DID
  std::string_view subject;   // DID; empty: null
  std::string_view command;
  Bytes policy;                         // DAG-CBOR; empty: no statements
  Bytes meta;                           // DAG-CBOR; empty: none
  std::optional<std::int64_t> expires;  // Unix seconds
  std::optional<std::int64_t> not_before;
  Nonce nonce = random_nonce();
};
[[nodiscard]] std::vector<std::uint8_t> sign(const identity::SigningKey& key, const Delegation& delegation);

struct Invocation {
  std::string_view audience;  // DID; empty: the subject
  std::string_view subject;
  std::string_view command;
  Bytes arguments;                 // DAG-CBOR; empty: none
  std::span<const Digest> proofs;  // root first
  std::optional<std::int64_t> expires;
  std::optional<std::int64_t> issued_at;
  Nonce nonce = random_nonce();
};
[[nodiscard]] std::vector<std::uint8_t> sign(const identity::SigningKey& key, const Invocation& invocation);

}  // namespace pgrid::token
