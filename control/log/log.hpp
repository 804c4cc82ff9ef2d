// Control's own log: one line on stderr per event that a person cares about. Never a key.
#pragma once

#include <string>

namespace pgrid::control {

void log_info(const std::string& line);
void log_warning(const std::string& line);
void log_error(const std::string& line);
/// Nothing is written below errors: for tests that provoke warnings.
void log_quietly();

}  // namespace pgrid::control
