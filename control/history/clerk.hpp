// Whoever reads the log while it is written: a thread that keeps the views up with it, answers questions
// about events, and makes snapshots. Control's loop gives it numbers and takes answers, and never waits for
// it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/event_loop.hpp"
#include "control/history/event.hpp"
#include "control/ledger/record.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

/// A snapshot for every so many records: reading as many takes a third of a second.
inline constexpr std::uint64_t kSnapshotEvery = 200'000;

/// Made, asked and destroyed by control's one thread.
class Clerk {
 public:
  using OnEvents = std::function<void(Result<std::vector<Event>>)>;

  /// `durable`: the last record that is on disk. `replayed`: how many were read since the last snapshot.
  /// `say` is called from the loop with sentences for the log: what had to be made again, what failed.
  [[nodiscard]] static Result<std::unique_ptr<Clerk>> start(EventLoop& loop,
                                                            std::filesystem::path state_directory,
                                                            std::uint64_t durable, std::uint64_t replayed,
                                                            std::function<void(const std::string&)> say);
  ~Clerk();

  /// There is more to read.
  void on_progress(const LogPoint& durable);

  /// Events, with everything that is durable by now; called from the loop, never from in here. busy: the
  /// views are being made again and are not that far.
  void events(EventQuery query, OnEvents done);

 private:
  struct Shared;
  Clerk(EventLoop& loop, std::shared_ptr<Shared> shared);
  void take_answers();

  std::shared_ptr<Shared> shared_;
  Pending readable_;
};

}  // namespace pgrid::control
