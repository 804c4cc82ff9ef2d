// What is known of a function before it runs, and how that is told: docs/VERIFYING.md.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "control/code/termination.hpp"
#include "drivers/base/result.hpp"
#include "drivers/wabt/code.hpp"

namespace pgrid::control {

/// JSON, as docs/API.md describes `verdict`. Names in it are printable and cut.
[[nodiscard]] nlohmann::json verdict_of(const code::Module& module, std::uint64_t module_bytes,
                                        std::uint64_t memory_bytes, const std::vector<EntryFinding>& entries);

/// Of a module that Wasmtime accepts and wabt does not read: nothing is proved.
[[nodiscard]] nlohmann::json verdict_without_analysis(std::uint64_t module_bytes, std::uint64_t memory_bytes,
                                                      const std::string& why);

/// A verdict in a few words, for others to read: "terminates within 9,000 steps per message", or that the
/// time limit is the promise.
[[nodiscard]] std::string short_form(const nlohmann::json& verdict);

}  // namespace pgrid::control
