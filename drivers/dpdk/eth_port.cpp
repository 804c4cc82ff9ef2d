#include "drivers/dpdk/eth_port.hpp"

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include "drivers/dpdk/device_open.hpp"
#include "drivers/dpdk/eal.hpp"
#include "drivers/dpdk/eal_log.hpp"
#include "drivers/dpdk/pcap_file.hpp"
#include "drivers/dpdk/port_mac.hpp"
#include "drivers/dpdk/rt_signals.hpp"

namespace pgrid::dpdk {
namespace {

/// One of net_tap's receive "descriptors" is one segment of the next frame; we take frames in one segment.
constexpr std::uint16_t kTapRxDescriptors = 1;

Errc code_of(int error_number) {
  if (error_number == -1) return Errc::io;  // not EPERM: drivers' "something failed"
  switch (error_number < 0 ? -error_number : error_number) {
    case ENOMEM:
      return Errc::out_of_resources;
    case EEXIST:
      return Errc::already_exists;
    case ENODEV:
    case ENOENT:
      return Errc::not_found;
    case EPERM:
    case EACCES:
      return Errc::not_permitted;
    case EBUSY:
      return Errc::busy;
    case ENOTSUP:
      return Errc::unsupported;
    case EINVAL:
      return Errc::invalid_argument;
    default:
      return Errc::io;
  }
}

/// Failure of a call on a port: names the call, the device, the cause from DPDK's log, and what to do.
std::unexpected<Error> call_failed(const char* call, const DeviceSpec& spec, int error_number,
                                   const EalLogScope& log, std::string remedy = {}) {
  return fail(code_of(error_number), std::string(call) + " for port " + spec.text,
              describe(log, error_number), std::move(remedy));
}

}  // namespace

std::string to_string(const MacAddress& mac) {
  char text[18];
  std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                mac[5]);
  return text;
}

Result<EthPort> EthPort::create(const DeviceSpec& spec, const EthPortOptions& options,
                                const MbufPool& rx_pool) {
  if (auto ok = check_before_probe(spec, options.queues); !ok) return std::unexpected(ok.error());
  std::optional<RtSignalsIgnored> no_signals;
  if (spec.kind == DeviceKind::tap) no_signals.emplace();
  std::optional<bpf::ProgramFile> program;  // read by the driver while it sets up its first queue
  if (spec.kind == DeviceKind::af_xdp) {
    if (!rx_pool.is_one_piece())
      return fail(Errc::internal, "open port " + spec.text, "the receive pool is not in one piece");
    auto made = bpf::ProgramFile::create();
    if (!made) return std::unexpected(made.error());
    program.emplace(std::move(*made));
  }

  const Device device = device_for(spec, options.node_name, options.queues, program ? program->path() : "");
  std::uint16_t port_id = 0;
  if (rte_eth_dev_get_port_by_name(device.name.c_str(), &port_id) == 0)
    return fail(Errc::already_exists, "open port " + spec.text,
                "another port of this node has the same device", "name each device once");
  const EalLogScope log;
  const std::string devargs = device.arguments.empty() ? device.name : device.name + "," + device.arguments;
  if (const int failed = rte_dev_probe(devargs.c_str()); failed != 0)
    return call_failed("rte_dev_probe", spec, failed, log, remedy_for_probe(spec));
  if (const int failed = rte_eth_dev_get_port_by_name(device.name.c_str(), &port_id); failed != 0)
    return call_failed("rte_eth_dev_get_port_by_name", spec, failed, log, remedy_for_probe(spec));

  if (spec.kind == DeviceKind::memif) keep_eal_memory();  // it never takes its listening socket back

  EthPort port;  // from here on its destructor removes the device
  port.port_id_ = port_id;
  port.spec_ = spec;
  if (auto ok = port.configure(options, rx_pool); !ok) return std::unexpected(ok.error());
  if (spec.kind == DeviceKind::af_xdp) {
    auto steering = bpf::XdpSteering::take_over(spec.interface, options.udp_port);
    if (!steering) return std::unexpected(steering.error());
    port.steering_.emplace(std::move(*steering));
  }
  return port;
}

Result<void> EthPort::configure(const EthPortOptions& options, const MbufPool& rx_pool) {
  const EalLogScope log;
  rte_eth_dev_info info{};
  if (const int failed = rte_eth_dev_info_get(port_id_, &info); failed != 0)
    return call_failed("rte_eth_dev_info_get", spec_, failed, log);
  driver_ = info.driver_name;

  queues_ = options.queues;
  const std::uint16_t queues_max = std::min(info.max_rx_queues, info.max_tx_queues);
  if (queues_ == 0 || queues_ > queues_max)
    return fail(Errc::invalid_argument, "configure port " + spec_.text,
                std::to_string(queues_) + " queues, and " + driver_ + " offers " + std::to_string(queues_max),
                "use fewer poll cores");

  rte_eth_conf conf{};
  conf.rxmode.mtu = options.mtu;
  conf.rxmode.offloads =
      info.rx_offload_capa & (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM);
  // Not MBUF_FAST_FREE: a transmit queue gets mbufs of the receive pool (ARP, echo) and of the reserve for
  // answers.
  conf.txmode.offloads =
      info.tx_offload_capa & (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM);
  const std::uint64_t rss =
      info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP);
  // Without it everything would arrive on the first queue, and the other poll cores would have nothing.
  if (queues_ > 1 && rss == 0 && spec_.kind == DeviceKind::pci)
    return fail(Errc::invalid_argument, "configure port " + spec_.text,
                driver_ + " does not spread IP flows over queues (RSS)", "use one poll core");
  if (queues_ > 1 && rss != 0) {
    conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    conf.rx_adv_conf.rss_conf.rss_hf = rss;
  }
  offloads_ = {.rx_ip = (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM) != 0,
               .rx_udp = (conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_UDP_CKSUM) != 0,
               .tx_ip = (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0,
               .tx_udp = (conf.txmode.offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0,
               .rss = conf.rxmode.mq_mode == RTE_ETH_MQ_RX_RSS};

  if (const int failed = rte_eth_dev_configure(port_id_, queues_, queues_, &conf); failed != 0)
    return call_failed("rte_eth_dev_configure", spec_, failed, log);

  rx_descriptors_ = spec_.kind == DeviceKind::tap ? kTapRxDescriptors : options.rx_descriptors;
  tx_descriptors_ = options.tx_descriptors;
  if (const int failed = rte_eth_dev_adjust_nb_rx_tx_desc(port_id_, &rx_descriptors_, &tx_descriptors_);
      failed != 0)
    return call_failed("rte_eth_dev_adjust_nb_rx_tx_desc", spec_, failed, log);

  const auto socket_id = static_cast<unsigned>(rte_eth_dev_socket_id(port_id_));
  rte_eth_rxconf rx_conf = info.default_rxconf;
  rx_conf.offloads = conf.rxmode.offloads;
  rte_eth_txconf tx_conf = info.default_txconf;
  tx_conf.offloads = conf.txmode.offloads;
  for (std::uint16_t queue = 0; queue < queues_; ++queue) {
    if (const int failed =
            rte_eth_rx_queue_setup(port_id_, queue, rx_descriptors_, socket_id, &rx_conf, rx_pool.get());
        failed != 0)
      return call_failed("rte_eth_rx_queue_setup", spec_, failed, log);
    if (const int failed = rte_eth_tx_queue_setup(port_id_, queue, tx_descriptors_, socket_id, &tx_conf);
        failed != 0)
      return call_failed("rte_eth_tx_queue_setup", spec_, failed, log);
  }

  std::uint16_t mtu = 0;
  if (rte_eth_dev_get_mtu(port_id_, &mtu) == 0 && mtu != options.mtu)
    if (const int failed = rte_eth_dev_set_mtu(port_id_, options.mtu); failed != 0)
      return call_failed("rte_eth_dev_set_mtu", spec_, failed, log);
  rte_ether_addr mac{};
  if (const int failed = rte_eth_macaddr_get(port_id_, &mac); failed != 0)
    return call_failed("rte_eth_macaddr_get", spec_, failed, log);
  std::copy_n(mac.addr_bytes, mac_.size(), mac_.begin());
  if (spec_.kind == DeviceKind::tap) mac_ = tap_node_mac(mac_);
  return {};
}

Result<void> EthPort::start() {
  const EalLogScope log;
  if (const int failed = rte_eth_dev_start(port_id_); failed != 0)
    return call_failed("rte_eth_dev_start", spec_, failed, log);
  started_ = true;
  // Neighbour discovery is multicast. A TAP delivers everything anyway.
  if (spec_.kind == DeviceKind::tap) return {};
  const int failed = rte_eth_allmulticast_enable(port_id_);
  if (failed != 0 && failed != -ENOTSUP && failed != -ENOSYS)
    return call_failed("rte_eth_allmulticast_enable", spec_, failed, log);
  return {};
}

void EthPort::stop() {
  if (started_) (void)rte_eth_dev_stop(port_id_);
  started_ = false;
}

LinkState EthPort::link() const {
  rte_eth_link link{};
  if (rte_eth_link_get_nowait(port_id_, &link) != 0) return {};
  const bool known =
      link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN && link.link_speed != RTE_ETH_SPEED_NUM_NONE;
  return {.up = link.link_status == RTE_ETH_LINK_UP, .speed_mbps = known ? link.link_speed : 0};
}

PortStats EthPort::stats() const {
  rte_eth_stats stats{};
  if (rte_eth_stats_get(port_id_, &stats) != 0) return {};
  return {.rx_packets = stats.ipackets,
          .rx_bytes = stats.ibytes,
          .tx_packets = stats.opackets,
          .tx_bytes = stats.obytes,
          .rx_missed = stats.imissed,
          .rx_errors = stats.ierrors,
          .rx_nombuf = stats.rx_nombuf,
          .tx_errors = stats.oerrors};
}

EthPort::EthPort(EthPort&& other) noexcept { *this = std::move(other); }

EthPort& EthPort::operator=(EthPort&& other) noexcept {
  if (this == &other) return *this;
  std::swap(port_id_, other.port_id_);
  std::swap(started_, other.started_);
  std::swap(queues_, other.queues_);
  std::swap(rx_descriptors_, other.rx_descriptors_);
  std::swap(tx_descriptors_, other.tx_descriptors_);
  std::swap(spec_, other.spec_);
  std::swap(driver_, other.driver_);
  std::swap(mac_, other.mac_);
  std::swap(offloads_, other.offloads_);
  std::swap(steering_, other.steering_);
  return *this;
}

EthPort::~EthPort() {
  if (port_id_ == kNone) return;
  stop();
  rte_eth_dev_info info{};
  const bool known = rte_eth_dev_info_get(port_id_, &info) == 0;
  (void)rte_eth_dev_close(port_id_);
  if (known && info.device != nullptr) (void)rte_dev_remove(info.device);
}

Result<std::uint32_t> mbufs_held_by_driver(const DeviceSpec& spec, std::uint16_t queues) {
  switch (spec.kind) {
    case DeviceKind::af_xdp: {
      // Of net_af_xdp: 2,048 in the fill ring, where the pool's sum has 1,024 descriptors; and sent frames
      // stay in the kernel's completion ring of 2,048 until the next call.
      constexpr std::uint32_t kFillRing = 2048;
      constexpr std::uint32_t kCompletionRing = 2048;
      return std::uint32_t{queues} * (kFillRing + kCompletionRing);
    }
    case DeviceKind::pcap: {
      if (!spec.infinite) return 0;
      const auto file = read_infinite_pcap_file(spec.rx_file);
      if (!file) return std::unexpected(file.error());
      return std::uint32_t{queues} * file->frames;
    }
    default:
      return 0;
  }
}

}  // namespace pgrid::dpdk
