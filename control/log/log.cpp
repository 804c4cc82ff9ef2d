#include "control/log/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace pgrid::control {
namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> one = [] {
    auto made = spdlog::stderr_logger_st("pgrid-control");
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z [%l] pgrid-control: %v");
    return made;
  }();
  return *one;
}

}  // namespace

void log_info(const std::string& line) { logger().log(spdlog::level::info, "{}", line); }
void log_warning(const std::string& line) { logger().log(spdlog::level::warn, "{}", line); }
void log_error(const std::string& line) { logger().log(spdlog::level::err, "{}", line); }
void log_quietly() { logger().set_level(spdlog::level::critical); }

}  // namespace pgrid::control
