#include "drivers/dpdk/device_open.hpp"

#include <rte_ethdev.h>

#include <filesystem>

#include "drivers/bpf/steering.hpp"
#include "drivers/dpdk/eth_port.hpp"
#include "drivers/dpdk/kernel_interface.hpp"
#include "drivers/dpdk/memif_socket.hpp"
#include "drivers/dpdk/pcap_file.hpp"
#include "drivers/dpdk/port_mac.hpp"
#include "drivers/dpdk/tap_host.hpp"

namespace pgrid::dpdk {
namespace {

std::string unused_name(const std::string& stem) {
  std::uint16_t taken = 0;
  for (unsigned i = 0;; ++i) {
    std::string name = stem + std::to_string(i);
    if (rte_eth_dev_get_port_by_name(name.c_str(), &taken) != 0) return name;
  }
}

std::string memif_arguments(const DeviceSpec& spec, const std::string& node_name) {
  const std::string id = std::to_string(spec.id);
  // An address of its own, the same after every start: both sides may run the same node.
  const MacAddress mac = tap_host_mac(node_name, spec.socket + id + (spec.is_server ? "server" : "client"));
  return "role=" + std::string(spec.is_server ? "server" : "client") + ",id=" + id +
         ",socket=" + spec.socket + ",socket-abstract=no,mac=" + to_string(mac);
}

Result<void> check_tap(const DeviceSpec& spec) {
  if (auto free = check_interface_free(spec.interface); !free) return free;
  std::error_code error;
  if (!std::filesystem::exists("/dev/net/tun", error))
    return fail(Errc::not_found, "open port " + spec.text, "/dev/net/tun is missing", "modprobe tun");
  return {};
}

Result<void> check_pci(const DeviceSpec& spec) {
  const std::filesystem::path device = std::filesystem::path("/sys/bus/pci/devices") / spec.name;
  std::error_code error;
  if (!std::filesystem::exists(device, error))
    return fail(Errc::not_found, "open port " + spec.text, "there is no PCI device at this address",
                "dpdk-devbind.py --status lists them");
  if (!std::filesystem::exists(device / "driver", error))
    return fail(Errc::unavailable, "open port " + spec.text, "no kernel driver holds it for DPDK",
                "dpdk-devbind.py --bind vfio-pci " + spec.name);
  return {};
}

Result<void> check_pcap(const DeviceSpec& spec) {
  const auto file = spec.infinite ? read_infinite_pcap_file(spec.rx_file) : read_pcap_file(spec.rx_file);
  if (!file) return std::unexpected(file.error());
  if (spec.tx_file.empty()) return {};
  return check_pcap_output(spec.tx_file);
}

}  // namespace

Device device_for(const DeviceSpec& spec, const std::string& node_name, std::uint16_t queues,
                  const std::string& program_path) {
  switch (spec.kind) {
    case DeviceKind::tap:
      return {"net_tap_" + spec.interface,
              "iface=" + spec.interface + ",mac=" + to_string(tap_host_mac(node_name, spec.interface))};
    case DeviceKind::null:
      return {unused_name("net_null_"), "no-rx=1"};
    case DeviceKind::af_xdp:
      return {"net_af_xdp_" + spec.interface,
              "iface=" + spec.interface + ",start_queue=" + std::to_string(spec.start_queue) +
                  ",queue_count=" + std::to_string(queues) + ",xdp_prog=" + program_path};
    case DeviceKind::memif:
      return {unused_name("net_memif_"), memif_arguments(spec, node_name)};
    case DeviceKind::pcap:
      return {unused_name("net_pcap_"), "rx_pcap=" + spec.rx_file +
                                            (spec.tx_file.empty() ? "" : ",tx_pcap=" + spec.tx_file) +
                                            (spec.infinite ? ",infinite_rx=1" : "")};
    case DeviceKind::pci:
    case DeviceKind::vdev:
      break;
  }
  return {spec.name, spec.arguments};
}

Result<void> check_before_probe(const DeviceSpec& spec, std::uint16_t queues) {
  switch (spec.kind) {
    case DeviceKind::tap:
      return check_tap(spec);
    case DeviceKind::af_xdp:
      if (auto fits = check_kernel_interface(spec, queues); !fits) return fits;
      return bpf::clear_interface(spec.interface);
    case DeviceKind::memif:
      return prepare_memif_socket(spec);
    case DeviceKind::pcap:
      return check_pcap(spec);
    case DeviceKind::pci:
      return check_pci(spec);
    case DeviceKind::null:
    case DeviceKind::vdev:
      break;
  }
  return {};
}

std::string remedy_for_probe(const DeviceSpec& spec) {
  switch (spec.kind) {
    case DeviceKind::tap:
      return "run as root, or give the program CAP_NET_ADMIN";
    case DeviceKind::af_xdp:
      return "run as root; docs/OPERATING.md, \"Ports\", says what an af_xdp port needs";
    case DeviceKind::pci:
      return "dpdk-devbind.py --bind vfio-pci " + spec.name + ", and check that DPDK has a driver for it";
    case DeviceKind::vdev:
      return "check the name and the arguments against DPDK's guide of that driver";
    case DeviceKind::null:
    case DeviceKind::memif:
    case DeviceKind::pcap:
      break;
  }
  return {};
}

}  // namespace pgrid::dpdk
