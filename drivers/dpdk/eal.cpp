#include "drivers/dpdk/eal.hpp"

#include <dirent.h>
#include <rte_config.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "drivers/dpdk/eal_log.hpp"
#include "drivers/dpdk/eal_memory.hpp"
#include "drivers/dpdk/panic_guard.hpp"
#include "drivers/dpdk/stderr_capture.hpp"

namespace pgrid::dpdk {
namespace {

/// CPUs that this process may use.
std::vector<unsigned> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<unsigned> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

std::string join(const std::vector<unsigned>& numbers) {
  std::string text;
  for (const unsigned n : numbers) text += (text.empty() ? "" : ",") + std::to_string(n);
  return text;
}

/// "0@(1,2),1@0": lcore 0, the helper thread, floats over the CPUs that no poll core has (over all, where
/// none is left); lcores 1 and up sit on one poll CPU each.
std::string lcore_map(const std::vector<unsigned>& allowed, const std::vector<unsigned>& poll_cpus) {
  std::vector<unsigned> helper;
  for (const unsigned cpu : allowed)
    if (std::find(poll_cpus.begin(), poll_cpus.end(), cpu) == poll_cpus.end()) helper.push_back(cpu);
  std::string map = "0@(" + join(helper.empty() ? allowed : helper) + ")";
  for (std::size_t i = 0; i < poll_cpus.size(); ++i)
    map += "," + std::to_string(i + 1) + "@" + std::to_string(poll_cpus[i]);
  return map;
}

Result<void> check(const EalOptions& options, const std::vector<unsigned>& allowed) {
  const std::string operation = "start DPDK";
  const std::string& prefix = options.file_prefix;
  const bool plain = std::all_of(prefix.begin(), prefix.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (prefix.empty() || prefix.size() > 32 || !plain || prefix.front() == '.')
    return fail(Errc::invalid_argument, operation, "\"" + prefix + "\" cannot name a node",
                "use at most 32 letters, digits, '-', '_' and '.'");
  for (const unsigned cpu : options.poll_cpus)
    if (std::find(allowed.begin(), allowed.end(), cpu) == allowed.end())
      return fail(Errc::invalid_argument, operation, "poll core on CPU " + std::to_string(cpu),
                  "this process may use CPUs " + join(allowed));
  if (options.poll_cpus.size() >= RTE_MAX_LCORE)
    return fail(Errc::invalid_argument, operation, std::to_string(options.poll_cpus.size()) + " poll cores",
                "DPDK is built for " + std::to_string(RTE_MAX_LCORE - 1));
  return {};
}

/// Paths of the Unix sockets below `folder` that this process listens on: DPDK does not say which names it
/// took.
std::vector<std::filesystem::path> own_sockets_below(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    sockaddr_un name{};
    socklen_t size = sizeof name;
    const int fd = std::atoi(entry.path().filename().c_str());
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0 || name.sun_family != AF_UNIX ||
        size <= offsetof(sockaddr_un, sun_path) || name.sun_path[0] != '/')
      continue;
    std::filesystem::path path(name.sun_path);
    if (path.parent_path() == folder && std::find(found.begin(), found.end(), path) == found.end())
      found.push_back(std::move(path));
  }
  return found;
}

/// DPDK puts its folder below this one; where it cannot, there is no telemetry.
std::filesystem::path runtime_parent() {
  if (const char* systemd = std::getenv("RUNTIME_DIRECTORY"); systemd != nullptr) return systemd;
  if (::getuid() == 0) return "/var/run";
  const char* user = std::getenv("XDG_RUNTIME_DIR");
  return user != nullptr ? user : "/tmp";
}

std::atomic<bool> memory_stays = false;

}  // namespace

Result<Eal> Eal::init(const EalOptions& options) {
  const std::vector<unsigned> allowed = allowed_cpus();
  if (auto ok = check(options, allowed); !ok) return std::unexpected(ok.error());

  Eal eal;
  eal.no_huge_pages_reason_ = options.huge_pages ? why_no_huge_pages(options.memory_mib)
                                                 : "the configuration says huge_pages = false";
  eal.huge_pages_ = eal.no_huge_pages_reason_.empty();
  const std::filesystem::path parent = runtime_parent();
  eal.runtime_dir_ = parent / "dpdk" / options.file_prefix;
  const bool telemetry = options.telemetry && ::access(parent.c_str(), W_OK | X_OK) == 0;

  std::vector<std::string> arguments = {"pgrid",
                                        "--proc-type=primary",
                                        "--file-prefix=" + options.file_prefix,
                                        "--lcores=" + lcore_map(allowed, options.poll_cpus),
                                        "--main-lcore=0",
                                        "-m",
                                        std::to_string(options.memory_mib)};
  // Nothing of ours is shared with secondary processes. --in-memory says that for huge pages; without them
  // EAL refuses it
  // ("--legacy-mem is not compatible"), and --no-shconf says it.
  if (eal.huge_pages_) {
    arguments.insert(arguments.end(), {"--in-memory"});
  } else {
    arguments.insert(arguments.end(), {"--no-huge", "--no-shconf"});
  }
  if (!telemetry) arguments.emplace_back("--no-telemetry");
  if (options.pci.empty()) {
    arguments.insert(arguments.end(), {"--no-pci", "--iova-mode=va"});
  } else {
    // Allowing an address that is no device probes none at start; EthPort probes its own and can say what is
    // wrong.
    arguments.insert(arguments.end(), {"-a", "ffff:ff:1f.7"});
  }
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  capture_eal_log();
  const EalLogScope log;
  int taken = 0;
  std::string printed;
  {
    StderrCapture capture;  // rte_eal_init_alert and the usage text go past the log
    const PanicGuard guard(log, capture.saved_fd(), eal.runtime_dir_);
    taken = rte_eal_init(static_cast<int>(arguments.size()), argv.data());
    printed = capture.text();
  }
  if (taken < 0) {
    std::error_code ignored;
    if (rte_errno != EALREADY) std::filesystem::remove(eal.runtime_dir_, ignored);  // only when empty
    std::string cause = describe(log, rte_errno);
    if (cause.empty()) cause = printed;
    const char* remedy = "";
    switch (rte_errno) {
      case EALREADY:
        cause = "it was started before in this process";
        break;
      case ENOMEM:
        remedy = eal.huge_pages_ ? "free memory, or set huge_pages = false in node.toml" : "free memory";
        break;
      case EACCES:
        remedy = "run as root, or give the program the capabilities that docs/OPERATING.md lists";
        break;
      default:
        remedy = "PGRID_EAL_LOG=1 in the environment shows DPDK's own log";
        break;
    }
    const Errc code = rte_errno == ENOMEM     ? Errc::out_of_resources
                      : rte_errno == EALREADY ? Errc::already_exists
                                              : Errc::internal;
    return fail(code, "start DPDK (rte_eal_init)", std::move(cause), remedy);
  }

  eal.running_ = true;
  for (std::size_t i = 0; i < options.poll_cpus.size(); ++i)
    eal.lcores_.push_back({.id = static_cast<unsigned>(i + 1), .cpu = options.poll_cpus[i]});
  if (telemetry) {
    eal.sockets_ = own_sockets_below(eal.runtime_dir_);
    for (const auto& path : eal.sockets_)
      if (path.filename().string().starts_with("dpdk_telemetry.v2")) eal.telemetry_socket_ = path;
  }
  return eal;
}

Eal::Eal(Eal&& other) noexcept { *this = std::move(other); }

Eal& Eal::operator=(Eal&& other) noexcept {
  if (this == &other) return *this;
  std::swap(running_, other.running_);
  std::swap(huge_pages_, other.huge_pages_);
  std::swap(no_huge_pages_reason_, other.no_huge_pages_reason_);
  std::swap(lcores_, other.lcores_);
  std::swap(runtime_dir_, other.runtime_dir_);
  std::swap(sockets_, other.sockets_);
  std::swap(telemetry_socket_, other.telemetry_socket_);
  return *this;
}

void keep_eal_memory() noexcept { memory_stays = true; }

Eal::~Eal() {
  if (!running_) return;
  if (!memory_stays) (void)rte_eal_cleanup();
  std::error_code ignored;
  for (const auto& path : sockets_) std::filesystem::remove(path, ignored);
  std::filesystem::remove(runtime_dir_, ignored);                // only when empty
  std::filesystem::remove(runtime_dir_.parent_path(), ignored);  // likewise: other nodes' folders stay
}

}  // namespace pgrid::dpdk
