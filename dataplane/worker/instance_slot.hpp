// A process on this worker: its code, its limits, its mailbox, and the one instance that serves it at the moment.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "abi/shared/handover.hpp"
#include "dataplane/worker/mailbox.hpp"
#include "drivers/wasm/instance.hpp"
#include "drivers/wasm/module.hpp"

namespace pgrid::worker {

/// Made by the loader thread, then owned by the worker thread until it is unloaded.
struct InstanceSlot {
  std::uint32_t process = 0;
  std::uint32_t generation = 0;
  abi::ProcessLimits limits{};

  [[nodiscard]] std::uint64_t limit_ns() const noexcept { return std::uint64_t{limits.time_limit_us} * 1000; }

  wasm::BoundModule code;
  std::optional<wasm::Instance> instance;  // nothing: its last rebuild failed

  Mailbox mailbox;
  bool ready = false;            // in the list of those to be served
  InstanceSlot* next_ready = nullptr;

  // Of the activation that runs, or of the last one.
  std::uint32_t offered = 0;     // messages that it may still read
  std::uint32_t received = 0;    // messages that it read
  std::uint32_t handling = 0;    // send-once slot of the message it read last; 0: none, or it is answered
  std::uint32_t unanswered = 0;  // read and not answered; a hint: those past their deadline count until overwritten
};

}  // namespace pgrid::worker
