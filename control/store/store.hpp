// The durable state of a node: the State in memory and the log that makes it again. Whoever changes something
// commits here first and publishes when it is told that the change is on disk.
#pragma once

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/event_loop.hpp"
#include "control/history/event.hpp"
#include "control/ledger/disk.hpp"
#include "control/ledger/ledger.hpp"
#include "control/store/files.hpp"
#include "control/store/state.hpp"

namespace pgrid::control {

class Clerk;

/// Owned by control's one thread. Holds the state directory's lock, so that two controls cannot own one
/// directory.
class Store : private LedgerListener {
 public:
  using Done = std::function<void(Result<void>)>;

  /// `directory` is made if need be (0700). `loop` outlives the store. `disk`: another one than the real one,
  /// for tests.
  [[nodiscard]] static Result<std::unique_ptr<Store>> open(EventLoop& loop,
                                                           const std::filesystem::path& directory,
                                                           std::unique_ptr<LogDisk> disk = nullptr);
  ~Store();

  [[nodiscard]] const State& state() const { return state_; }

  /// All changes or none. They are in `state()` when this returns, so that what comes next builds on them,
  /// but nobody may be told of them yet. `done` is called from the event loop, never from in here, and in the
  /// order of the commits: when they are on disk, or with an error, after these and all later changes were
  /// taken back. What is not done when the store is destroyed is never called, and may or may not be on disk.
  void commit(std::vector<Change> changes, Done done);
  void commit(Change change, Done done);

  /// Begins to keep views of the log and to make snapshots, on a thread of its own (history/clerk.hpp). `say`
  /// gets sentences for people.
  void follow(std::function<void(const std::string&)> say);
  /// What happened, from the log: all that is durable by now. Called from the loop, never from in here.
  /// unavailable: nobody follows.
  void events(EventQuery query, std::function<void(Result<std::vector<Event>>)> done);

  [[nodiscard]] const LogPoint& durable() const { return ledger_->durable(); }

  /// What a person should hear about the opening: a torn end that was cut off, a snapshot that was damaged.
  [[nodiscard]] const std::vector<std::string>& remarks() const { return remarks_; }
  [[nodiscard]] std::uint64_t torn_bytes() const { return torn_bytes_; }
  [[nodiscard]] std::uint64_t flushes() const { return ledger_->flushes(); }
  /// How many records were read again at the opening.
  [[nodiscard]] std::uint64_t replayed() const { return replayed_; }

 private:
  struct Waiting {
    std::uint64_t sequence = 0;  // that must be durable
    std::size_t nb_befores = 0;
    Done done;
    std::optional<Error> error;  // refused before it was written
  };
  Store(EventLoop& loop, std::filesystem::path directory);
  [[nodiscard]] Result<void> recover();
  void on_durable(const LogPoint& point) override;
  void on_failed(const Error& error) override;
  void call_done();

  EventLoop& loop_;
  std::filesystem::path directory_;
  UniqueFd lock_;
  State state_;
  std::vector<std::string> remarks_;
  std::uint64_t torn_bytes_ = 0;
  std::uint64_t replayed_ = 0;
  std::deque<Before> befores_;  // of all that is not durable
  std::deque<Waiting> waiting_;
  Pending call_;  // for those who wait for nothing that is under way
  std::unique_ptr<LogDisk> disk_;
  std::unique_ptr<Ledger> ledger_;
  std::unique_ptr<Clerk> clerk_;
};

}  // namespace pgrid::control
