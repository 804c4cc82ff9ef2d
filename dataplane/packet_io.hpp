// What a poll core needs of its NIC ports, as a compile-time interface: DPDK in the product (dpdk_io.hpp),
// vectors of bytes in tests. A template costs nothing per packet; a virtual call each for receive,
// allocate and send would.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "dataplane/frame.hpp"
#include "dataplane/return_path.hpp"

namespace pgrid::dataplane {

/// Owner of one frame. Move-only; frees it; false when empty.
template <typename P>
concept PacketLike = std::movable<P> && requires(P& packet, const P& constant, std::uint16_t length) {
  static_cast<bool>(constant);
  { constant.data() } -> std::same_as<std::byte*>;
  { constant.data_length() } -> std::same_as<std::uint16_t>;
  { constant.tailroom() } -> std::same_as<std::uint16_t>;  // bytes that may be written behind the data
  { constant.is_contiguous() } -> std::same_as<bool>;
  { packet.resize(length) } -> std::same_as<bool>;
  packet.clear_offload_flags();
};

template <typename T>
concept PacketIo = PacketLike<typename T::Packet> &&
                   requires(T& io, typename T::Packet& packet, decltype(io.rx_burst(0))& burst, std::uint16_t port,
                            std::span<typename T::Packet> packets, const ReturnPath& path) {
                     { io.nb_ports() } -> std::same_as<std::uint16_t>;
                     { io.identity(port) } -> std::same_as<const PortIdentity&>;
                     // At most abi::kBurst packets; frees what was not moved out of it.
                     { io.rx_burst(port).packets() } -> std::same_as<std::span<typename T::Packet>>;
                     // Takes packets from the front, which are empty then; returns how many.
                     { io.tx_burst(port, packets) } -> std::same_as<std::uint16_t>;
                     {
                       io.alloc()
                     } -> std::same_as<typename T::Packet>;  // one that was kept, or of the reserve for answers; empty: none left
                     io.keep(burst);  // for `alloc`: some of what was not moved out of it
                     io.give_back();  // what is kept
                     { io.offloads_checksums(port) } -> std::same_as<bool>;
                     io.ask_for_checksums(packet, path);  // REQUIRES: offloads_checksums
                     { io.ip_checksum(packet) } -> std::same_as<ChecksumStatus>;
                     { io.l4_checksum(packet) } -> std::same_as<ChecksumStatus>;
                     io.prefetch(packet);  // the first line of the frame
                     { io.tsc() } -> std::same_as<std::uint64_t>;
                   };

}  // namespace pgrid::dataplane
