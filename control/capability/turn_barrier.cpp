#include "control/capability/turn_barrier.hpp"

namespace pgrid::control {
namespace {

constexpr std::chrono::microseconds kLook{500};  // a sleeping poll core turns at least every 100 us
constexpr std::chrono::seconds kLookFor{2};      // longer than any core is descheduled on a healthy machine

std::uint64_t turns_of(const Segments& segments, std::uint32_t core) {
  // Acquire: what the poll core did before it counted the turn has happened.
  return segments.poll_core(core).turns.load(std::memory_order_acquire);
}

}  // namespace

void TurnBarrier::wait(std::function<void(Passed)> done) {
  const Segments* segments = link_.segments();
  if (segments == nullptr) return done(Passed::at_restart);
  // The change must be visible before the turns are read: the poll core's next turn then sees it.
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Wait wait;
  wait.done = std::move(done);
  wait.attachment = link_.attachment();
  wait.end = std::chrono::steady_clock::now() + kLookFor;
  for (std::uint32_t core = 0; core < segments->geometry().poll_cores; ++core)
    wait.turns.push_back(turns_of(*segments, core));
  const std::uint64_t number = next_++;
  waits_.emplace(number, std::move(wait));
  look(number);
}

void TurnBarrier::look(std::uint64_t number) {
  const auto found = waits_.find(number);
  if (found == waits_.end()) return;
  Wait& wait = found->second;
  const auto finish = [&](Passed passed) {
    const auto done = std::move(wait.done);
    waits_.erase(found);
    done(passed);
  };
  const Segments* segments = link_.segments();
  if (segments == nullptr || link_.attachment() != wait.attachment) return finish(Passed::at_restart);
  bool all = true;
  for (std::uint32_t core = 0; core < wait.turns.size(); ++core)
    all = all && turns_of(*segments, core) - wait.turns[core] >= 2;
  if (all) return finish(Passed::now);
  if (std::chrono::steady_clock::now() >= wait.end) return finish(Passed::stuck);
  wait.timer = loop_.after(kLook, [this, number] { look(number); });
}

}  // namespace pgrid::control
