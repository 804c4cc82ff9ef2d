#include "drivers/hash/sha256.hpp"

#include <openssl/evp.h>

#include <utility>

#include "drivers/base/check.hpp"

namespace pgrid::hash {

Sha256::Sha256() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
  PG_CHECK(algorithm_ != nullptr && context_ != nullptr);
}

Sha256::~Sha256() {
  EVP_MD_CTX_free(context_);
  EVP_MD_free(algorithm_);
}

Sha256::Sha256(Sha256&& other) noexcept
    : algorithm_(std::exchange(other.algorithm_, nullptr)),
      context_(std::exchange(other.context_, nullptr)) {}

Sha256& Sha256::operator=(Sha256&& other) noexcept {
  std::swap(algorithm_, other.algorithm_);
  std::swap(context_, other.context_);
  return *this;
}

Sha256Digest Sha256::of(std::span<const std::uint8_t> bytes) {
  Sha256Digest digest{};
  // These fail for want of memory only, which they do not need once they are set up.
  PG_CHECK(EVP_DigestInit_ex2(context_, algorithm_, nullptr) == 1 &&
           EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1 &&
           EVP_DigestFinal_ex(context_, digest.data(), nullptr) == 1);
  return digest;
}

}  // namespace pgrid::hash
