// DPDK's environment: memory, lcores, devices. The first object that a data plane makes and the last that it
// destroys.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "drivers/base/result.hpp"

namespace pgrid::dpdk {

/// An EAL worker lcore, bound to one CPU.
struct Lcore {
  unsigned id = 0;   // DPDK's number: 1 and up (0 is the main lcore)
  unsigned cpu = 0;  // the CPU that it is pinned to
};

struct EalOptions {
  std::string file_prefix = "pgrid";  // the node's name: keeps nodes on one machine apart
  bool huge_pages = true;             // take them if enough are free, else ordinary pages
  std::uint32_t memory_mib = 64;      // all that DPDK will allocate; reserved and touched at start
  std::vector<unsigned> poll_cpus;    // one worker lcore for each, in this order; two may be the same CPU
  std::vector<std::string> pci;       // addresses of devices to probe ("0000:65:00.0"); none: no PCI at all
  bool telemetry = true;              // DPDK's telemetry socket
};

/// The running EAL. One per process, once (DPDK cannot start twice). Move-only. The calling thread becomes
/// the main lcore, which is left on the CPUs that no poll core has, where there are any: it is the helper
/// thread.
class Eal {
 public:
  [[nodiscard]] static Result<Eal> init(const EalOptions& options);

  Eal(Eal&& other) noexcept;
  Eal& operator=(Eal&& other) noexcept;
  ~Eal();

  /// Whether packet memory lies in huge pages; if not, `no_huge_pages_reason` says why, in a few words.
  [[nodiscard]] bool huge_pages() const { return huge_pages_; }
  [[nodiscard]] const std::string& no_huge_pages_reason() const { return no_huge_pages_reason_; }
  /// One for each of `EalOptions::poll_cpus`, in that order.
  [[nodiscard]] std::span<const Lcore> poll_lcores() const { return lcores_; }
  /// Where DPDK keeps its run-time files; removed by the destructor when empty.
  [[nodiscard]] const std::filesystem::path& runtime_dir() const { return runtime_dir_; }
  /// The socket that `dpdk-telemetry.py -f PREFIX` opens; empty when telemetry is off.
  [[nodiscard]] const std::filesystem::path& telemetry_socket() const { return telemetry_socket_; }

 private:
  Eal() = default;
  bool running_ = false;
  bool huge_pages_ = false;
  std::string no_huge_pages_reason_;
  std::vector<Lcore> lcores_;
  std::filesystem::path runtime_dir_;
  std::vector<std::filesystem::path> sockets_;  // below runtime_dir_, ours
  std::filesystem::path telemetry_socket_;
};

/// Leaves DPDK's memory mapped until the process ends. For drivers that leave something registered with EAL's
/// interrupt thread when their device is removed: rte_eal_cleanup does not stop that thread, unmaps what it
/// reads, and wakes it.
void keep_eal_memory() noexcept;

}  // namespace pgrid::dpdk
