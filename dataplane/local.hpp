// The node's own small protocols on ports that no kernel serves: ARP, IPv6 neighbour discovery, ping.
// parse_frame has checked everything; here a request is turned into its answer where it lies.
#pragma once

#include <cstddef>
#include <span>

#include "dataplane/frame.hpp"

namespace pgrid::dataplane {

/// Turns the received frame into its answer and returns the answer's length in bytes, or 0 when there is
/// nothing to answer (kind message or dropped, or no room). `frame` begins where parsed.frame.start points
/// and spans the bytes that may be written: give the tail room too if there is any, a neighbour advertisement
/// can be 8 bytes longer than the solicitation. An answer to an echo is never longer than the request.
[[nodiscard]] std::size_t answer_in_place(std::span<std::byte> frame, const ParsedFrame& parsed,
                                          const PortIdentity& port) noexcept;

}  // namespace pgrid::dataplane
