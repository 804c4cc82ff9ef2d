// The options of a device's name: "rx=in.pcap,tx=out.pcap,infinite".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "drivers/base/result.hpp"

namespace pgrid::dpdk {

/// Read key by key; `finish` tells the first thing that was wrong, unknown keys included.
class DeviceOptions {
 public:
  /// `device`: the whole name, for messages; `text`: the options; `usage`: how to write it right.
  DeviceOptions(std::string_view device, std::string_view text, std::string usage);

  /// The value of `key`, or "" when it is not there.
  [[nodiscard]] std::string text(const std::string& key);
  /// The same, but it must be there.
  [[nodiscard]] std::string required(const std::string& key);
  [[nodiscard]] std::optional<std::uint32_t> number(const std::string& key, std::uint32_t max);
  /// Whether the word `key` is there; it has no value.
  [[nodiscard]] bool flag(const std::string& key);

  void refuse(std::string cause);
  [[nodiscard]] Result<void> finish();

 private:
  std::string operation_;
  std::string usage_;
  std::map<std::string, std::optional<std::string>> values_;  // those not read yet
  std::string refusal_;                                       // the first
};

}  // namespace pgrid::dpdk
