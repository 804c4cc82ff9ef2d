#include "control/store/store.hpp"

#include "control/history/clerk.hpp"
#include "control/store/fold.hpp"
#include "control/store/log_changes.hpp"
#include "control/store/migrate.hpp"

namespace pgrid::control {

Store::Store(EventLoop& loop, std::filesystem::path directory)
    : loop_(loop), directory_(std::move(directory)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(EventLoop& loop, const std::filesystem::path& directory,
                                           std::unique_ptr<LogDisk> disk) {
  if (Result<void> made = make_private_directory(directory); !made) return std::unexpected(made.error());
  std::unique_ptr<Store> store(new Store(loop, directory));
  Result<UniqueFd> lock = lock_file(directory / "lock");
  if (!lock) return std::unexpected(lock.error());
  store->lock_ = std::move(*lock);
  if (!disk) {
    Result<std::unique_ptr<LogDisk>> made = make_uring_disk(loop);
    if (!made) return std::unexpected(made.error());
    disk = std::move(*made);
  }
  store->disk_ = std::move(disk);
  if (Result<void> recovered = store->recover(); !recovered) return std::unexpected(recovered.error());
  return store;
}

Result<void> Store::recover() {
  const std::filesystem::path log = log_directory(directory_);
  Result<std::string> migrated = migrate_journal(directory_);
  if (!migrated) return std::unexpected(migrated.error());
  if (!migrated->empty()) remarks_.push_back(std::move(*migrated));
  if (Result<void> made = make_private_directory(log); !made) return made;
  Result<Folded> folded = fold_log(log, remarks_);
  if (!folded) return std::unexpected(folded.error());
  state_ = std::move(folded->state);
  replayed_ = folded->replayed;
  torn_bytes_ = folded->end.torn_bytes;
  if (torn_bytes_ != 0)
    remarks_.push_back("cut " + std::to_string(torn_bytes_) + " bytes off the log behind record " +
                       std::to_string(folded->end.point.sequence) +
                       ": the end of a write that was never acknowledged");
  Result<std::unique_ptr<Ledger>> ledger = Ledger::open(loop_, *disk_, log, folded->end, *this);
  if (!ledger) return std::unexpected(ledger.error());
  ledger_ = std::move(*ledger);
  return {};
}

void Store::commit(Change change, Done done) {
  std::vector<Change> changes;
  changes.push_back(std::move(change));
  commit(std::move(changes), std::move(done));
}

void Store::commit(std::vector<Change> changes, Done done) {
  Waiting waiting{.sequence = ledger_->sequence(), .nb_befores = 0, .done = std::move(done), .error = {}};
  if (!changes.empty()) {
    const Bytes payload = encode_changes(changes);
    if (payload.size() > kPayloadMax) {
      waiting.error = Error{Errc::out_of_resources, "write the log",
                            std::to_string(payload.size()) + " bytes in one change", "change less at once"};
    } else {
      for (const Change& change : changes) {
        befores_.push_back(state_.before(change));
        state_.apply(change);
      }
      waiting.nb_befores = changes.size();
      waiting.sequence = ledger_->append(payload);
    }
  }
  waiting_.push_back(std::move(waiting));
  if (waiting_.back().sequence == ledger_->durable().sequence && !call_)
    call_ = loop_.after(std::chrono::microseconds(0), [this] {
      call_.reset();
      call_done();
    });
}

void Store::call_done() {
  while (!waiting_.empty() && waiting_.front().sequence <= ledger_->durable().sequence) {
    const Waiting waiting = std::move(waiting_.front());
    waiting_.pop_front();
    befores_.erase(befores_.begin(), befores_.begin() + static_cast<std::ptrdiff_t>(waiting.nb_befores));
    waiting.done(waiting.error ? Result<void>(std::unexpected(*waiting.error)) : Result<void>());
  }
}

void Store::on_durable(const LogPoint& point) {
  call_done();
  if (clerk_) clerk_->on_progress(point);
}

void Store::follow(std::function<void(const std::string&)> say) {
  Result<std::unique_ptr<Clerk>> clerk = Clerk::start(loop_, directory_, durable().sequence, replayed_, say);
  if (clerk)
    clerk_ = std::move(*clerk);
  else
    say("no views of the log: " + clerk.error().sentence());
}

void Store::events(EventQuery query, std::function<void(Result<std::vector<Event>>)> done) {
  if (clerk_) return clerk_->events(std::move(query), std::move(done));
  // Nobody knows: said as late as everything else.
  commit(std::vector<Change>(), [done = std::move(done)](const Result<void>&) {
    done(fail(Errc::unavailable, "read the history of the node", "nobody keeps it now", "see control's log"));
  });
}

void Store::on_failed(const Error& error) {
  for (; !befores_.empty(); befores_.pop_back()) state_.take_back(befores_.back());
  // Those who are told commit again.
  for (std::deque<Waiting> waiting = std::exchange(waiting_, {}); const Waiting& one : waiting)
    one.done(std::unexpected(one.error.value_or(error)));
}

}  // namespace pgrid::control
