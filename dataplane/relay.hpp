// Between functions: a request that a function sends through a right it holds, or to control, and what comes of it. The home
// poll core of the asking worker relays both: it lets the request in like one from the wire, with the handle in place of a
// key, and writes one answer, the other function's, control's or a refusal, into the part of the worker's request ring that
// is kept for that.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "abi/shared/records.hpp"
#include "dataplane/carried.hpp"
#include "dataplane/handle_table.hpp"
#include "dataplane/in_flight_table.hpp"
#include "dataplane/worker_link.hpp"

namespace pgrid::dataplane {

/// What a worker handed over for one of its functions, checked as far as a record can be. Borrows the body.
struct GuestRequest {
  GuestAsker asker;
  bool to_control;
  HeldRight to;  // held or none; of control: held when the process is there
  std::array<std::uint8_t, 8> id;
  std::uint32_t deadline_us;  // 0: the right's maximum
  Carried carried;
  std::span<const std::byte> body;
};

[[nodiscard]] inline Holder holder_of(const GuestAsker& asker) noexcept {
  return {asker.process, asker.process_generation, asker.worker};
}

/// Whether control has a request of this worker's present process.
[[nodiscard]] inline bool is_asked_by(const InFlight& entry, const WorkerLink& link) noexcept {
  return entry.sender == SenderKind::guest_asks_control && entry.guest.worker == link.worker() &&
         entry.guest.incarnation == link.incarnation();
}

/// False: nonsense. No honest worker sends on another core than its home, has more requests waiting than fit, or names
/// what cannot be: another worker's process, a handle without a meaning, rights that cannot be carried, a request that passed
/// no function or too many. A handle that is not held is no nonsense: it may have been taken away a moment ago.
[[nodiscard]] bool read_guest_request(const abi::WorkerReply& reply, std::span<const std::byte> body,
                                      const WorkerLink& link, const HandleTable& handles,
                                      GuestRequest& request) noexcept;

/// What comes of a function's request. `body` may lie in another worker's ring: it is read once.
struct GuestAnswer {
  abi::Kind kind;
  abi::Reason reason;
  std::array<std::uint8_t, 8> id;
  std::uint32_t deadline_us;  // what is left of the request's; what the asker asks next with this in hand inherits it
  std::span<const std::byte> body{};
  const Brought* rights = nullptr;  // that come with it; of a refusal: handles that stay where they were
};

enum class Handed : std::uint8_t {
  yes,
  gone,      // the worker that asked is not there any more
  nonsense,  // the part kept for answers is full, or the ring is corrupt: a worker that lies
};
/// Writes the answer for the asking worker; it becomes visible at the link's next `publish`.
[[nodiscard]] Handed hand_to_guest(WorkerLink& link, const GuestAsker& asker, const GuestAnswer& answer,
                                   std::uint64_t now_tsc) noexcept;

/// Handles that a worker's process gives back. False: nonsense, as above.
[[nodiscard]] bool take_given_back(const abi::WorkerReply& reply, std::span<const std::byte> body, const WorkerLink& link,
                                   const HandleTable& handles) noexcept;

}  // namespace pgrid::dataplane
