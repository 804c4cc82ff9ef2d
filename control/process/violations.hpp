// What each process did against its limits, counted: for people who look (pgrid inspect). The log has the evidence.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>

#include "abi/shared/records.hpp"
#include "control/store/state.hpp"

namespace pgrid::control {

struct Violations {
  std::array<std::uint64_t, abi::kViolationCount> told{};  // events, by abi::Violation; a worker tells a flood now and then
  std::uint64_t over_limit = 0;                            // messages beyond a right's rate or number in flight
  std::int64_t last_unix_ms = 0;
  std::string last_text;
};

/// Since control started. In memory only. Owned by control's one thread.
class ViolationBook {
 public:
  void add(const ProcessRecord& process, abi::Violation violation, const std::string& text);
  void add_over_limit(const ProcessRecord& process, std::uint64_t messages, const std::string& text);
  [[nodiscard]] Violations of(const ProcessRecord& process) const;
  void forget(std::uint32_t process) { entries_.erase(process); }

 private:
  struct Entry {
    std::uint32_t generation = 0;  // of the process: the index may be another's by now
    Violations violations;
  };
  Violations& at(const ProcessRecord& process, const std::string& text);
  std::map<std::uint32_t, Entry> entries_;
};

}  // namespace pgrid::control
