// SHA-256 (FIPS 180-4) by OpenSSL, which uses the instructions that the CPU has for it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct evp_md_ctx_st;
struct evp_md_st;

namespace pgrid::hash {

using Sha256Digest = std::array<std::uint8_t, 32>;

/// Made once and used again and again: what OpenSSL looks up by name is looked up once. Owned by one thread.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  [[nodiscard]] Sha256Digest of(std::span<const std::uint8_t> bytes);

 private:
  evp_md_st* algorithm_;
  evp_md_ctx_st* context_;
};

}  // namespace pgrid::hash
