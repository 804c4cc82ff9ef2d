#include "tools/pgrid/doctor/findings.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "tools/pgrid/find_program.hpp"

namespace pgrid::tools {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kCapNetAdmin = 12;  // linux/capability.h: TAP interfaces, addresses
constexpr unsigned kCapIpcLock = 14;   // locked memory beyond the limit
constexpr std::uint64_t kHugePagesWanted = 32;  // of 2 MiB: a node with default limits takes about 20
constexpr std::uint64_t kMemlockWanted = 512u << 20;  // bytes: the above, and room

/// The first line of a small file of the kernel; empty when there is none.
std::string first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\0')) line.pop_back();
  return line;
}

std::uint64_t number(const fs::path& path) { return std::strtoull(first_line(path).c_str(), nullptr, 10); }

bool is_empty_folder(const fs::path& path) {
  std::error_code status;
  return !fs::is_directory(path, status) || fs::directory_iterator(path, status) == fs::directory_iterator();
}

std::vector<fs::path> sorted_entries(const fs::path& path) {
  std::error_code status;
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(path, status)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

/// Effective capabilities of this process, as a bit set.
std::uint64_t capabilities(const Machine& machine) {
  std::ifstream file(machine.root / "proc/self/status");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("CapEff:")) return std::strtoull(line.c_str() + 7, nullptr, 16);
  return 0;
}

bool has(std::uint64_t set, unsigned capability) { return (set >> capability & 1) != 0; }

}  // namespace

Finding look_at_privileges(const Machine& machine) {
  const std::uint64_t set = capabilities(machine);
  if (has(set, kCapNetAdmin)) return {"privileges", Level::fine, "may make interfaces (CAP_NET_ADMIN)", ""};
  return {"privileges", Level::missing, "may not make interfaces (CAP_NET_ADMIN)", "run as root: sudo pgrid up"};
}

Finding look_at_tun(const Machine& machine) {
  const fs::path path = machine.root / "dev/net/tun";
  std::error_code status;
  if (!fs::exists(path, status)) return {"tap ports", Level::missing, "there is no /dev/net/tun", "modprobe tun"};
  if (::access(path.c_str(), R_OK | W_OK) != 0)
    return {"tap ports", Level::missing, "/dev/net/tun may not be opened", "run as root: sudo pgrid up"};
  return {"tap ports", Level::fine, "/dev/net/tun is there", ""};
}

Finding look_at_huge_pages(const Machine& machine) {
  const fs::path folder = machine.root / "sys/kernel/mm/hugepages/hugepages-2048kB";
  const std::uint64_t total = number(folder / "nr_hugepages");
  const std::uint64_t free = number(folder / "free_hugepages");
  const std::string text = std::to_string(free) + " of " + std::to_string(total) + " pages of 2 MiB are free";
  if (free >= kHugePagesWanted) return {"huge pages", Level::fine, text, ""};
  return {"huge pages", Level::advice, text + "; a node wants " + std::to_string(kHugePagesWanted) +
                                           ", and takes ordinary memory otherwise",
          "sysctl -w vm.nr_hugepages=" + std::to_string(total - free + kHugePagesWanted)};
}

Finding look_at_cores(const Machine& machine) {
  std::size_t count = 0;
  for (const fs::path& path : sorted_entries(machine.root / "sys/devices/system/cpu")) {
    const std::string name = path.filename().string();
    count += name.size() > 3 && name.starts_with("cpu") && std::all_of(name.begin() + 3, name.end(), [](char c) {
               return c >= '0' && c <= '9';
             });
  }
  const std::string text = std::to_string(count) + (count == 1 ? " CPU" : " CPUs");
  if (count >= 2) return {"cores", Level::fine, text, ""};
  return {"cores", Level::advice, text + "; a poll core and a worker want one each",
          "give the machine two, or write shared = true under [cores] in node.toml"};
}

Finding look_at_isolation(const Machine& machine) {
  const std::string isolated = first_line(machine.root / "sys/devices/system/cpu/isolated");
  if (!isolated.empty()) return {"isolated cores", Level::fine, "CPUs " + isolated, ""};
  return {"isolated cores", Level::advice, "none: other programs share the node's cores, and the node sleeps between bursts",
          "for speed add isolcpus=managed_irq,domain,2-3 nohz_full=2-3 rcu_nocbs=2-3 to the kernel's command line"};
}

Finding look_at_iommu(const Machine& machine) {
  if (!is_empty_folder(machine.root / "sys/kernel/iommu_groups")) return {"iommu", Level::fine, "on", ""};
  return {"iommu", Level::advice, "off; only NICs bound to vfio-pci need it",
          "add intel_iommu=on iommu=pt (AMD: iommu=pt) to the kernel's command line"};
}

Finding look_at_vfio(const Machine& machine) {
  std::error_code status;
  if (fs::exists(machine.root / "sys/bus/pci/drivers/vfio-pci", status))
    return {"vfio", Level::fine, "vfio-pci is loaded", ""};
  return {"vfio", Level::advice, "vfio-pci is not loaded; only ports named by PCI address need it", "modprobe vfio-pci"};
}

std::vector<Finding> look_at_nics(const Machine& machine) {
  std::vector<Finding> findings;
  for (const fs::path& device : sorted_entries(machine.root / "sys/bus/pci/devices")) {
    if (!first_line(device / "class").starts_with("0x02")) continue;  // PCI class 2: network controllers
    std::error_code status;
    const fs::path link = fs::read_symlink(device / "driver", status);
    const std::string driver = status ? "" : link.filename().string();
    std::string interface;
    std::vector<fs::path> nets = sorted_entries(device / "net");
    for (const fs::path& child : sorted_entries(device))  // virtio: one folder deeper
      if (child.filename().string().starts_with("virtio")) nets = sorted_entries(child / "net");
    if (!nets.empty()) interface = nets.front().filename().string();
    const std::string address = device.filename().string();
    const std::string what = first_line(device / "vendor") + ':' + first_line(device / "device") + ", driver " +
                             (driver.empty() ? "none" : driver) + (interface.empty() ? "" : ", interface " + interface);
    Finding finding{"nic " + address, Level::fine, what, ""};
    if (driver == "vfio-pci")
      finding.text += "; use it as device = \"" + address + '"';
    else
      finding.text += interface.empty() ? "" : "; use it beside the kernel as device = \"af_xdp:" + interface + '"';
    if (driver != "vfio-pci")
      finding.mend = "to give it to the node alone: dpdk-devbind.py --bind=vfio-pci " + address +
                     " (not while you reach this machine through it)";
    findings.push_back(std::move(finding));
  }
  if (findings.empty()) findings.push_back({"nics", Level::fine, "no PCI NIC here; tap: ports need none", ""});
  return findings;
}

Finding look_at_memlock(const Machine& machine) {
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  if (has(capabilities(machine), kCapIpcLock) || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= kMemlockWanted)
    return {"locked memory", Level::fine, "enough", ""};
  return {"locked memory", Level::advice, "at most " + std::to_string(limit.rlim_cur >> 10) + " KiB: poll cores may meet page faults",
          "ulimit -l unlimited, or LimitMEMLOCK=infinity in a systemd unit"};
}

Finding look_at_programs() {
  for (const char* name : {"pgrid-dataplane", "pgrid-worker", "pgrid-control", "pgrid-compile"})
    if (const auto path = find_program(name); !path)
      return {"programs", Level::missing, std::string(name) + " is neither beside pgrid nor in $PATH",
              "build it with `ninja`, or name its directory in PGRID_LIBEXEC"};
  return {"programs", Level::fine, "the node's programs are there", ""};
}

Finding look_at_run_dir(const fs::path& run_dir) {
  // The first folder above it that exists is where it would be made.
  std::error_code status;
  fs::path folder = fs::absolute(run_dir, status);
  while (!fs::exists(folder, status) && folder.has_relative_path()) folder = folder.parent_path();
  if (fs::is_directory(folder, status) && ::access(folder.c_str(), W_OK) == 0)
    return {"directory", Level::fine, run_dir.string() + " can be used", ""};
  return {"directory", Level::missing, run_dir.string() + " can not be written",
          "run as root, or choose another place with --node DIR"};
}

std::vector<Finding> examine(const Machine& machine, const fs::path& run_dir) {
  std::vector<Finding> findings{look_at_programs(),          look_at_privileges(machine), look_at_tun(machine),
                                look_at_run_dir(run_dir),    look_at_cores(machine),      look_at_isolation(machine),
                                look_at_huge_pages(machine), look_at_memlock(machine),    look_at_iommu(machine),
                                look_at_vfio(machine)};
  for (Finding& nic : look_at_nics(machine)) findings.push_back(std::move(nic));
  return findings;
}

}  // namespace pgrid::tools
