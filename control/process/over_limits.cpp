#include "control/process/over_limits.hpp"

#include <vector>

namespace pgrid::control {
namespace {

constexpr std::chrono::milliseconds kBetweenWalks{1000};
constexpr std::chrono::milliseconds kBetweenSlices{2};
constexpr std::uint32_t kSlice = 2048;  // rights: a line of stats for each poll core, some 100 us

}  // namespace

void OverLimits::begin() {
  seen_.clear();
  next_slot_ = 0;
  learning_ = true;
  look();
}

void OverLimits::end() { timer_.reset(); }

void OverLimits::look_later(bool in_walk) {
  timer_ = loop_.after(in_walk ? kBetweenSlices : kBetweenWalks, [this] { look(); });
}

void OverLimits::look() {
  const Segments* segments = segments_();
  if (segments == nullptr) return;
  struct More {
    RightRecord right;
    std::uint64_t messages;
  };
  std::vector<More> more;  // told afterwards: who hears it may change the rights
  auto one = state_.rights().lower_bound(next_slot_);
  for (std::uint32_t n = 0; n < kSlice && one != state_.rights().end(); ++n, ++one) {
    const RightRecord& right = one->second;
    const std::uint64_t now = segments->outcomes(right.slot, right.generation).over_limit;
    if (now == 0) continue;
    Seen& seen = seen_[right.slot];
    if (seen.generation != right.generation) seen = {right.generation, learning_ ? now : 0};
    if (now > seen.messages) more.push_back({right, now - seen.messages});
    seen.messages = now;
  }
  const bool in_walk = one != state_.rights().end();
  if (!in_walk) learning_ = false;
  next_slot_ = in_walk ? one->first : 0;
  look_later(in_walk);
  for (const More& each : more) on_more_(each.right, each.messages);
}

}  // namespace pgrid::control
