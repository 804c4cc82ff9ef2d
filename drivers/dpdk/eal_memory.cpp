#include "drivers/dpdk/eal_memory.hpp"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace pgrid::dpdk {

std::string why_no_huge_pages(std::uint32_t mib) {
  // One folder per page size: "hugepages-2048kB".
  std::error_code error;
  std::uint64_t total_kib = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", error)) {
    const std::string name = entry.path().filename();
    std::uint64_t page_kib = 0;
    if (!name.starts_with("hugepages-")) continue;
    std::from_chars(name.data() + 10, name.data() + name.size(), page_kib);
    std::uint64_t free_pages = 0;
    std::ifstream(entry.path() / "free_hugepages") >> free_pages;
    total_kib += page_kib * free_pages;
  }
  if (total_kib >= std::uint64_t{mib} * 1024) return {};
  const std::uint64_t pages = (std::uint64_t{mib} + 1) / 2;  // of 2 MiB
  return std::to_string(total_kib / 1024) + " MiB of huge pages are free and " + std::to_string(mib) +
         " MiB are wanted; sysctl vm.nr_hugepages=N reserves N pages of 2 MiB, this node needs " +
         std::to_string(pages);
}

}  // namespace pgrid::dpdk
