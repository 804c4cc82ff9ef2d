#include "dataplane/idle_policy.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace pgrid::dataplane {

bool cpu_list_has(std::string_view list, std::uint32_t cpu) {
  while (!list.empty()) {
    std::uint32_t first = 0;
    auto [end, error] = std::from_chars(list.data(), list.data() + list.size(), first);
    if (error != std::errc()) return false;
    list.remove_prefix(static_cast<std::size_t>(end - list.data()));
    std::uint32_t last = first;
    if (list.starts_with('-')) {
      list.remove_prefix(1);
      const auto range = std::from_chars(list.data(), list.data() + list.size(), last);
      if (range.ec != std::errc()) return false;
      list.remove_prefix(static_cast<std::size_t>(range.ptr - list.data()));
    }
    if (first <= cpu && cpu <= last) return true;
    if (!list.starts_with(',')) return false;
    list.remove_prefix(1);
  }
  return false;
}

IdlePolicy choose_idle_policy(const config::NodeConfig& config, std::string_view isolated) {
  switch (config.idle) {
    case config::Idle::spin:
      return IdlePolicy::spin;
    case config::Idle::yield:
      return IdlePolicy::yield;
    case config::Idle::sleep:
      return IdlePolicy::sleep;
    case config::Idle::automatic:
      break;
  }
  const bool all_isolated = std::all_of(config.poll_cores.begin(), config.poll_cores.end(),
                                        [&](std::uint32_t cpu) { return cpu_list_has(isolated, cpu); });
  // A PCI address begins with its domain: four hexadecimal digits and a colon.
  const bool all_physical =
      std::all_of(config.ports.begin(), config.ports.end(), [](const config::Port& port) {
        return port.device.size() > 5 && port.device[4] == ':' &&
               port.device.find_first_not_of("0123456789abcdefABCDEF") == 4;
      });
  return all_isolated && all_physical ? IdlePolicy::spin : IdlePolicy::sleep;
}

std::string read_isolated_cpus() {
  std::ifstream file("/sys/devices/system/cpu/isolated");
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace pgrid::dataplane
