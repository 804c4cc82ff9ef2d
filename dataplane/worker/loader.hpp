// The worker's side of the hand-over socket: loads and unloads what the data plane says, and tells how that went.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "abi/shared/handover.hpp"
#include "dataplane/handover_socket.hpp"
#include "dataplane/worker/gave_up_box.hpp"
#include "dataplane/worker/order.hpp"
#include "drivers/base/result.hpp"
#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/linker.hpp"

namespace pgrid::worker {

struct LoaderLimits {
  std::uint32_t processes = 0;      // of this worker
  std::uint64_t memory_max = 0;     // bytes, of one process
  std::uint64_t memory_total = 0;   // bytes, of all
};

/// Owned by the main thread, which is not the worker thread: mapping and deserialising make system calls.
class Loader {
 public:
  /// `wait` returns when the order is done; false: the worker thread is gone.
  using Wait = std::function<bool(const Order&)>;
  Loader(const wasm::Engine& engine, const wasm::Linker& linker, OrderBox& orders, GaveUpBox& gave_up_box,
         const LoaderLimits& limits, Wait wait)
      : engine_(engine), linker_(linker), orders_(orders), gave_up_box_(gave_up_box), limits_(limits), wait_(std::move(wait)) {}

  /// What the data plane is to be told, in this order.
  using States = std::vector<abi::ProcessState>;
  /// Carries out one message of the data plane. An error: the peer is not a data plane, or the worker thread is gone.
  [[nodiscard]] Result<States> carry_out(dataplane::Datagram& datagram);
  /// Processes that gave up since this was asked last.
  [[nodiscard]] States gave_up() { return gave_up_until(~std::uint64_t{0}); }

 private:
  [[nodiscard]] Result<abi::ProcessState> load(const abi::LoadProcess& message, UniqueFd code);
  [[nodiscard]] Result<abi::ProcessState> unload(const abi::UnloadProcess& message);
  [[nodiscard]] Result<void> set_handle(const abi::SetHandle& message);
  [[nodiscard]] Result<States> restart(const abi::RestartProcess& message);
  [[nodiscard]] States gave_up_until(std::uint64_t count);
  [[nodiscard]] Result<std::unique_ptr<InstanceSlot>> make_slot(const abi::LoadProcess& message, UniqueFd code) const;
  [[nodiscard]] Result<void> check(const abi::LoadProcess& message) const;

  const wasm::Engine& engine_;
  const wasm::Linker& linker_;
  OrderBox& orders_;
  GaveUpBox& gave_up_box_;
  const LoaderLimits limits_;
  const Wait wait_;
  std::map<std::uint32_t, std::uint64_t> memory_of_;  // by process: bytes that it may use
};

}  // namespace pgrid::worker
