// A process on this worker: its code, its limits, its mailbox, and the one instance that serves it at the moment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "abi/shared/handover.hpp"
#include "dataplane/worker/mailbox.hpp"
#include "dataplane/worker/restarts.hpp"
#include "dataplane/worker/untold.hpp"
#include "drivers/wasm/instance.hpp"
#include "drivers/wasm/module.hpp"

namespace pgrid::worker {

/// Made by the loader thread, then owned by the worker thread until it is unloaded. What every message needs lies in the
/// first line, what every activation needs in the second.
struct alignas(64) InstanceSlot {
  std::uint32_t process = 0;
  std::uint32_t room = 0;        // messages that its mailbox takes; 0 while it is left alone or given up
  Mailbox mailbox;
  InstanceSlot* next = nullptr;  // in the list of those to be served, or of those left alone

  // Of the activation that runs, or of the last one.
  std::uint32_t offered = 0;     // messages that it may still read
  std::uint32_t received = 0;    // messages that it read
  std::uint32_t handling = 0;    // send-once slot of the message it read last; 0: none, or it is answered
  std::uint32_t unanswered = 0;  // read and not answered; a hint: those past their deadline count until overwritten
  const std::byte* in_hand = nullptr;  // WorkerRequest that it read last in this activation; nullptr: none

  std::uint32_t hops = 0;        // functions passed by the message that this instance read last
  bool ready = false;            // in the list of those to be served
  bool left_alone = false;       // in the other
  bool handled = false;          // it handled a message since it was restarted last

  std::optional<wasm::Instance> instance;  // nothing: it is left alone or given up, or was alone and nobody has sent since
  std::uint64_t limit_ns = 0;    // CPU time per message
  std::uint64_t debt_ns = 0;     // CPU time that it used beyond its quantum, and has not sat out yet
  std::byte* buffer = nullptr;    // where the guest received last: only to be fetched ahead
  std::uint32_t incarnation = 0;  // of the instance; never the same twice on one worker
  std::uint64_t handles = 0;      // bit n: the process holds handle n, by a grant or because it came with a message

  std::uint32_t generation = 0;
  abi::ProcessLimits limits{};
  wasm::BoundModule code;

  /// Its second line, then (when that has come) what an activation touches first.
  void fetch_line() const noexcept { __builtin_prefetch(&instance); }
  void fetch_instance() const noexcept {
    if (instance) instance->fetch();
    __builtin_prefetch(buffer, 1);
  }

  Restarts restarts;
  std::uint64_t serve_again = 0;  // tick of the clock, while it is left alone

  bool gave_up = false;           // no instance and no service until somebody restarts it
  abi::Reason turned_away = abi::Reason::busy;  // what a message for which there is no room is told

  std::uint64_t given_back = 0;   // handles that it does not hold any more, and poll cores do not know yet
  bool gives_back = false;        // in the list of those that have such
  bool has_notices = false;       // in its mailbox there may be notices for this instance alone
  InstanceSlot* next_to_give_back = nullptr;

  Untold untold;
  bool event_waits = false;       // in the list of those with something untold
  InstanceSlot* next_event = nullptr;
};

}  // namespace pgrid::worker
