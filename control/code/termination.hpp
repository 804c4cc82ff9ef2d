// Whether a module's entry points end, after how many steps at most, and how deep their calls go. Never
// claims more than it proves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "drivers/wabt/code.hpp"

namespace pgrid::control {

struct EntryFinding {
  std::string name;  // "start", "pg_init", "pg_activate"
  std::uint32_t function = 0;
  bool is_proved = false;
  std::uint64_t steps = 0;              // proved: the most from call to return or trap
  std::uint64_t steps_per_message = 0;  // and between two messages
  // Not proved:
  std::string reason;                        // "a loop goes on for as long as ..."
  std::uint32_t place = code::kNothing;      // function
  std::uint32_t offset = 0;                  // in the file, of the loop or of the function
  std::optional<std::uint64_t> stack_bytes;  // an estimate from above; nothing: recursion, no bound
};

[[nodiscard]] std::vector<EntryFinding> find_termination(const code::Module& module,
                                                         std::uint64_t memory_bytes);

}  // namespace pgrid::control
