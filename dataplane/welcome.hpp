// The part of a Welcome that every peer is told alike.
#pragma once

#include <algorithm>

#include "abi/shared/handover.hpp"
#include "dataplane/segments.hpp"

namespace pgrid::dataplane {

[[nodiscard]] inline abi::Welcome make_welcome(const SegmentPlan& plan) noexcept {
  abi::Welcome welcome{};
  welcome.header = abi::handover_header<abi::Welcome>(abi::HandoverType::welcome);
  welcome.geometry = plan.geometry;
  std::copy(plan.boot_id.begin(), plan.boot_id.end(), welcome.boot_id);
  welcome.tsc_hz = plan.tsc_hz;
  return welcome;
}

}  // namespace pgrid::dataplane
