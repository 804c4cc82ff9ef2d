// What control was not told yet about a process. A flood is told now and then, and always the last of it.
#pragma once

#include <cstdint>
#include <string>

#include "abi/shared/records.hpp"

namespace pgrid::worker {

/// What became of the instance: only the newest is told, with the number of restarts.
struct UntoldStop {
  bool waits = false;
  abi::Violation violation = abi::Violation::none;  // none: it was asked to restart
  std::uint32_t back_off_ms = 0;
  std::string text;
  std::uint64_t told = 0;  // tick of the clock at which control was told last; 0: never
};

/// Something that a function does wrong again and again and that costs it nothing: counted.
struct UntoldTally {
  std::uint32_t count = 0;  // since it was told last
  std::uint32_t handle = 0;  // of sends through handles that it does not hold: the last one
  std::uint64_t told = 0;
};

struct Untold {
  UntoldStop stop;
  UntoldTally unread;
  UntoldTally misused;  // handles
  bool gave_up = false;
  std::string gave_up_why;  // as long as it has

  [[nodiscard]] bool any() const noexcept { return stop.waits || gave_up || unread.count != 0 || misused.count != 0; }
};

}  // namespace pgrid::worker
