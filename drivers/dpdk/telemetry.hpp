// Our own commands on DPDK's telemetry socket.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "drivers/base/result.hpp"

struct rte_tel_data;

namespace pgrid::dpdk {

/// Where a command writes its answer: a flat dictionary of at most 256 numbers.
class TelemetryDict {
 public:
  explicit TelemetryDict(rte_tel_data* data) : data_(data) {}
  /// False: the dictionary is full, or the name is not [A-Za-z0-9_/] or too long (63 characters).
  bool add(const char* name, std::uint64_t value) noexcept;

 private:
  rte_tel_data* data_;
};

/// A command such as "/pgrid/counters" that answers as long as this object lives. Called on a thread of
/// DPDK's, several at once when several clients ask. Destroying it waits for calls under way; the name stays
/// listed (DPDK 22.11 cannot take a command back) but answers null.
class TelemetryCommand {
 public:
  using Callback = std::function<void(TelemetryDict&)>;

  /// `command` begins with "/", has only [A-Za-z0-9_/], and at most 55 characters; `help` at most 127.
  [[nodiscard]] static Result<TelemetryCommand> add(const std::string& command, const std::string& help,
                                                    Callback callback);
  TelemetryCommand(TelemetryCommand&& other) noexcept;
  TelemetryCommand& operator=(TelemetryCommand&& other) noexcept;
  ~TelemetryCommand();

 private:
  explicit TelemetryCommand(std::string command) : command_(std::move(command)) {}
  std::string command_;
};

}  // namespace pgrid::dpdk
