#include "drivers/bpf/steering.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <vector>

#include "drivers/bpf/steer_object.hpp"

namespace pgrid::bpf {
namespace {

constexpr std::string_view kProgramName = "pgrid_steer";  // of the function in steer.bpf.c
constexpr std::string_view kPortMap = ".data.port";       // of its section

struct Attached {
  std::uint32_t id = 0;  // 0: no program
  UniqueFd program;
  bpf_prog_info info{};
  [[nodiscard]] bool is_ours() const { return kProgramName == info.name; }
};

/// The program that the interface runs now, in whatever mode.
Result<Attached> attached_to(const std::string& interface, unsigned index) {
  libbpf_set_print(nullptr);  // it writes to stderr on its own; our errors say the same in one sentence
  const std::string operation = "look at the XDP program of " + interface;
  Attached found;
  if (const int failed = bpf_xdp_query_id(static_cast<int>(index), 0, &found.id); failed != 0)
    return fail_errno(operation, -failed);
  if (found.id == 0) return found;
  found.program = UniqueFd(bpf_prog_get_fd_by_id(found.id));
  if (!found.program) return fail_errno(operation, errno, "run as root");
  std::uint32_t size = sizeof found.info;
  if (bpf_obj_get_info_by_fd(found.program.get(), &found.info, &size) != 0)
    return fail_errno(operation, errno);
  return found;
}

/// One of the program's maps, by name; empty when it has none of that name.
UniqueFd map_of(const Attached& attached, std::string_view name) {
  std::vector<std::uint32_t> ids(attached.info.nr_map_ids);
  bpf_prog_info info{};
  info.nr_map_ids = static_cast<std::uint32_t>(ids.size());
  info.map_ids = reinterpret_cast<std::uintptr_t>(ids.data());
  std::uint32_t size = sizeof info;
  if (bpf_obj_get_info_by_fd(attached.program.get(), &info, &size) != 0) return {};
  for (const std::uint32_t id : ids) {
    UniqueFd map(bpf_map_get_fd_by_id(id));
    bpf_map_info about{};
    std::uint32_t about_size = sizeof about;
    if (map && bpf_obj_get_info_by_fd(map.get(), &about, &about_size) == 0 && name == about.name) return map;
  }
  return {};
}

/// Takes this program off the interface, and no other. 0, or a positive errno: EBUSY when a link holds it.
int detach(int index, const Attached& attached) {
  bpf_xdp_attach_opts expected{};
  expected.sz = sizeof expected;
  expected.old_prog_fd = attached.program.get();
  return -bpf_xdp_detach(index, XDP_FLAGS_REPLACE, &expected);
}

}  // namespace

Result<void> clear_interface(const std::string& interface) {
  const std::string operation = "attach our XDP program to " + interface;
  const unsigned index = ::if_nametoindex(interface.c_str());
  if (index == 0) return fail(Errc::not_found, operation, "there is no such interface");
  const auto attached = attached_to(interface, index);
  if (!attached) return std::unexpected(attached.error());
  if (attached->id == 0) return {};
  if (!attached->is_ours())
    return fail(Errc::busy, operation,
                "it has another XDP program, \"" + std::string(attached->info.name) + "\" (id " +
                    std::to_string(attached->id) + ")",
                "stop what uses it, or: ip link set dev " + interface + " xdp off");
  // Where a link holds it, its process is alive.
  const int failed = detach(static_cast<int>(index), *attached);
  if (failed == EBUSY)
    return fail(Errc::busy, operation, "another node serves this interface", "stop it first");
  if (failed != 0) return fail_errno(operation + ": take the old one away", failed, "run as root");
  return {};
}

Result<ProgramFile> ProgramFile::create() {
  UniqueFd file(::memfd_create("pgrid-steer", MFD_CLOEXEC));
  const auto size = static_cast<ssize_t>(sizeof kSteerObject);
  if (!file || ::write(file.get(), kSteerObject, sizeof kSteerObject) != size)
    return fail_errno("write the XDP program to memory", errno);
  return ProgramFile(std::move(file));
}

Result<XdpSteering> XdpSteering::take_over(const std::string& interface, std::uint16_t udp_port) {
  const std::string operation = "attach our XDP program to " + interface;
  const auto index = static_cast<int>(::if_nametoindex(interface.c_str()));
  if (index == 0) return fail(Errc::not_found, operation, "the interface is gone");
  const auto attached = attached_to(interface, static_cast<unsigned>(index));
  if (!attached) return std::unexpected(attached.error());
  if (attached->id == 0 || !attached->is_ours())
    return fail(Errc::busy, operation, "another program has taken its place");

  const UniqueFd port_map = map_of(*attached, kPortMap);
  const std::uint32_t key = 0;
  if (!port_map || bpf_map_update_elem(port_map.get(), &key, &udp_port, BPF_ANY) != 0)
    return fail_errno(operation + ": tell it the UDP port", port_map ? errno : ENOENT);

  // A link cannot replace a program, so there is a moment without: nobody is served yet.
  if (const int failed = detach(index, *attached); failed != 0) return fail_errno(operation, failed);
  UniqueFd link(bpf_link_create(attached->program.get(), index, BPF_XDP, nullptr));
  if (!link)
    return errno == EBUSY ? fail(Errc::busy, operation, "another program has taken its place")
                          : fail_errno(operation, errno, "a Linux kernel of 5.9 or newer is needed");
  return XdpSteering(std::move(link));
}

}  // namespace pgrid::bpf
