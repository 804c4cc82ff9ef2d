// Writes DAG-CBOR. The caller says how many items follow and gives a map's keys in their order: shorter
// first, then bytewise. What it writes is what `check` accepts; a test holds it to that.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "control/cbor/head.hpp"
#include "control/token/cid.hpp"

namespace pgrid::token {

class Writer {
 public:
  Writer& uint(std::uint64_t value) { return head(0, value); }
  Writer& integer(std::int64_t value) {
    return value >= 0 ? head(0, static_cast<std::uint64_t>(value))
                      : head(1, static_cast<std::uint64_t>(-(value + 1)));
  }
  Writer& bytes(std::span<const std::uint8_t> content) { return head(2, content.size()).raw(content); }
  Writer& text(std::string_view content) {
    return head(3, content.size())
        .raw({reinterpret_cast<const std::uint8_t*>(content.data()), content.size()});
  }
  Writer& array(std::uint64_t items) { return head(4, items); }
  Writer& map(std::uint64_t pairs) { return head(5, pairs); }
  Writer& link(const Digest& digest) {
    head(6, 42).head(2, 1 + kCidBytes);
    bytes_.push_back(0);
    return raw(cid_bytes(digest));
  }
  Writer& null() { return head(7, 22); }
  /// An item that is written already.
  Writer& raw(std::span<const std::uint8_t> item) {
    bytes_.insert(bytes_.end(), item.begin(), item.end());
    return *this;
  }

  [[nodiscard]] std::span<const std::uint8_t> view() const { return bytes_; }
  [[nodiscard]] std::vector<std::uint8_t> take() && { return std::move(bytes_); }

 private:
  Writer& head(unsigned major, std::uint64_t value) {
    control::put_cbor_head(bytes_, major, value);
    return *this;
  }

  std::vector<std::uint8_t> bytes_;
};

}  // namespace pgrid::token
