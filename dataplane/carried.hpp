// Rights that a message carries: from the handles of who sends it, by way of what they stand for, to handles of who gets it.
// All of them or none.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "abi/shared/records.hpp"
#include "dataplane/handle_table.hpp"

namespace pgrid::dataplane {

/// What a worker says that a record of one of its processes carries, and what those handles stand for.
struct Carried {
  std::uint32_t count = 0;  // of the following; 0: nothing, and nothing else means anything
  std::uint32_t moved = 0;  // bit i: handle i is the sender's no more when the message has gone
  std::uint32_t held = 0;   // bit i: the sender holds handle i
  std::array<std::uint32_t, abi::kCarriedRightsMax> handles;
  std::array<abi::RightRef, abi::kCarriedRightsMax> rights;

  [[nodiscard]] bool all_held() const noexcept { return held == (1u << count) - 1; }
  [[nodiscard]] std::span<const abi::RightRef> all() const noexcept { return {rights.data(), count}; }
};

/// Whose handles they are.
struct Holder {
  std::uint32_t process;     // < kProcessesMax
  std::uint32_t generation;
  std::uint32_t worker;
};

/// Handles of a receiver, as its record has them.
using GivenHandles = std::array<std::uint32_t, abi::kCarriedRightsMax>;

/// Rights that a message brings a process: what they are, and the handles that they have there.
struct Brought {
  std::span<const abi::RightRef> rights{};
  GivenHandles handles{};
};

/// False: nonsense. Handles stand in front, each with a mode; nobody passes on what is no right to somebody else, moves what
/// control granted, or moves one twice. A handle that is not held is no nonsense.
[[nodiscard]] bool read_carried(const abi::WorkerReply& reply, const Holder& sender, const HandleTable& handles,
                                Carried& carried) noexcept;

/// The message has gone: what was moved leaves its sender.
void take_moved(const Holder& sender, const Carried& carried, const HandleTable& handles) noexcept;
/// Those that were to be moved and are held, for the refusal that tells the sender that it still has them.
[[nodiscard]] GivenHandles kept_of(const Holder& sender, const Carried& carried) noexcept;

/// Finds a handle for each right. False: so many are not free, or the process is gone.
[[nodiscard]] bool give_rights(std::uint32_t process, const HandleTable::Owner& owner, std::span<const abi::RightRef> rights,
                               const HandleTable& handles, GivenHandles& given) noexcept;
/// The message did not go.
void take_back(std::uint32_t process, std::uint32_t generation, std::span<const abi::RightRef> rights, const GivenHandles& given,
               const HandleTable& handles) noexcept;

}  // namespace pgrid::dataplane
