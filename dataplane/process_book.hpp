// What control has loaded: kept here, with the code, so that a worker that restarts gets its
// processes back while control is away, a control that comes back does not load anything twice, and what gave up
// stays so until control says otherwise (LoadProcess::gave_up, kept up to date here).
// Owned by the helper thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <map>
#include <string>

#include "abi/shared/handover.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::dataplane {

enum class LoadStatus : std::uint8_t { waiting, loading, loaded, failed, unloading, gave_up };

struct KeptProcess {
  abi::LoadProcess load{};
  UniqueFd code;
  LoadStatus status = LoadStatus::waiting;  // waiting: for its worker to come
  std::string text;                         // of failed, and why it gave up
  std::uint32_t restarts_asked = 0;         // RestartProcess that the worker has not answered

  [[nodiscard]] bool is_same_as(const abi::LoadProcess& other) const {
    return load.process == other.process && load.generation == other.generation &&
           load.worker == other.worker &&
           std::memcmp(load.code_hash, other.code_hash, sizeof load.code_hash) == 0;
  }
};

class ProcessBook {
 public:
  [[nodiscard]] KeptProcess* find(std::uint32_t process) {
    const auto found = processes_.find(process);
    return found == processes_.end() ? nullptr : &found->second;
  }
  KeptProcess& keep(const abi::LoadProcess& load, UniqueFd code) {
    KeptProcess& kept = processes_[load.process];
    kept.load = load;
    kept.code = std::move(code);
    kept.status = LoadStatus::waiting;
    kept.text.clear();
    kept.restarts_asked = 0;
    return kept;
  }
  void forget(std::uint32_t process) { processes_.erase(process); }

  /// Processes of a worker in that state.
  [[nodiscard]] std::uint32_t count(std::uint32_t worker, LoadStatus status) const {
    std::uint32_t n = 0;
    for (const auto& [index, kept] : processes_) n += kept.load.worker == worker && kept.status == status;
    return n;
  }
  [[nodiscard]] std::uint32_t count(std::uint32_t worker) const {
    std::uint32_t n = 0;
    for (const auto& [index, kept] : processes_) n += kept.load.worker == worker;
    return n;
  }
  /// Calls `visit(KeptProcess&)` for each process of a worker, in order of their index.
  template <typename Visit>
  void for_each(std::uint32_t worker, Visit visit) {
    for (auto& [index, kept] : processes_)
      if (kept.load.worker == worker) visit(kept);
  }

 private:
  std::map<std::uint32_t, KeptProcess> processes_;
};

}  // namespace pgrid::dataplane
