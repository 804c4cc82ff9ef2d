// The durable state of a node: the State in memory and the journal that makes it again. Whoever changes
// something commits here first and publishes afterwards.
#pragma once

#include <filesystem>
#include <memory>
#include <span>

#include "control/store/journal.hpp"
#include "control/store/state.hpp"

namespace pgrid::control {

/// Owned by control's one thread. Holds the state directory's lock, so that two controls cannot own one
/// directory.
class Store {
 public:
  /// `directory` is made if need be (0700).
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(const std::filesystem::path& directory);

  [[nodiscard]] const State& state() const { return state_; }

  /// All changes or none. On disk when it returns; on failure the state is as before.
  [[nodiscard]] Result<void> commit(std::span<const Change> changes);

  /// Writes the journal again without its history.
  [[nodiscard]] Result<void> compact();

  [[nodiscard]] std::uint64_t journal_bytes() const { return journal_.size(); }
  [[nodiscard]] std::uint64_t torn_bytes() const { return journal_.torn_bytes(); }

 private:
  Store(UniqueFd lock, Journal journal, State state)
      : lock_(std::move(lock)), journal_(std::move(journal)), state_(std::move(state)), compacted_size_(0) {}
  [[nodiscard]] bool is_worth_compacting() const;

  UniqueFd lock_;
  Journal journal_;
  State state_;
  std::uint64_t compacted_size_;  // bytes after the last compaction
};

}  // namespace pgrid::control
