#include "control/capability/expiry.hpp"

#include <algorithm>

#include "control/clock.hpp"
#include "control/log/log.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint64_t kLookMaxUs = 1'000'000;  // the clock may be set: not slept through for longer
constexpr std::uint64_t kLookMinUs = 1'000;
constexpr std::size_t kAtOnce = 1'024;  // rights, so that the loop goes on between them

}  // namespace

void Expiry::begin() {
  ends_.clear();
  for (const auto& [slot, right] : store_.state().rights())
    if (right.expires_unix_ns != 0) ends_.emplace(right.expires_unix_ns, slot);
  arm();
}

void Expiry::follow(const RightRecord& right) {
  if (right.expires_unix_ns == 0) return;
  const bool is_first = ends_.empty() || right.expires_unix_ns < ends_.begin()->first;
  ends_.emplace(right.expires_unix_ns, right.slot);
  if (is_first) arm();
}

void Expiry::arm() {
  timer_.reset();
  if (ends_.empty()) return;
  const auto now = static_cast<std::uint64_t>(unix_ns());
  const std::uint64_t end = ends_.begin()->first;
  const std::uint64_t wait_us = end <= now ? 0 : (end - now) / 1'000 + 1;
  timer_ =
      loop_.after(std::chrono::microseconds(std::clamp(wait_us, kLookMinUs, kLookMaxUs)), [this] { look(); });
}

void Expiry::look() {
  const auto now = static_cast<std::uint64_t>(unix_ns());
  std::vector<RightRecord> gone;
  for (std::size_t n = 0; n < kAtOnce && !ends_.empty() && ends_.begin()->first <= now; ++n) {
    const auto [end, slot] = *ends_.begin();
    ends_.erase(ends_.begin());
    const RightRecord* right = store_.state().right(slot);
    if (right == nullptr || right->expires_unix_ns != end) continue;  // revoked or narrowed meanwhile
    if (right->maker || !right->token.empty())
      gone.push_back(*right);
    else
      on_expired_(*right);
  }
  if (!gone.empty())
    rights_.revoke(
        gone,
        [](const Result<Passed>& passed) {
          if (!passed) log_error("rights that expired keep their slots: " + passed.error().sentence());
        },
        Why::expired);
  arm();
}

}  // namespace pgrid::control
