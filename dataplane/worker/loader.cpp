#include "dataplane/worker/loader.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace pgrid::worker {
namespace {

constexpr std::uint32_t kMailboxMax = 4096;  // abi/shared/handover.hpp
constexpr std::uint32_t kGrantsMask = ((1u << abi::kGrantsMax) - 1) << abi::kFirstGrant;  // a bit for each handle

/// A sealed memory file, mapped for as long as it takes to read it.
class MappedCode {
 public:
  static Result<MappedCode> map(const UniqueFd& fd, std::uint64_t size) {
    const std::string operation = "map compiled code";
    const off_t end = ::lseek(fd.get(), 0, SEEK_END);  // not fstat: glibc makes newfstatat of it, which takes paths
    if (end < 0) return fail_errno(operation, errno);
    // Whoever could change the file while it is read could run anything here.
    constexpr int kNeeded = F_SEAL_WRITE | F_SEAL_SHRINK;
    const int seals = ::fcntl(fd.get(), F_GET_SEALS);
    if (seals < 0 || (seals & kNeeded) != kNeeded)
      return fail(Errc::protocol, operation, "it is not a memory file sealed against writing");
    if (size == 0 || static_cast<std::uint64_t>(end) != size)
      return fail(Errc::protocol, operation, std::to_string(end) + " bytes, announced " + std::to_string(size));
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
    if (data == MAP_FAILED) return fail_errno(operation, errno);
    return MappedCode(data, size);
  }
  MappedCode(MappedCode&& other) noexcept : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  MappedCode& operator=(MappedCode&&) = delete;
  ~MappedCode() {
    if (data_ != nullptr) ::munmap(data_, size_);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }

 private:
  MappedCode(void* data, std::size_t size) : data_(data), size_(size) {}
  void* data_;
  std::size_t size_;
};

template <typename T>
abi::ProcessState state_of(const T& message, abi::ProcessStatus status, const std::string& text = {}) {
  abi::ProcessState state{};
  state.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
  state.process = message.process;
  state.generation = message.generation;
  state.worker = message.worker;
  state.status = status;
  std::memcpy(state.text, text.data(), std::min(text.size(), sizeof state.text - 1));
  return state;
}

std::unexpected<Error> worker_is_gone() { return fail(Errc::unavailable, "load a process", "the worker thread has ended"); }

}  // namespace

Result<Loader::States> Loader::carry_out(dataplane::Datagram& datagram) {
  const auto one = [](const Result<abi::ProcessState>& state) -> Result<States> {
    if (!state) return std::unexpected(state.error());
    return States{*state};
  };
  if (const auto message = datagram.as<abi::LoadProcess>(abi::HandoverType::load_process))
    return one(load(*message, datagram.nb_fds == 1 ? std::move(datagram.fds[0]) : UniqueFd()));
  if (const auto message = datagram.as<abi::UnloadProcess>(abi::HandoverType::unload_process)) return one(unload(*message));
  if (const auto message = datagram.as<abi::RestartProcess>(abi::HandoverType::restart_process)) return restart(*message);
  if (const auto message = datagram.as<abi::SetHandle>(abi::HandoverType::set_handle)) {
    if (auto set = set_handle(*message); !set) return std::unexpected(set.error());
    return States{};
  }
  return fail(Errc::protocol, "read from the data plane", "a message that workers do not take",
              "data plane and worker must be of one build: install both");
}

Result<abi::ProcessState> Loader::load(const abi::LoadProcess& message, UniqueFd code) {
  auto slot = make_slot(message, std::move(code));
  if (!slot) return state_of(message, abi::ProcessStatus::failed, slot.error().sentence());
  Order order;
  order.what = Order::What::load;
  order.process = message.process;
  order.generation = message.generation;
  order.slot = std::move(*slot);
  orders_.put(order);
  if (!wait_(order)) return worker_is_gone();
  if (!order.ok) {
    memory_of_.erase(message.process);  // a process of that number which was here before is gone too
    return state_of(message, abi::ProcessStatus::failed, "its first instance stopped: " + order.text);
  }
  memory_of_[message.process] = message.limits.memory_bytes;
  return state_of(message, abi::ProcessStatus::loaded);
}

Result<abi::ProcessState> Loader::unload(const abi::UnloadProcess& message) {
  Order order;
  order.what = Order::What::unload;
  order.process = message.process;
  order.generation = message.generation;
  orders_.put(order);
  if (!wait_(order)) return worker_is_gone();
  if (order.slot != nullptr) memory_of_.erase(message.process);
  return state_of(message, abi::ProcessStatus::unloaded);
}

Result<void> Loader::set_handle(const abi::SetHandle& message) {
  if (!abi::is_grant(message.handle)) return {};  // nothing that a process could hold
  Order order;
  order.what = Order::What::set_handle;
  order.process = message.process;
  order.generation = message.generation;
  order.handle = message.handle;
  order.held = message.held != 0;
  orders_.put(order);
  if (!wait_(order)) return worker_is_gone();
  return {};
}

Result<Loader::States> Loader::restart(const abi::RestartProcess& message) {
  Order order;
  order.what = Order::What::restart;
  order.process = message.process;
  order.generation = message.generation;
  orders_.put(order);
  if (!wait_(order)) return worker_is_gone();
  // What gave up before is told before, lest it look as if it had given up again.
  States states = gave_up_until(order.gave_up_before);
  states.push_back(order.ok ? state_of(message, abi::ProcessStatus::loaded)
                            : state_of(message, abi::ProcessStatus::failed, "it is not loaded on this worker"));
  return states;
}

Loader::States Loader::gave_up_until(std::uint64_t count) {
  States states;
  GaveUp one;
  while (gave_up_box_.take(one, count)) {
    abi::UnloadProcess about{};
    about.process = one.process;
    about.generation = one.generation;
    states.push_back(state_of(about, abi::ProcessStatus::gave_up, one.why));
  }
  return states;
}

Result<void> Loader::check(const abi::LoadProcess& message) const {
  const auto refuse = [](std::string cause, std::string remedy) {
    return fail(Errc::invalid_argument, "load the process", std::move(cause), std::move(remedy));
  };
  const abi::ProcessLimits& limits = message.limits;
  if (limits.memory_bytes == 0 || limits.memory_bytes % wasm::kPageBytes != 0 || limits.memory_bytes > limits_.memory_max)
    return refuse("a memory limit of " + std::to_string(limits.memory_bytes) + " bytes",
                  "a multiple of 64 KiB, at most limits.memory_max of node.toml");
  if (limits.time_limit_us == 0 || limits.mailbox == 0 || limits.mailbox > kMailboxMax)
    return refuse("its time limit or mailbox is out of bounds", "");
  if (limits.strategy > abi::RestartStrategy::never || limits.backoff_min_ms > limits.backoff_max_ms)
    return refuse("its restart strategy or back-off makes no sense", "");
  std::uint64_t total = limits.memory_bytes;
  std::uint32_t others = 0;
  for (const auto& [process, bytes] : memory_of_) {
    if (process == message.process) continue;
    total += bytes;
    ++others;
  }
  if (others >= limits_.processes)
    return refuse("the worker has its " + std::to_string(limits_.processes) + " processes",
                  "remove one, or raise limits.processes_per_worker");
  if (total > limits_.memory_total)
    return refuse("the worker's processes would use " + std::to_string(total >> 20) + " MiB",
                  "remove one, deploy with less --memory, or raise limits.memory_total");
  return {};
}

Result<std::unique_ptr<InstanceSlot>> Loader::make_slot(const abi::LoadProcess& message, UniqueFd code) const {
  if (auto fine = check(message); !fine) return std::unexpected(fine.error());
  auto mapped = MappedCode::map(code, message.code_size);
  if (!mapped) return std::unexpected(mapped.error());
  auto module = wasm::Module::deserialize(engine_, mapped->bytes());
  if (!module) return std::unexpected(module.error());
  auto bound = linker_.bind(*module);
  if (!bound) return std::unexpected(bound.error());
  auto slot = std::make_unique<InstanceSlot>();
  slot->process = message.process;
  slot->generation = message.generation;
  slot->limits = message.limits;
  slot->handles = message.handles & kGrantsMask;
  slot->gave_up = message.gave_up != 0;
  slot->code = std::move(*bound);
  return slot;
}

}  // namespace pgrid::worker
