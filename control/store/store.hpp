// The durable state of a node: the State in memory and the journal that makes it again. Whoever changes
// something commits here first and publishes when it is told that the change is on disk.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "control/event_loop.hpp"
#include "control/store/journal.hpp"
#include "control/store/state.hpp"

namespace pgrid::control {

/// Owned by control's one thread. Holds the state directory's lock, so that two controls cannot own one
/// directory.
class Store {
 public:
  using Done = std::function<void(Result<void>)>;

  /// `directory` is made if need be (0700). `loop` outlives the store.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(EventLoop& loop,
                                                           const std::filesystem::path& directory);

  [[nodiscard]] const State& state() const { return state_; }

  /// All changes or none. They are in `state()` when this returns, so that what comes next builds on them, but
  /// nobody may be told of them yet. `done` is called from the event loop, never from in here, and in the order of
  /// the commits: when they are on disk, or with an error, after these and all later changes were taken back.
  /// What is not done when the store is destroyed is never called, and may or may not be on disk.
  void commit(std::vector<Change> changes, Done done);
  void commit(Change change, Done done);

  /// Writes the journal again without its history. REQUIRES: no commit is under way.
  [[nodiscard]] Result<void> compact();

  [[nodiscard]] std::uint64_t journal_bytes() const { return journal_.size(); }
  [[nodiscard]] std::uint64_t torn_bytes() const { return journal_.torn_bytes(); }

 private:
  Store(EventLoop& loop, UniqueFd lock, Journal journal, State state)
      : loop_(loop),
        lock_(std::move(lock)),
        journal_(std::move(journal)),
        state_(std::move(state)),
        compacted_size_(0) {}
  [[nodiscard]] bool is_worth_compacting() const;
  void flush();
  [[nodiscard]] Result<void> write();

  EventLoop& loop_;
  UniqueFd lock_;
  Journal journal_;
  State state_;
  std::uint64_t compacted_size_;  // bytes after the last compaction
  // What came since the last flush: one record of the journal.
  std::vector<Change> changes_;
  std::vector<Before> befores_;
  std::vector<Done> waiting_;
  Pending flush_;
};

}  // namespace pgrid::control
