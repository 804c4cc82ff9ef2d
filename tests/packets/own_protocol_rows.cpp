// Rows about ARP, IPv6 neighbour discovery and ping.
#include "tests/packets/packet_table.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;

Bytes arp(unsigned operation, std::array<std::uint8_t, 4> sender, std::array<std::uint8_t, 4> target,
          std::array<std::uint8_t, 6> sender_mac = kClientMac) {
  Bytes packet;
  for (const unsigned b : {0u, 1u, 8u, 0u, 6u, 4u, 0u, operation})
    packet.push_back(static_cast<std::byte>(b));
  for (const auto b : sender_mac) packet.push_back(std::byte{b});
  for (const auto b : sender) packet.push_back(std::byte{b});
  packet.resize(packet.size() + 6);
  for (const auto b : target) packet.push_back(std::byte{b});
  return packet;
}
std::function<Bytes(Variant)> arp_frame(Bytes packet, std::size_t padding = 18) {
  return [=](Variant v) {
    return PacketBuilder(v).to_mac(kBroadcastMac).raw(0x0806, packet).append(padding).build();
  };
}

Bytes solicitation(std::array<std::uint8_t, 16> target, Bytes options) {
  Bytes message(8);
  message[0] = std::byte{135};
  for (const auto b : target) message.push_back(std::byte{b});
  message.insert(message.end(), options.begin(), options.end());
  return message;
}
Bytes source_address_option() { return with(Bytes(8), 0, {1, 1, 2, 0, 0, 0, 0, 7}); }
Bytes nonce_option() { return with(Bytes(8), 0, {14, 1, 1, 2, 3, 4, 5, 6}); }

std::function<Bytes(Variant)> ndp(Bytes message, std::function<void(PacketBuilder&)> change = [](auto&) {}) {
  return [=](Variant v) {
    PacketBuilder builder(v);
    builder.icmp(message).to_ip(kNodeIpv4, kSolicitedNode).to_mac({0x33, 0x33, 0xff, 0, 0, 1}).hop_limit(255);
    change(builder);
    return builder.build();
  };
}

Bytes echo(Variant v, std::size_t data, unsigned code = 0) {
  Bytes message(8 + data, std::byte{'e'});
  return with(message, 0, {v.ip_version == 4 ? 8u : 128u, code, 0, 0, 0x12, 0x34, 0, 1});
}
std::function<Bytes(Variant)> ping(
    std::size_t data, std::function<void(PacketBuilder&)> change = [](auto&) {}) {
  return [=](Variant v) {
    PacketBuilder builder(v);
    builder.icmp(echo(v, data));
    change(builder);
    return builder.build();
  };
}

std::vector<Row> arp_rows() {
  const auto ours = arp(1, kClientIpv4, kNodeIpv4);
  return {
      {"ARP request for our address", arp_frame(ours), Counter::arp_answered, kOwnProtocol, Over::v4},
      {"ARP request without padding", arp_frame(ours, 0), Counter::arp_answered, kOwnProtocol, Over::v4},
      {"ARP request to our MAC", [=](Variant v) { return PacketBuilder(v).raw(0x0806, ours).build(); },
       Counter::arp_answered, kOwnProtocol, Over::v4},
      {"ARP probe, sender 0.0.0.0", arp_frame(arp(1, {}, kNodeIpv4)), Counter::arp_answered, kOwnProtocol,
       Over::v4},
      {"ARP request for another address", arp_frame(arp(1, kClientIpv4, {192, 0, 2, 9})),
       Counter::icmp_ignored, kNothing, Over::v4},
      {"ARP reply", arp_frame(arp(2, kClientIpv4, kNodeIpv4)), Counter::icmp_ignored, kNothing, Over::v4},
      {"ARP request in the name of our address", arp_frame(arp(1, kNodeIpv4, kNodeIpv4)),
       Counter::icmp_ignored, kNothing, Over::v4},
      {"ARP from a multicast hardware address", arp_frame(arp(1, kClientIpv4, kNodeIpv4, kBroadcastMac)),
       Counter::icmp_ignored, kNothing, Over::v4},
      {"ARP with 8-byte hardware addresses", arp_frame(with(ours, 4, {8})), Counter::icmp_ignored, kNothing,
       Over::v4},
      {"ARP of 27 bytes", arp_frame(first(ours, 27), 0), Counter::frame_truncated, kNothing, Over::v4},
  };
}

std::vector<Row> ndp_rows() {
  const auto ours = solicitation(kNodeIpv6, source_address_option());
  const std::array<std::uint8_t, 16> other{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0,
                                           0,    0, 0,    0,    1, 0, 0, 1};  // same last 3 bytes
  return {
      {"neighbour solicitation", ndp(ours), Counter::ndp_answered, kOwnProtocol, Over::v6},
      {"neighbour solicitation to our address",
       ndp(ours, [](auto& p) { p.to_ip(kNodeIpv4, kNodeIpv6).to_mac(kNodeMac); }), Counter::ndp_answered,
       kOwnProtocol, Over::v6},
      {"neighbour solicitation without options",
       ndp(solicitation(kNodeIpv6, {}), [](auto& p) { p.to_ip(kNodeIpv4, kNodeIpv6).to_mac(kNodeMac); }),
       Counter::ndp_answered, kOwnProtocol, Over::v6},
      {"duplicate address detection",
       ndp(solicitation(kNodeIpv6, nonce_option()), [](auto& p) { p.from_ip({}, {}); }),
       Counter::ndp_answered, kOwnProtocol, Over::v6},
      {"duplicate address detection with a source address option",
       ndp(ours, [](auto& p) { p.from_ip({}, {}); }), Counter::icmp_ignored, kNothing, Over::v6},
      {"duplicate address detection to our unicast address",
       ndp(solicitation(kNodeIpv6, {}), [](auto& p) { p.from_ip({}, {}).to_ip({}, kNodeIpv6); }),
       Counter::icmp_ignored, kNothing, Over::v6},
      {"neighbour solicitation, hop limit 254", ndp(ours, [](auto& p) { p.hop_limit(254); }),
       Counter::icmp_ignored, kNothing, Over::v6},
      {"neighbour solicitation, wrong checksum", ndp(ours, [](auto& p) { p.bad_checksum(); }),
       Counter::icmp_ignored, kNothing, Over::v6},
      {"neighbour solicitation for another address", ndp(solicitation(other, source_address_option())),
       Counter::icmp_ignored, kNothing, Over::v6},
      {"neighbour solicitation, code 1", ndp(with(ours, 1, {1})), Counter::icmp_ignored, kNothing, Over::v6},
      {"neighbour solicitation, option of length 0", ndp(with(ours, 25, {0})), Counter::icmp_ignored,
       kNothing, Over::v6},
      {"neighbour solicitation, option beyond the end", ndp(with(ours, 25, {2})), Counter::icmp_ignored,
       kNothing, Over::v6},
      {"neighbour solicitation of 23 bytes", ndp(first(ours, 23)), Counter::icmp_ignored, kNothing, Over::v6},
      {"router advertisement to all nodes",
       ndp(with(ours, 0, {134}),
           [](auto& p) { p.to_ip({}, {0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}); }),
       Counter::ip_not_for_us, kNothing, Over::v6},
  };
}

std::vector<Row> ping_rows() {
  return {
      {"ping", ping(56), Counter::echo_answered, kOwnProtocol},
      {"ping without data", ping(0), Counter::echo_answered, kOwnProtocol},
      {"ping of odd length", ping(33), Counter::echo_answered, kOwnProtocol},
      {"ping of 1400 bytes", ping(1400), Counter::echo_answered, kOwnProtocol},
      {"ping, wrong checksum", ping(56, [](auto& p) { p.bad_checksum(); }), Counter::icmp_ignored},
      {"ping, code 1", [](Variant v) { return PacketBuilder(v).icmp(echo(v, 8, 1)).build(); },
       Counter::icmp_ignored},
      {"ping answer",
       [](Variant v) {
         return PacketBuilder(v).icmp(with(echo(v, 8), 0, {v.ip_version == 4 ? 0u : 129u})).build();
       },
       Counter::icmp_ignored},
      {"ping of 7 bytes", [](Variant v) { return PacketBuilder(v).icmp(first(echo(v, 8), 7)).build(); },
       Counter::icmp_ignored},
      {"ping to the broadcast MAC", ping(56, [](auto& p) { p.to_mac(kBroadcastMac); }),
       Counter::frame_not_for_us, kNothing, Over::v4},
      {"ping over IPv6 to a multicast MAC", ping(56, [](auto& p) { p.to_mac({0x33, 0x33, 0, 0, 0, 1}); }),
       Counter::icmp_ignored, kNothing, Over::v6},
      {"ping to the broadcast address", ping(56, [](auto& p) { p.to_ip({255, 255, 255, 255}, {}); }),
       Counter::ip_not_for_us, kNothing, Over::v4},
      {"ping from the multicast address", ping(56, [](auto& p) { p.from_ip({224, 0, 0, 1}, {0xff, 2}); }),
       Counter::source_invalid},
      {"ping with IPv4 options", ping(56, [](auto& p) { p.options(Bytes(4, std::byte{1})); }),
       Counter::icmp_ignored, kNothing, Over::v4},
      {"destination unreachable",
       [](Variant v) {
         return PacketBuilder(v).icmp(with(echo(v, 28), 0, {v.ip_version == 4 ? 3u : 1u})).build();
       },
       Counter::icmp_ignored},
  };
}

}  // namespace

std::vector<Row> own_protocol_rows() {
  std::vector<Row> rows;
  for (auto* group : {&arp_rows, &ndp_rows, &ping_rows})
    for (Row& row : group()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace pgrid::test
