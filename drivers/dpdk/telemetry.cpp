#include "drivers/dpdk/telemetry.hpp"

#include <rte_telemetry.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <utility>

namespace pgrid::dpdk {
namespace {

/// DPDK 22.11 passes a callback only the command's text, so commands are found by it. A name stays here for
/// ever, like in DPDK's own list; its callback is empty while no TelemetryCommand stands behind it.
struct Commands {
  std::shared_mutex mutex;  // shared: answering; exclusive: adding and taking away
  std::map<std::string, TelemetryCommand::Callback, std::less<>> by_name;
};

Commands& commands() {
  static Commands* const instance = new Commands;  // never destroyed: DPDK's threads outlive main's statics
  return *instance;
}

int answer(const char* command, const char*, rte_tel_data* data) {
  Commands& all = commands();
  const std::shared_lock lock(all.mutex);
  const auto found = all.by_name.find(std::string_view(command));
  if (found == all.by_name.end() || !found->second) return -1;
  rte_tel_data_start_dict(data);
  TelemetryDict dict(data);
  found->second(dict);
  return 0;
}

void take_away(const std::string& command) {
  if (command.empty()) return;
  Commands& all = commands();
  const std::unique_lock lock(all.mutex);
  all.by_name[command] = nullptr;
}

}  // namespace

bool TelemetryDict::add(const char* name, std::uint64_t value) noexcept {
  return rte_tel_data_add_dict_u64(data_, name, value) == 0;
}

Result<TelemetryCommand> TelemetryCommand::add(const std::string& command, const std::string& help,
                                               Callback callback) {
  Commands& all = commands();
  const std::string operation = "rte_telemetry_register_cmd " + command;
  const std::unique_lock lock(all.mutex);
  const auto found = all.by_name.find(command);
  if (found != all.by_name.end()) {
    if (found->second) return fail(Errc::already_exists, operation, "there is one of that name");
    found->second = std::move(callback);
    return TelemetryCommand(command);
  }
  const int failed = rte_telemetry_register_cmd(command.c_str(), answer, help.c_str());
  if (failed != 0)
    return fail(failed == -EINVAL ? Errc::invalid_argument : Errc::out_of_resources, operation,
                failed == -EINVAL
                    ? "the name or its help text is too long, or has a character besides [A-Za-z0-9_/]"
                    : std::strerror(-failed));
  all.by_name.emplace(command, std::move(callback));
  return TelemetryCommand(command);
}

TelemetryCommand::TelemetryCommand(TelemetryCommand&& other) noexcept
    : command_(std::exchange(other.command_, {})) {}

TelemetryCommand& TelemetryCommand::operator=(TelemetryCommand&& other) noexcept {
  if (this != &other) {
    take_away(command_);
    command_ = std::exchange(other.command_, {});
  }
  return *this;
}

TelemetryCommand::~TelemetryCommand() { take_away(command_); }

}  // namespace pgrid::dpdk
