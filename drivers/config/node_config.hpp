// node.toml as a value: what a node is configured to be. Read once by each process at its start; the same file gives the
// same value in every process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "drivers/base/result.hpp"

namespace pgrid::config {

/// An IPv4 or IPv6 address with a prefix length. IPv4 is kept in the last four bytes, mapped (::ffff:0:0/96).
struct Address {
  std::uint8_t bytes[16] = {};
  std::uint8_t prefix = 0;  // bits, of the address's own family: 0 to 32, or 0 to 128
  bool is_v4 = false;
};

/// "192.0.2.1/24" or "2001:db8::1/64"; without "/n" the prefix is the whole address.
[[nodiscard]] Result<Address> parse_address(const std::string& text);
[[nodiscard]] std::string to_string(const Address& address);

enum class RxChecksum { verify, trust };
enum class Idle { automatic, spin, yield, sleep };

struct Port {
  std::string device;                    // "tap:pg0", "null:", "0000:65:00.0", "af_xdp:eth0", "pcap:...", raw devargs
  std::vector<Address> addresses;        // the node's
  std::vector<Address> host_addresses;   // tap only: the kernel's end, set whenever the data plane starts
  std::uint16_t udp_port = 4646;
  bool plaintext = false;                // serve without sessions: keys cross in clear
  RxChecksum rx_checksum = RxChecksum::verify;
  std::uint32_t line = 0;                // of `device` in the file, for messages
};

struct Limits {
  std::uint32_t rights = 65536;             // slots of the right table
  std::uint32_t in_flight = 4096;           // requests waiting for an answer, per poll core
  std::uint32_t processes_per_worker = 256;
  std::uint64_t memory_max = 16u << 20;     // bytes of linear memory that a deploy may ask for
  std::uint64_t memory_total = 1024u << 20; // bytes of linear memory over all processes of one worker
  std::uint32_t time_limit_max_us = 1'000'000;
  std::uint64_t module_max = 8u << 20;      // bytes of a WebAssembly module
  std::uint64_t restart_pause_max_us = 5'000'000;  // before a program of the node that dies again and again is started again
};

struct NodeConfig {
  std::filesystem::path file;           // where it was read from, for messages
  std::string name = "pgrid";           // EAL file prefix, telemetry name
  std::filesystem::path run_dir;        // sockets; /run/pgrid, or DIR of --node
  std::filesystem::path state_dir;      // durable; /var/lib/pgrid, or DIR/state
  std::vector<Port> ports;
  std::vector<std::uint32_t> poll_cores;    // CPU numbers
  std::vector<std::uint32_t> worker_cores;  // CPU numbers, one worker each
  bool cores_shared = false;            // one CPU may serve several of them: small machines, never for speed
  Idle idle = Idle::automatic;
  bool huge_pages = true;               // use them where there are any
  Limits limits;
};

/// Reads and checks node.toml. `node_dir` is what --node gave, or empty for /run/pgrid and /var/lib/pgrid. Every error is
/// one sentence that names file and line.
[[nodiscard]] Result<NodeConfig> read_node_config(const std::filesystem::path& file,
                                                  const std::filesystem::path& node_dir);

/// Whether the kernel interfaces that ports name exist (af_xdp:NAME). Apart from reading, because only the data plane and
/// `pgrid up` care.
[[nodiscard]] Result<void> check_interfaces(const NodeConfig& config);

/// Bounds that node.toml is held to. The first five are those of abi/shared/geometry.hpp, which drivers must not include;
/// a test compares them.
inline constexpr std::uint32_t kPollCoresMax = 8;
inline constexpr std::uint32_t kWorkersMax = 32;
inline constexpr std::uint32_t kRightsMax = 1u << 20;
inline constexpr std::uint32_t kInFlightMax = 1u << 14;
inline constexpr std::uint32_t kProcessesPerWorkerMax = 4096;
inline constexpr std::uint32_t kPortsMax = 8;
inline constexpr std::uint64_t kMemoryMax = 1ull << 32;        // bytes; all that a 32-bit WebAssembly memory can be
inline constexpr std::uint64_t kMemoryTotalMax = 1ull << 40;   // bytes
inline constexpr std::uint64_t kMemoryPage = 64u << 10;        // bytes; a WebAssembly page
inline constexpr std::uint64_t kTimeLimitMaxUs = 60'000'000;   // one minute
inline constexpr std::uint64_t kModuleMax = 64u << 20;         // bytes
inline constexpr std::uint64_t kRestartPauseFirstUs = 100'000;  // it begins with that
inline constexpr std::uint64_t kRestartPauseMaxUs = 60'000'000;  // a minute

/// Paths within a node's directories, one place for all processes. `node_dir` as above.
[[nodiscard]] inline std::filesystem::path state_directory(const std::filesystem::path& node_dir) {
  return node_dir.empty() ? std::filesystem::path("/var/lib/pgrid") : node_dir / "state";
}
[[nodiscard]] inline std::filesystem::path dataplane_socket(const NodeConfig& c) { return c.run_dir / "dataplane.sock"; }
[[nodiscard]] inline std::filesystem::path control_socket(const NodeConfig& c) { return c.run_dir / "control.sock"; }

}  // namespace pgrid::config
