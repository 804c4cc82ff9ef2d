// Builds frames, right or deliberately wrong. Everything has a valid default; what is set wins; lengths and
// checksums are computed last, from what is there, unless they are set too. Written without the product's own
// header code, so that a mistake there does not cancel itself.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "dataplane/frame.hpp"
#include "tests/packets/message_builder.hpp"

namespace pgrid::test {

/// Which headers a row is tried with.
struct Variant {
  int ip_version = 4;
  bool vlan = false;
  [[nodiscard]] std::string name() const {
    return (ip_version == 4 ? "v4" : "v6") + std::string(vlan ? "_vlan" : "");
  }
};

inline constexpr std::array<std::uint8_t, 6> kNodeMac{2, 0, 0, 0, 0, 1};
inline constexpr std::array<std::uint8_t, 6> kClientMac{2, 0, 0, 0, 0, 7};
inline constexpr std::array<std::uint8_t, 6> kBroadcastMac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
inline constexpr std::array<std::uint8_t, 4> kNodeIpv4{192, 0, 2, 1};
inline constexpr std::array<std::uint8_t, 4> kClientIpv4{192, 0, 2, 7};
inline constexpr std::array<std::uint8_t, 16> kNodeIpv6{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0,
                                                        0,    0, 0,    0,    0, 0, 0, 1};
inline constexpr std::array<std::uint8_t, 16> kClientIpv6{0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0,
                                                          0,    0, 0,    0,    0, 0, 0, 7};
inline constexpr std::array<std::uint8_t, 16> kSolicitedNode{0xff, 2, 0, 0, 0,    0, 0, 0,
                                                             0,    0, 0, 1, 0xff, 0, 0, 1};
inline constexpr std::uint16_t kClientPort = 40000;

dataplane::PortIdentity node_identity();
dataplane::PortIdentity client_identity();

class PacketBuilder {
 public:
  explicit PacketBuilder(Variant variant) : variant_(variant) {}

  // Ethernet
  PacketBuilder& to_mac(std::array<std::uint8_t, 6> mac) { return to_mac_ = mac, *this; }
  PacketBuilder& from_mac(std::array<std::uint8_t, 6> mac) { return from_mac_ = mac, *this; }
  PacketBuilder& ethertype(std::uint16_t type) { return ethertype_ = type, *this; }
  PacketBuilder& tag(std::uint16_t type, std::uint16_t tci) { return tags_.push_back({type, tci}), *this; }
  // IP
  PacketBuilder& from_ip(std::array<std::uint8_t, 4> v4, std::array<std::uint8_t, 16> v6) {
    return from_v4_ = v4, from_v6_ = v6, *this;
  }
  PacketBuilder& to_ip(std::array<std::uint8_t, 4> v4, std::array<std::uint8_t, 16> v6) {
    return to_v4_ = v4, to_v6_ = v6, *this;
  }
  PacketBuilder& version(std::uint8_t version) { return version_ = version, *this; }
  PacketBuilder& header_words(std::uint8_t words) { return header_words_ = words, *this; }
  PacketBuilder& options(Bytes options) {
    return options_ = std::move(options), *this;
  }  // IPv4, a multiple of 4
  PacketBuilder& fragment(std::uint16_t field) { return fragment_ = field, *this; }
  PacketBuilder& ip_length(int wrong_by) { return ip_length_wrong_by_ = wrong_by, *this; }
  PacketBuilder& ip_length_is(std::uint16_t length) { return ip_length_ = length, *this; }
  PacketBuilder& protocol(std::uint8_t protocol) { return protocol_ = protocol, *this; }
  PacketBuilder& hop_limit(std::uint8_t hops) { return hop_limit_ = hops, *this; }
  PacketBuilder& bad_ip_checksum() { return bad_ip_checksum_ = true, *this; }
  /// An IPv6 extension header (8 bytes) between IPv6 and what follows.
  PacketBuilder& extension(std::uint8_t next_header) { return extension_ = next_header, *this; }
  // UDP
  PacketBuilder& from_port(std::uint16_t port) { return from_port_ = port, *this; }
  PacketBuilder& to_port(std::uint16_t port) { return to_port_ = port, *this; }
  PacketBuilder& udp_length(int wrong_by) { return udp_length_wrong_by_ = wrong_by, *this; }
  PacketBuilder& udp_length_is(std::uint16_t length) { return udp_length_ = length, *this; }
  PacketBuilder& no_udp_checksum() { return l4_checksum_ = Checksum::zero, *this; }
  PacketBuilder& bad_checksum() { return l4_checksum_ = Checksum::bad, *this; }
  PacketBuilder& payload(Bytes payload) { return payload_ = std::move(payload), *this; }
  /// ICMP or ICMPv6 instead of UDP: the whole message, whose checksum is filled in.
  PacketBuilder& icmp(Bytes message) { return icmp_ = std::move(message), *this; }
  /// No IP at all: these bytes behind the Ethernet header.
  PacketBuilder& raw(std::uint16_t type, Bytes l3) { return ethertype_ = type, raw_ = std::move(l3), *this; }
  // The finished frame
  PacketBuilder& cut_to(std::size_t length) { return cut_to_ = length, *this; }
  PacketBuilder& append(std::size_t zeros) { return append_ = zeros, *this; }

  [[nodiscard]] Bytes build() const;
  /// Where things begin in `build()`.
  [[nodiscard]] std::size_t ip_offset() const { return 14 + (variant_.vlan ? 4u : 0u) + 4 * tags_.size(); }
  [[nodiscard]] std::size_t l4_offset() const {
    return ip_offset() + (variant_.ip_version == 4 ? 20 + options_.size() : 40u + (extension_ ? 8u : 0u));
  }
  [[nodiscard]] std::size_t payload_offset() const { return l4_offset() + 8; }

 private:
  enum class Checksum : std::uint8_t { good, zero, bad };
  struct Tag {
    std::uint16_t type;
    std::uint16_t tci;
  };
  [[nodiscard]] Bytes build_l4() const;
  [[nodiscard]] Bytes build_ip(const Bytes& l4) const;

  Variant variant_;
  std::array<std::uint8_t, 6> to_mac_ = kNodeMac;
  std::array<std::uint8_t, 6> from_mac_ = kClientMac;
  std::optional<std::uint16_t> ethertype_;
  std::vector<Tag> tags_;
  std::array<std::uint8_t, 4> from_v4_ = kClientIpv4;
  std::array<std::uint8_t, 16> from_v6_ = kClientIpv6;
  std::array<std::uint8_t, 4> to_v4_ = kNodeIpv4;
  std::array<std::uint8_t, 16> to_v6_ = kNodeIpv6;
  std::optional<std::uint8_t> version_;
  std::optional<std::uint8_t> header_words_;
  Bytes options_;
  std::uint16_t fragment_ = 0x4000;  // don't fragment
  int ip_length_wrong_by_ = 0;
  std::optional<std::uint16_t> ip_length_;
  std::optional<std::uint8_t> protocol_;
  std::uint8_t hop_limit_ = 64;
  bool bad_ip_checksum_ = false;
  std::optional<std::uint8_t> extension_;
  std::uint16_t from_port_ = kClientPort;
  std::uint16_t to_port_ = 4646;
  int udp_length_wrong_by_ = 0;
  std::optional<std::uint16_t> udp_length_;
  Checksum l4_checksum_ = Checksum::good;
  Bytes payload_;
  std::optional<Bytes> icmp_;
  std::optional<Bytes> raw_;
  std::optional<std::size_t> cut_to_;
  std::size_t append_ = 0;
};

}  // namespace pgrid::test
