#include "drivers/dpdk/eal_memory.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace pgrid::dpdk {
namespace {

constexpr std::uint64_t kPageKib = 2048;  // what vm.nr_hugepages counts on x86-64 and arm64

std::uint64_t number_in(const std::filesystem::path& file) {
  std::uint64_t number = 0;
  std::ifstream(file) >> number;
  return number;
}

}  // namespace

std::string why_no_huge_pages(std::uint32_t mib) {
  // One folder per page size: "hugepages-2048kB". Reserved pages are free ones that somebody mapped, not yet
  // touched.
  std::error_code error;
  std::uint64_t free_kib = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", error)) {
    const std::string name = entry.path().filename();
    std::uint64_t page_kib = 0;
    if (!name.starts_with("hugepages-")) continue;
    std::from_chars(name.data() + 10, name.data() + name.size(), page_kib);
    const std::uint64_t free = number_in(entry.path() / "free_hugepages");
    free_kib += page_kib * (free - std::min(free, number_in(entry.path() / "resv_hugepages")));
  }
  const std::uint64_t wanted_kib = std::uint64_t{mib} * 1024;
  if (free_kib >= wanted_kib) return {};
  const std::uint64_t missing = (wanted_kib - free_kib + kPageKib - 1) / kPageKib;
  const std::uint64_t present = number_in("/proc/sys/vm/nr_hugepages");
  return std::to_string(free_kib / 1024) + " MiB of huge pages are free and " + std::to_string(mib) +
         " MiB are wanted; sysctl vm.nr_hugepages=" + std::to_string(present + missing) + " reserves enough";
}

}  // namespace pgrid::dpdk
