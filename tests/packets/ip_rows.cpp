// Rows about Ethernet, VLAN, IP and UDP.
#include "tests/packets/node_under_test.hpp"
#include "tests/packets/packet_table.hpp"

namespace pgrid::test {

using abi::Counter;

Bytes valid_request() { return MessageBuilder().to(rights::good).payload(); }

namespace {

using Address4 = std::array<std::uint8_t, 4>;
using Address6 = std::array<std::uint8_t, 16>;

std::function<Bytes(Variant)> cut_at(std::function<std::size_t(const PacketBuilder&)> offset) {
  return [offset = std::move(offset)](Variant v) {
    PacketBuilder builder(v);
    builder.payload(valid_request());
    return builder.cut_to(offset(builder)).build();
  };
}

Address6 v6_ending(std::initializer_list<std::uint8_t> start, std::uint8_t last) {
  Address6 address{};
  std::copy(start.begin(), start.end(), address.begin());
  address[15] = last;
  return address;
}

void add_truncations(std::vector<Row>& rows) {
  const auto add = [&rows](const std::string& where, auto offset) {
    rows.push_back({"frame ends " + where, cut_at(offset), Counter::frame_truncated});
  };
  using Builder = const PacketBuilder&;
  add("before it begins", [](Builder) { return 0u; });
  add("within the destination MAC", [](Builder) { return 5u; });
  add("within the source MAC", [](Builder) { return 11u; });
  add("within the ethertype", [](Builder) { return 13u; });
  add("behind the Ethernet header", [](Builder b) { return b.ip_offset(); });
  add("within the IP length", [](Builder b) { return b.ip_offset() + 3; });
  add("within the IP addresses", [](Builder b) { return b.l4_offset() - 1; });
  add("behind the IP header", [](Builder b) { return b.l4_offset(); });
  add("within the UDP ports", [](Builder b) { return b.l4_offset() + 3; });
  add("within the UDP checksum", [](Builder b) { return b.l4_offset() + 7; });
  add("behind the UDP header", [](Builder b) { return b.payload_offset(); });
  add("within the envelope", [](Builder b) { return b.payload_offset() + 40; });
  add("before its last byte", [](Builder b) { return b.build().size() - 1; });
}

void add_sources(std::vector<Row>& rows) {
  const auto add = [&rows](const std::string& who, Address4 v4, Address6 v6,
                           Counter counter = Counter::source_invalid) {
    rows.push_back({"source address: " + who, request_frame([=](auto& p) { p.from_ip(v4, v6); }), counter});
  };
  add("a neighbour of the node's", {192, 0, 2, 2}, v6_ending({0x20, 1, 0x0d, 0xb8}, 2), Counter::dispatched);
  add("the node's own", kNodeIpv4, kNodeIpv6);
  add("zero", {0, 0, 0, 0}, {});
  add("loopback", {127, 0, 0, 1}, v6_ending({}, 1));
  add("multicast", {224, 0, 0, 1}, v6_ending({0xff, 2}, 1));
  add("last before multicast", {223, 255, 255, 254}, v6_ending({0xfe, 0xff}, 1), Counter::dispatched);
  add("broadcast, or IPv4 mapped into IPv6", {255, 255, 255, 255},
      {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7});
}

}  // namespace

std::vector<Row> ethernet_and_ip_rows() {
  std::vector<Row> rows{
      {"valid request", udp(valid_request()), Counter::dispatched},
      {"valid request with Ethernet padding", request_frame([](auto& p) { p.append(7); }),
       Counter::dispatched},
      {"to another MAC", request_frame([](auto& p) { p.to_mac({2, 0, 0, 0, 0, 2}); }),
       Counter::frame_not_for_us},
      {"unicast IP to the broadcast MAC", request_frame([](auto& p) { p.to_mac(kBroadcastMac); }),
       Counter::frame_not_for_us},
      {"from a multicast MAC", request_frame([](auto& p) { p.from_mac({3, 0, 0, 0, 0, 7}); }),
       Counter::source_invalid},
      {"from the node's own MAC", request_frame([](auto& p) { p.from_mac(kNodeMac); }),
       Counter::source_invalid},
      {"two VLAN tags, or one behind a tag",
       [](Variant v) {
         PacketBuilder builder(v);
         builder.payload(valid_request()).tag(0x8100, 5);
         return (v.vlan ? builder : builder.tag(0x8100, 6)).build();
       },
       Counter::vlan_nested},
      {"a service tag", request_frame([](auto& p) { p.tag(0x88a8, 5); }), Counter::vlan_nested},
      {"priority tag, VLAN 0",
       [](Variant v) {
         PacketBuilder builder({v.ip_version, false});
         return builder.payload(valid_request()).tag(0x8100, 0x2000).build();
       },
       Counter::dispatched},
      {"unknown ethertype", request_frame([](auto& p) { p.ethertype(0x88cc); }), Counter::ethertype_unknown},
      {"the other IP version's ethertype",
       [](Variant v) {
         return PacketBuilder(v)
             .payload(valid_request())
             .ethertype(v.ip_version == 4 ? 0x86dd : 0x0800)
             .build();
       },
       Counter::ip_malformed},
      {"IP version 5", request_frame([](auto& p) { p.version(5); }), Counter::ip_malformed},
      {"to another IP address",
       request_frame([](auto& p) { p.to_ip({192, 0, 2, 9}, v6_ending({0x20, 1, 0x0d, 0xb8}, 9)); }),
       Counter::ip_not_for_us},
      {"to a multicast address", request_frame([](auto& p) {
         p.to_ip({224, 0, 0, 1}, v6_ending({0xff, 2}, 1)).to_mac({0x33, 0x33, 0, 0, 0, 1});
       }),
       Counter::ip_not_for_us},
      {"UDP to the solicited-node address",
       request_frame([](auto& p) { p.to_ip(kNodeIpv4, kSolicitedNode); }), Counter::ip_not_for_us, kNothing,
       Over::v6},
      {"IP length one beyond the frame", request_frame([](auto& p) { p.ip_length(1); }),
       Counter::frame_truncated},
      {"IP length 65535", request_frame([](auto& p) { p.ip_length_is(65535); }), Counter::frame_truncated},
      {"IP length one short of UDP", request_frame([](auto& p) { p.ip_length(-1); }), Counter::udp_malformed},
      {"IPv4 length shorter than its header", request_frame([](auto& p) { p.ip_length_is(19); }),
       Counter::ip_malformed, kNothing, Over::v4},
      {"IPv4 length of the header alone", request_frame([](auto& p) { p.ip_length_is(20); }),
       Counter::udp_malformed, kNothing, Over::v4},
      {"IPv6 length zero", request_frame([](auto& p) { p.ip_length_is(0); }), Counter::udp_malformed,
       kNothing, Over::v6},
      {"IPv4 header of 16 bytes", request_frame([](auto& p) { p.header_words(4); }), Counter::ip_malformed,
       kNothing, Over::v4},
      {"IPv4 header of 60 bytes that is not there", request_frame([](auto& p) { p.header_words(15); }),
       Counter::ip_checksum_bad, kNothing, Over::v4},
      {"IPv4 with 4 bytes of options", request_frame([](auto& p) { p.options(Bytes(4, std::byte{1})); }),
       Counter::dispatched, kNothing, Over::v4},
      {"IPv4 with 40 bytes of options", request_frame([](auto& p) { p.options(Bytes(40, std::byte{1})); }),
       Counter::dispatched, kNothing, Over::v4},
      {"IPv4 header checksum wrong", request_frame([](auto& p) { p.bad_ip_checksum(); }),
       Counter::ip_checksum_bad, kNothing, Over::v4},
      {"IPv4, fragments allowed", request_frame([](auto& p) { p.fragment(0); }), Counter::dispatched,
       kNothing, Over::v4},
      {"IPv4, first fragment", request_frame([](auto& p) { p.fragment(0x2000); }), Counter::ip_fragment,
       kNothing, Over::v4},
      {"IPv4, later fragment", request_frame([](auto& p) { p.fragment(0x0001); }), Counter::ip_fragment,
       kNothing, Over::v4},
      {"IPv6 fragment header", request_frame([](auto& p) { p.extension(44); }), Counter::ip_fragment,
       kNothing, Over::v6},
      {"IPv6 hop-by-hop header", request_frame([](auto& p) { p.extension(0); }), Counter::ip_protocol_unknown,
       kNothing, Over::v6},
      {"IPv6 routing header", request_frame([](auto& p) { p.extension(43); }), Counter::ip_protocol_unknown,
       kNothing, Over::v6},
      {"TCP", request_frame([](auto& p) { p.protocol(6); }), Counter::ip_protocol_unknown},
      {"hop limit 1", request_frame([](auto& p) { p.hop_limit(1); }), Counter::dispatched},
  };
  rows.push_back({"frame ends within a VLAN tag",
                  [](Variant v) {
                    return first(PacketBuilder({v.ip_version, true}).payload(valid_request()).build(), 17);
                  },
                  Counter::frame_truncated});
  add_truncations(rows);
  add_sources(rows);
  return rows;
}

std::vector<Row> udp_rows() {
  return {
      {"UDP length one too long", request_frame([](auto& p) { p.udp_length(1); }), Counter::udp_malformed},
      {"UDP length one too short", request_frame([](auto& p) { p.udp_length(-1); }), Counter::udp_malformed},
      {"UDP length 7", request_frame([](auto& p) { p.udp_length_is(7); }), Counter::udp_malformed},
      {"UDP length 0", request_frame([](auto& p) { p.udp_length_is(0); }), Counter::udp_malformed},
      {"to another UDP port", request_frame([](auto& p) { p.to_port(4647); }), Counter::udp_port_closed},
      {"from UDP port 0", request_frame([](auto& p) { p.from_port(0); }), Counter::source_invalid},
      {"from UDP port 4646", request_frame([](auto& p) { p.from_port(4646); }), Counter::dispatched},
      {"from UDP port 65535", request_frame([](auto& p) { p.from_port(65535); }), Counter::dispatched},
      {"no UDP checksum", request_frame([](auto& p) { p.no_udp_checksum(); }), Counter::udp_checksum_missing},
      {"wrong UDP checksum", request_frame([](auto& p) { p.bad_checksum(); }), Counter::udp_checksum_bad},
      {"one bit of the body flipped",
       [](Variant v) {
         Bytes frame = PacketBuilder(v).payload(valid_request()).build();
         frame.back() ^= std::byte{0x10};
         return frame;
       },
       Counter::udp_checksum_bad},
      {"empty UDP payload", udp({}), Counter::envelope_truncated},
      {"UDP payload of odd length", udp(Bytes(33)), Counter::envelope_not_grid},
  };
}

}  // namespace pgrid::test
