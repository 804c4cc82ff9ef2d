// How the helper thread gives a poll core the rings of a worker or of control, and takes them
// back: one word, no lock.
//
//   empty     the helper owns the cell: it writes the fields, then offers         helper:    empty    ->
//   offered offered   the poll core attaches at its next turn                             poll core: offered
//   -> attached attached  the poll core uses the memory                                       helper:
//   attached -> retired retired   the peer is gone: the poll core answers what it had in flight,
//             forgets the memory, and says so                                     poll core: retired  ->
//             empty
//
// Only when a cell is empty again does the helper unmap its memory. An offer that was not taken yet may be
// withdrawn by the helper (offered -> empty): whoever's exchange succeeds goes on.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace pgrid::dataplane {

enum class LinkState : std::uint32_t { empty, offered, attached, retired };

/// The two rings between one poll core and one peer, within a mapped segment.
struct LinkRings {
  std::byte* to_peer = nullptr;    // the poll core produces
  std::byte* from_peer = nullptr;  // the poll core consumes; hostile
  std::uint32_t to_capacity = 0;   // bytes
  std::uint32_t from_capacity = 0;
  std::uint32_t incarnation = 0;  // of the peer; rises
};

struct alignas(64) LinkCell {
  std::atomic<LinkState> state{LinkState::empty};
  std::atomic<bool> serving{false};  // helper: the worker's processes are loaded
  LinkRings rings;                   // helper, while empty
  alignas(64) std::atomic<bool> faulty{
      false};  // poll core, while attached: the peer wrote nonsense, replace it

  /// Helper: hands rings over. REQUIRES: empty.
  void offer(const LinkRings& offered) noexcept {
    rings = offered;
    serving.store(false, std::memory_order_relaxed);
    faulty.store(false, std::memory_order_relaxed);
    state.store(LinkState::offered, std::memory_order_release);
  }
  /// Helper: the peer is gone. The memory may go when `is_empty`.
  void retire() noexcept {
    serving.store(false, std::memory_order_relaxed);
    LinkState expected = LinkState::offered;
    if (state.compare_exchange_strong(expected, LinkState::empty, std::memory_order_acq_rel)) return;
    if (expected == LinkState::attached) state.store(LinkState::retired, std::memory_order_release);
  }
  [[nodiscard]] bool is_empty() const noexcept {
    return state.load(std::memory_order_acquire) == LinkState::empty;
  }
};

}  // namespace pgrid::dataplane
