// The worker's side of the hand-over socket: loads and unloads what the data plane says, and tells how that went.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "abi/shared/handover.hpp"
#include "dataplane/handover_socket.hpp"
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
  Loader(const wasm::Engine& engine, const wasm::Linker& linker, OrderBox& orders, const LoaderLimits& limits, Wait wait)
      : engine_(engine), linker_(linker), orders_(orders), limits_(limits), wait_(std::move(wait)) {}

  /// Carries out one message of the data plane and gives the answer to it, if it wants one. An error: the peer is not a data plane, or the
  /// worker thread is gone.
  [[nodiscard]] Result<std::optional<abi::ProcessState>> carry_out(dataplane::Datagram& datagram);

 private:
  [[nodiscard]] Result<abi::ProcessState> load(const abi::LoadProcess& message, UniqueFd code);
  [[nodiscard]] Result<abi::ProcessState> unload(const abi::UnloadProcess& message);
  [[nodiscard]] Result<void> set_handle(const abi::SetHandle& message);
  [[nodiscard]] Result<std::unique_ptr<InstanceSlot>> make_slot(const abi::LoadProcess& message, UniqueFd code) const;
  [[nodiscard]] Result<void> check(const abi::LoadProcess& message) const;

  const wasm::Engine& engine_;
  const wasm::Linker& linker_;
  OrderBox& orders_;
  const LoaderLimits limits_;
  const Wait wait_;
  std::map<std::uint32_t, std::uint64_t> memory_of_;  // by process: bytes that it may use
};

}  // namespace pgrid::worker
