// What happened to the instances of each process: how often they were rebuilt, why last, and until when the
// process is left alone. In memory only; people look at it, nothing decides by it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "abi/shared/records.hpp"
#include "control/store/state.hpp"

namespace pgrid::control {

struct Restarts {
  std::uint64_t count = 0;  // as far as control heard of them
  std::int64_t last_unix_ms = 0;
  std::string last_text;         // why, in the worker's words
  std::uint32_t backoff_ms = 0;  // it is not served for so long from now; 0: it is
};

/// One entry for each process that was ever rebuilt. Owned by control's one thread.
class RestartBook {
 public:
  /// An instance of `process` was rebuilt.
  void add(const ProcessRecord& process, const abi::ControlEvent& event, std::string text);
  /// Its worker is gone; the next one counts from zero and serves at once.
  void begin_anew(std::uint32_t process);
  [[nodiscard]] Restarts of(const ProcessRecord& process) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Entry {
    std::uint32_t generation = 0;  // of the process: the index may be another's by now
    std::uint32_t told = 0;        // the worker's own count with the last event
    Restarts restarts;
    Clock::time_point served_again;
  };
  std::map<std::uint32_t, Entry> entries_;
};

}  // namespace pgrid::control
