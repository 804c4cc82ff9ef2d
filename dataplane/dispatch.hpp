// Hands an authorized request to the worker that has its process: an in-flight entry and a record in the
// worker's request ring. The body is copied, so the packet that brought it can be freed at once.
#pragma once

#include <cstdint>
#include <optional>

#include "dataplane/authorize.hpp"
#include "dataplane/carried.hpp"
#include "dataplane/in_flight_table.hpp"
#include "dataplane/ticks.hpp"
#include "dataplane/worker_link.hpp"

namespace pgrid::dataplane {

/// Nothing when it is on its way: then exactly one outcome follows. A refusal otherwise, and nothing was
/// changed. The record becomes visible at the link's next `publish`.
[[nodiscard]] std::optional<Refusal> dispatch(const AuthorizedMessage& request, const Sender& sender,
                                              WorkerLink& link, InFlightTable& in_flight,
                                              const TickRate& rate, std::uint64_t now_tsc) noexcept;

/// The same for a message that carries rights: its receiver holds them from now on, or nothing was changed.
[[nodiscard]] std::optional<Refusal> dispatch_carrying(std::span<const abi::RightRef> rights,
                                                       const HandleTable& handles, const AuthorizedMessage& request,
                                                       const Sender& sender, WorkerLink& link,
                                                       InFlightTable& in_flight, const TickRate& rate,
                                                       std::uint64_t now_tsc) noexcept;

}  // namespace pgrid::dataplane
