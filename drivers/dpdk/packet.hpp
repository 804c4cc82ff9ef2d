// One received or fresh packet: an owned mbuf. Inline, because poll cores use it for every packet.
#pragma once

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

#include "drivers/base/check.hpp"

namespace pgrid::dpdk {

/// What the NIC says about a checksum. `unknown`: it did not look; `none`: it looked and the packet carries
/// none.
enum class RxChecksumStatus : std::uint8_t { unknown, good, bad, none };

enum class L3Version : std::uint8_t { v4, v6 };

/// Owner of one mbuf chain. Move-only, exactly one pointer; frees the mbuf when it goes out of scope. Belongs
/// to the thread that holds it: freeing uses that lcore's mempool cache. Every accessor but `operator bool`
/// REQUIRES a packet.
class Packet {
 public:
  Packet() noexcept = default;
  /// Adopts `mbuf`, which may be null.
  explicit Packet(rte_mbuf* mbuf) noexcept : mbuf_(mbuf) {}
  Packet(Packet&& other) noexcept : mbuf_(std::exchange(other.mbuf_, nullptr)) {}
  Packet& operator=(Packet&& other) noexcept {
    rte_mbuf* const taken = std::exchange(other.mbuf_, nullptr);
    reset();
    mbuf_ = taken;
    return *this;
  }
  Packet(const Packet&) = delete;
  Packet& operator=(const Packet&) = delete;
  ~Packet() { reset(); }

  [[nodiscard]] explicit operator bool() const noexcept { return mbuf_ != nullptr; }

  /// Frees the mbuf now.
  void reset() noexcept {
    if (mbuf_ != nullptr) rte_pktmbuf_free(std::exchange(mbuf_, nullptr));
  }
  /// Hands the mbuf over: whoever takes the pointer frees it.
  [[nodiscard]] static rte_mbuf* release(Packet& packet) noexcept {
    return std::exchange(packet.mbuf_, nullptr);
  }
  [[nodiscard]] static rte_mbuf* release(Packet&& packet) noexcept { return release(packet); }
  /// Lent; the packet stays the owner.
  [[nodiscard]] rte_mbuf* mbuf() const noexcept { return mbuf_; }

  /// Bytes of the first segment, Ethernet header first: the whole frame when `is_contiguous()`.
  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data(), mbuf_->data_len}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data(), mbuf_->data_len}; }
  [[nodiscard]] std::byte* data() const noexcept { return rte_pktmbuf_mtod(mbuf_, std::byte*); }
  /// Bytes in the first segment.
  [[nodiscard]] std::uint16_t data_length() const noexcept { return mbuf_->data_len; }
  /// Bytes in all segments.
  [[nodiscard]] std::uint32_t packet_length() const noexcept { return mbuf_->pkt_len; }
  /// False: the frame is spread over several mbufs, and `bytes()` is only its beginning.
  [[nodiscard]] bool is_contiguous() const noexcept { return mbuf_->nb_segs == 1; }
  [[nodiscard]] std::uint16_t port_id() const noexcept { return mbuf_->port; }

  [[nodiscard]] RxChecksumStatus ip_checksum() const noexcept;
  [[nodiscard]] RxChecksumStatus l4_checksum() const noexcept;
  /// The tag that the driver took out of the frame (we do not ask for that; some drivers do it all the same).
  [[nodiscard]] std::optional<std::uint16_t> stripped_vlan_tci() const noexcept {
    if ((mbuf_->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) == 0) return std::nullopt;
    return mbuf_->vlan_tci;
  }

  /// Free bytes behind the data of a contiguous packet.
  [[nodiscard]] std::uint16_t tailroom() const noexcept { return rte_pktmbuf_tailroom(mbuf_); }
  /// Grows a contiguous packet by `n` bytes, whose content is unspecified. Null: no room, nothing changed.
  [[nodiscard]] std::byte* append(std::uint16_t n) noexcept {
    PG_DCHECK(is_contiguous());
    return reinterpret_cast<std::byte*>(rte_pktmbuf_append(mbuf_, n));
  }
  /// Sets the length of a contiguous packet. False: the buffer is smaller than that, nothing changed.
  [[nodiscard]] bool resize(std::uint16_t n) noexcept {
    PG_DCHECK(is_contiguous());
    if (n > mbuf_->buf_len - mbuf_->data_off) return false;
    mbuf_->data_len = n;
    mbuf_->pkt_len = n;
    return true;
  }

  /// Asks the NIC for the IPv4 header checksum (v4 only) and the UDP checksum. The caller still writes what
  /// the driver expects to find: 0 in the IPv4 field, and the pseudo-header's sum in the UDP field
  /// (`Offloads::tx_udp`). REQUIRES: the port offers these offloads; `l2_length` below 128, `l3_length` below
  /// 512.
  void set_tx_checksum_offload(std::uint8_t l2_length, std::uint16_t l3_length, L3Version version) noexcept {
    mbuf_->tx_offload = rte_mbuf_tx_offload(l2_length, l3_length, 0, 0, 0, 0, 0);
    mbuf_->ol_flags |=
        RTE_MBUF_F_TX_UDP_CKSUM |
        (version == L3Version::v4 ? RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM : RTE_MBUF_F_TX_IPV6);
  }
  /// Forgets every flag of receiving: for a received packet that is sent back.
  void clear_offload_flags() noexcept { mbuf_->ol_flags = 0; }

 private:
  rte_mbuf* mbuf_ = nullptr;
};
static_assert(sizeof(Packet) == sizeof(rte_mbuf*) && std::is_standard_layout_v<Packet>);

inline RxChecksumStatus Packet::ip_checksum() const noexcept {
  switch (mbuf_->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) {
    case RTE_MBUF_F_RX_IP_CKSUM_GOOD:
      return RxChecksumStatus::good;
    case RTE_MBUF_F_RX_IP_CKSUM_BAD:
      return RxChecksumStatus::bad;
    case RTE_MBUF_F_RX_IP_CKSUM_NONE:
      return RxChecksumStatus::none;
    default:
      return RxChecksumStatus::unknown;
  }
}

inline RxChecksumStatus Packet::l4_checksum() const noexcept {
  switch (mbuf_->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) {
    case RTE_MBUF_F_RX_L4_CKSUM_GOOD:
      return RxChecksumStatus::good;
    case RTE_MBUF_F_RX_L4_CKSUM_BAD:
      return RxChecksumStatus::bad;
    case RTE_MBUF_F_RX_L4_CKSUM_NONE:
      return RxChecksumStatus::none;
    default:
      return RxChecksumStatus::unknown;
  }
}

/// Brings the mbuf's own first line (length, flags) towards the core.
inline void prefetch_header(const Packet& packet) noexcept { rte_prefetch0(packet.mbuf()); }
/// Brings the first line of the frame towards the core. Reads the mbuf's header: prefetch that some packets
/// earlier.
inline void prefetch_data(const Packet& packet) noexcept { rte_prefetch0(packet.data()); }

}  // namespace pgrid::dpdk
