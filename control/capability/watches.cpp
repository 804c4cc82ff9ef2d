#include "control/capability/watches.hpp"

namespace pgrid::control {

void Watches::add(const Maker& who, const abi::RightRef& right, std::uint64_t number, OnDone done) {
  if (rights_.find(right) == nullptr) return done(fail(Errc::not_found, "notify", "the right is dead"));
  const State& state = store_.state();
  if (state.watch(right, who.process) == nullptr && state.nb_watches_of(who.process) >= kWatchesMax)
    return done(fail(Errc::out_of_resources, "notify",
                     "this process waits for " + std::to_string(kWatchesMax) + " rights already"));
  store_.commit(WatchRecord{right, who, number},
                [this, right, done = std::move(done)](const Result<void>& committed) {
                  done(committed);
                  // It died while this was being written: whoever died with it was told, but not this one.
                  if (committed && rights_.find(right) == nullptr) settle(right, Why::revoked);
                });
}

void Watches::on_gave_up(const ProcessRecord& process) {
  for (const RightRecord& right : store_.state().rights_of(process.index))
    settle({right.slot, right.generation}, Why::gave_up);
}

void Watches::on_attached() {
  for (const std::uint32_t process : store_.state().watchers())
    for (const WatchRecord& watch : store_.state().watches_of(process)) {
      const RightRecord* right = rights_.find(watch.right);
      if (right == nullptr) settle(watch.right, Why::revoked);
      if (right != nullptr && is_expired(*right)) settle(watch.right, Why::expired);
    }
}

void Watches::settle(const abi::RightRef& right, Why why) {
  std::vector<Change> told;
  for (const WatchRecord& watch : store_.state().watches_on(right))
    if (tell_(watch, why)) told.emplace_back(DropWatch{right, watch.who.process});
  // A crash before this is on disk tells it twice.
  if (!told.empty()) store_.commit(std::move(told), [](const Result<void>&) {});
}

}  // namespace pgrid::control
