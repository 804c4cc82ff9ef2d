// Grants: rights that a process holds. Who names what, and under which handle.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "control/capability/rights.hpp"
#include "control/store/state.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

/// A right that a process is to hold: to whom, under which name, and what it allows.
struct GrantRequest {
  std::string name;
  std::string target;  // a process's name or index
  RightSpec spec;
};

/// NAME=TARGET[,rate=N][,burst=N][,label=N][,in-flight=N][,body-max=SIZE][,deadline=TIME][,expires=TIME][,can=send+derive+carry],
/// each option at most once.
[[nodiscard]] Result<GrantRequest> parse_grant(std::string_view text);

/// A process that serves or is being loaded, by its name or else its index; null while it is being removed.
[[nodiscard]] const ProcessRecord* find_process(const State& state, std::string_view name_or_index);
[[nodiscard]] Error no_such_process(const std::string& operation, std::string_view name_or_index);

/// SLOT.GENERATION, or the name that people gave it.
[[nodiscard]] Result<RightRecord> find_right(const State& state, std::string_view ref_or_name);
/// Refused: what is no name, is taken, or reads like another thing's name (a process's: both stand in one
/// place of a command line).
[[nodiscard]] Result<void> check_right_name(const State& state, const std::string& name);

/// The lowest free handle of a process. Refused: a name that is none or is taken, and one right too many.
[[nodiscard]] Result<Holding> next_holding(const State& state, const ProcessRecord& holder, std::string name);

}  // namespace pgrid::control
