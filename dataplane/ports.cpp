#include "dataplane/ports.hpp"

#include <algorithm>

#include "drivers/dpdk/tap_host.hpp"

namespace pgrid::dataplane {
namespace {

Result<PortIdentity> identity_of(const config::Port& port, const dpdk::MacAddress& mac) {
  PortIdentity identity;
  identity.mac = mac;
  identity.udp_port = port.udp_port;
  identity.trust_checksums = port.rx_checksum == config::RxChecksum::trust;
  for (const config::Address& address : port.addresses) {
    std::uint8_t& count = address.is_v4 ? identity.nb_ipv4 : identity.nb_ipv6;
    if (count == kPortAddressesMax)
      return fail(Errc::invalid_argument, "port " + port.device,
                  "more than " + std::to_string(kPortAddressesMax) + " addresses of one IP version");
    if (address.is_v4)
      std::copy_n(address.bytes + 12, 4, identity.ipv4[count].begin());
    else
      std::copy_n(address.bytes, 16, identity.ipv6[count].begin());
    ++count;
  }
  return identity;
}

std::vector<dpdk::HostAddress> host_addresses_of(const config::Port& port) {
  std::vector<dpdk::HostAddress> addresses;
  for (const config::Address& from : port.host_addresses) {
    dpdk::HostAddress& to = addresses.emplace_back();
    to.is_v4 = from.is_v4;
    to.prefix = from.prefix;
    std::copy_n(from.is_v4 ? from.bytes + 12 : from.bytes, from.is_v4 ? 4 : 16, to.bytes);
  }
  return addresses;
}

/// Opens, starts and addresses one port.
Result<ServedPort> open_port(const config::NodeConfig& config, const config::Port& wanted,
                             const dpdk::MbufPool& rx_pool) {
  const auto spec = dpdk::parse_device(wanted.device);
  if (!spec) return std::unexpected(spec.error());
  dpdk::EthPortOptions options;
  options.node_name = config.name;
  options.queues = static_cast<std::uint16_t>(config.poll_cores.size());
  options.rx_descriptors = kRxDescriptors;
  options.tx_descriptors = kTxDescriptors;
  options.udp_port = wanted.udp_port;
  auto port = dpdk::EthPort::create(*spec, options, rx_pool);
  if (!port) return std::unexpected(port.error());
  auto identity = identity_of(wanted, port->mac());
  if (!identity) return std::unexpected(identity.error());
  identity->kernel_answers = spec->kind == dpdk::DeviceKind::af_xdp;
  if (const auto started = port->start(); !started) return std::unexpected(started.error());
  if (spec->kind == dpdk::DeviceKind::tap)
    if (const auto set = dpdk::set_host_addresses(spec->interface, host_addresses_of(wanted)); !set)
      return std::unexpected(set.error());
  return ServedPort{std::move(*port), *identity};
}

}  // namespace

Result<std::vector<ServedPort>> open_ports(const config::NodeConfig& config, const dpdk::MbufPool& rx_pool) {
  std::vector<ServedPort> served;
  for (const config::Port& wanted : config.ports) {
    auto port = open_port(config, wanted, rx_pool);
    // Whatever it is, a person mends it, here or on the machine; `pgrid up` ends when it is the first start.
    if (!port) port.error().code = Errc::invalid_argument;
    if (!port) return std::unexpected(std::move(port.error()));
    served.push_back(std::move(*port));
  }
  return served;
}

DpdkIo poll_core_io(const std::vector<ServedPort>& ports, std::uint16_t index,
                    const dpdk::MbufPool& answers) {
  DpdkIo io(answers);
  for (const ServedPort& served : ports)
    io.add_port({served.port.rx_queue(index), served.port.tx_queue(index), served.identity,
                 served.offloads_checksums()});
  return io;
}

}  // namespace pgrid::dataplane
