// The loop of a worker: rings to mailboxes, mailboxes to guests, answers to rings.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "abi/shared/byte_ring.hpp"
#include "abi/shared/segment.hpp"
#include "dataplane/stage_clock.hpp"
#include "dataplane/worker/clock.hpp"
#include "dataplane/worker/gave_up_box.hpp"
#include "dataplane/worker/instance_slot.hpp"
#include "dataplane/worker/mailbox.hpp"
#include "dataplane/worker/outstanding.hpp"
#include "dataplane/worker/reply_writer.hpp"
#include "dataplane/worker/slot_list.hpp"
#include "dataplane/worker/ticker.hpp"
#include "dataplane/worker/waiting_requests.hpp"
#include "drivers/wasm/engine.hpp"

namespace pgrid::worker {

inline constexpr std::uint32_t kActivationMax = 32;  // messages that one activation may read: no process starves others
inline constexpr std::uint32_t kDrainMax = 256;      // records taken from one ring before guests run again
inline constexpr std::uint32_t kOffersMax = 2;       // activations that may leave a message unread

/// Of a record in a ring, where it may change if the poll core is not honest.
template <typename T>
T read_once(const T& shared) noexcept {
  return *static_cast<const volatile T*>(&shared);
}

/// CPU time that a process may use per round while others wait: one look of the ticker, the finest time there is here for
/// nothing. Most activations end well within it.
inline constexpr std::uint64_t kQuantumNs = kTickNs;

/// Owned by the pinned worker thread, all of it; other threads reach it through the load queue only.
///  1. Every request that was taken from a ring ends in exactly one answer: the guest's, or ours saying why not.
///  2. No memory is allocated between a request and its answer; a rebuild may allocate.
///  3. Whatever a guest does, only its own messages suffer.
class WorkerCore {
 public:
  /// `segment` is the worker rings segment, mapped and checked; `tsc_hz` of the poll cores' clock, not 0; `ticker` the clock
  /// of time limits.
  WorkerCore(std::byte* segment, const abi::Geometry& geometry, std::uint32_t worker, std::uint64_t tsc_hz,
             const wasm::Engine& engine, Ticker& ticker);
  WorkerCore(const WorkerCore&) = delete;
  WorkerCore& operator=(const WorkerCore&) = delete;

  /// Makes the process's first instance and serves it from now on. The text says why not; then the slot comes back.
  struct Attached {
    bool ok;
    std::string text;                     // of not ok
    std::unique_ptr<InstanceSlot> slot;   // not ok: the one that failed; ok: the one it replaced, if any
  };
  [[nodiscard]] Attached attach(std::unique_ptr<InstanceSlot> slot);
  /// Stops serving a process; what it had is answered `process_failed`. nullptr: not here, or of another generation.
  [[nodiscard]] std::unique_ptr<InstanceSlot> detach(std::uint32_t process, std::uint32_t generation);

  /// The instance ends and a new one is built; the messages that wait go to it. What gave up serves again. False: the process is
  /// not here in that generation.
  bool restart(std::uint32_t process, std::uint32_t generation) noexcept;
  /// Who gave up: for the loader's thread to tell.
  [[nodiscard]] GaveUpBox& gave_up_box() noexcept { return gave_up_box_; }

  /// The process holds this handle from now on, or does not. Nothing happens if it is not here in that generation.
  void set_handle(std::uint32_t process, std::uint32_t generation, std::uint32_t handle, bool held) noexcept;

  /// Takes what the rings have and serves everybody once. False: there was nothing to do.
  bool turn() noexcept;

  /// Once per turn that found nothing: shows the data plane that this thread lives.
  void beat() noexcept;
  /// Nothing came for a while: the ticker may sleep until the next guest runs.
  void rest() noexcept;
  /// A ring holds what no honest poll core writes.
  [[nodiscard]] bool corrupt() const noexcept;

  [[nodiscard]] Clock& clock() noexcept { return clock_; }

  // What guests call; `core` is the WorkerCore whose guest runs at the moment.
  static std::int32_t call_receive(void* core, std::uint32_t pointer, std::uint32_t capacity) noexcept;
  static std::int32_t call_send(void* core, std::uint32_t pointer, std::uint32_t length) noexcept;

 private:
  // worker_core.cpp: rings, mailboxes, turns
  void drain(std::uint32_t poll_core) noexcept;
  void accept(std::uint32_t poll_core, const abi::RingRecord& record) noexcept;
  void accept_other(std::uint32_t poll_core, const abi::RingRecord& record) noexcept;
  void keep(const abi::RingRecord& record, std::uint32_t reply_slot) noexcept;
  void turn_away(const abi::RingRecord& record, std::uint32_t reply_slot, std::uint32_t reply_generation,
                 abi::Reason reason) noexcept;
  void accept_answer(std::uint32_t process, std::uint32_t incarnation, const abi::RingRecord& record) noexcept;
  void release_rings() noexcept;
  void make_ready(InstanceSlot& slot) noexcept;
  [[nodiscard]] bool may_run(InstanceSlot& slot, bool alone) noexcept;
  void activate(InstanceSlot& slot) noexcept;
  void charge(InstanceSlot& slot) noexcept;
  void settle_unread(InstanceSlot& slot, bool stopped) noexcept;
  void refuse(std::uint32_t process, std::uint32_t slot, std::uint32_t generation, abi::Reason reason) noexcept;
  void refuse_front(InstanceSlot& slot, abi::Reason reason) noexcept;
  void refuse_waiting(InstanceSlot& slot, abi::Reason reason) noexcept;

  // supervise.cpp: processes
  void drop_instance(InstanceSlot& slot) noexcept;
  std::uint32_t next_incarnation() noexcept;
  bool rebuild(InstanceSlot& slot, std::string& text) noexcept;
  void after_stop(InstanceSlot& slot) noexcept;
  bool revive(InstanceSlot& slot) noexcept;
  void not_running(InstanceSlot& slot, const std::string& text) noexcept;
  void leave_alone(InstanceSlot& slot, std::uint32_t back_off_ms) noexcept;
  void give_up(InstanceSlot& slot, const std::string& text) noexcept;
  void supervise() noexcept;

  // tell_control.cpp: events
  void report(InstanceSlot& slot, abi::Violation violation, std::string text, std::uint32_t back_off_ms) noexcept;
  void note_misused_handle(InstanceSlot& slot, std::uint32_t handle) noexcept;
  void note_unread(InstanceSlot& slot, std::uint32_t messages) noexcept;
  void tell_or_wait(InstanceSlot& slot) noexcept;
  bool tell_what_is_due(InstanceSlot& slot, std::uint64_t now, bool at_once) noexcept;
  bool tell(InstanceSlot& slot, abi::Violation violation, std::uint32_t back_off_ms, std::string_view text) noexcept;

  // carry.cpp: rights in messages
  void hand_over(InstanceSlot& slot, const abi::WorkerRequest& request, std::byte* message) noexcept;
  void give_back(const abi::WorkerRequest& request) noexcept;
  void give_back(InstanceSlot& slot, std::uint64_t handles) noexcept;
  void give_back_all(InstanceSlot& slot) noexcept;
  bool tell_given_back(InstanceSlot& slot) noexcept;
  void tell_all_given_back() noexcept;
  void forget_given_back(InstanceSlot& slot) noexcept;
  std::int32_t read_carried(const std::byte* message, CarriedOut& carried) noexcept;
  std::int32_t send_carrying(const std::byte* message, std::uint32_t length) noexcept;
  std::int32_t answer_carrying(std::uint32_t handle, const CarriedOut& carried, std::span<const std::byte> body) noexcept;
  /// Takes a message that nobody will read out of the pool.
  void give_back_message(std::uint32_t index) noexcept {
    const auto& request = *reinterpret_cast<const abi::WorkerRequest*>(pool_[index].record);
    if (read_once(request.rights[0]) != 0) [[unlikely]] give_back(request);
    pool_.give_back(index);
  }

  // host_calls.cpp
  std::int32_t receive(std::uint32_t pointer, std::uint32_t capacity) noexcept;
  std::int32_t send(std::uint32_t pointer, std::uint32_t length) noexcept;
  std::uint32_t skip_expired(InstanceSlot& slot) noexcept;
  void drop_front(InstanceSlot& slot) noexcept;
  void forget(const Outstanding& entry) noexcept;
  void after_tick(InstanceSlot& slot) noexcept;
  std::int32_t answer(std::uint32_t handle, abi::Kind kind, abi::Reason reason,
                      std::span<const std::byte> body) noexcept;
  /// The send-once right is used up.
  static void answered(InstanceSlot& slot, Outstanding& held) noexcept {
    if (held.slot == slot.handling) slot.handling = 0;
    held.slot = 0;
    if (slot.unanswered != 0) --slot.unanswered;
  }
  std::int32_t send_otherwise(const std::byte* message, std::uint32_t to, abi::Kind kind, abi::Reason reason,
                              std::span<const std::byte> body, const CarriedOut* carried = nullptr) noexcept;
  std::int32_t request(const std::byte* message, std::uint32_t handle, std::span<const std::byte> body,
                       const CarriedOut* carried) noexcept;
  /// Whether a tick passed since the last time this was asked. Answers are published once per burst, but never later than
  /// a tick: they do not wait for a slow neighbour.
  bool time_passed() noexcept {
    const std::uint64_t tick = ticker_.ticks();
    if (tick == seen_tick_) return false;
    seen_tick_ = tick;
    return true;
  }
  void wake_ticker() noexcept;

  const abi::Geometry geometry_;
  const wasm::Engine& engine_;
  Ticker& ticker_;
  Clock clock_;
  abi::WorkerLine& line_;
  abi::RingConsumer requests_[abi::kPollCoresMax];
  std::uint32_t drained_ = 0;  // bit per poll core: records were taken in this turn, and their space not given back yet
  ReplyWriter replies_;
  const std::uint32_t home_core_;  // takes what guests send, log lines and events
  MessagePool pool_;
  OutstandingTable outstanding_;
  WaitingRequests waiting_;
  std::vector<std::unique_ptr<InstanceSlot>> slots_;  // by process index on this node
  SlotList<&InstanceSlot::next> ready_;       // a slot is in one of these two at most
  SlotList<&InstanceSlot::next> left_alone_;
  SlotList<&InstanceSlot::next_event> waiting_events_;
  SlotList<&InstanceSlot::next_to_give_back> giving_back_;
  GaveUpBox gave_up_box_;
  InstanceSlot* current_ = nullptr;  // whose guest runs
  std::uint32_t incarnations_ = 0;   // the one given out last; 0 is nobody's
  std::uint64_t now_ = 0;            // of the clock, read when a tick passed: reading it takes 10 ns
  std::uint64_t seen_tick_ = 0;
  std::uint64_t charged_tick_ = 0;   // up to here time was charged to somebody, or was nobody's
  std::uint64_t charged_ns_ = 0;     // likewise, of the ticker's used_ns
  [[no_unique_address]] dataplane::StageClock<abi::WorkerStage> stages_;
  bool resting_ = false;
};

/// The imports of guests, bound to `core`.
[[nodiscard]] Result<wasm::Linker> make_guest_linker(const wasm::Engine& engine, WorkerCore& core);

}  // namespace pgrid::worker
