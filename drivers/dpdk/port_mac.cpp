#include "drivers/dpdk/port_mac.hpp"

#include <fstream>

namespace pgrid::dpdk {

MacAddress tap_host_mac(const std::string& node_name, const std::string& interface) {
  std::string machine;
  std::ifstream("/etc/machine-id") >> machine;
  const std::string names = machine + '\0' + node_name + '\0' + interface;
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a, 64 bits: offset basis and prime
  for (const char c : names) hash = (hash ^ static_cast<std::uint8_t>(c)) * 1099511628211u;
  MacAddress mac{0x02};  // locally administered
  for (std::size_t i = 1; i < mac.size(); ++i) mac[i] = static_cast<std::uint8_t>(hash >> (8 * i));
  mac[5] &= 0xfe;
  return mac;
}

}  // namespace pgrid::dpdk
