#include "control/api/resident.hpp"

#include <fstream>
#include <string>

namespace pgrid::control {

std::uint64_t resident_bytes(std::uint32_t pid) {
  if (pid == 0) return 0;
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == "VmRSS:" && status >> kib) return kib * 1024;  // proc_pid_status(5): "VmRSS:   1234 kB"
  }
  return 0;
}

}  // namespace pgrid::control
