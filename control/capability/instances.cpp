#include "control/capability/instances.hpp"

#include <cstring>
#include <set>

#include "control/log/log.hpp"

namespace pgrid::control {

std::uint64_t Instances::life_of(std::uint32_t worker) const {
  const Segments* segments = link_.segments();
  if (segments == nullptr || worker >= segments->geometry().workers) return 0;
  std::uint64_t boot = 0;
  std::memcpy(&boot, segments->boot_id().data(), sizeof boot);
  // Equal or not is all that is asked of it; odd, so that every number of deaths gives another one.
  constexpr std::uint64_t kSpread = 0x9e37'79b9'7f4a'7c15;
  return boot + kSpread * segments->worker(worker).deaths.load(std::memory_order_relaxed);
}

Maker Instances::seen(const ProcessRecord& process, std::uint32_t instance) {
  const Maker who{process.index, process.generation, instance, life_of(process.worker)};
  const auto [known, is_new] = now_.try_emplace(process.index, who);
  if (!is_new && known->second == who) return who;
  known->second = who;
  end(process.index, who);
  return who;
}

void Instances::on_instance(const ProcessRecord& process, std::uint32_t instance) {
  if (instance != 0) {
    (void)seen(process, instance);
    return;
  }
  now_.erase(process.index);
  end(process.index, {});
}

void Instances::on_gave_up(const ProcessRecord& process, const std::string&) {
  if (on_gave_up_) on_gave_up_(process);
}

void Instances::on_attached() {
  now_.clear();
  std::set<std::uint32_t> processes;
  for (const std::uint32_t process : store_.state().makers()) processes.insert(process);
  for (const std::uint32_t process : store_.state().watchers()) processes.insert(process);
  for (const auto& [process, advert] : store_.state().adverts()) processes.insert(process);
  for (const std::uint32_t index : processes) {
    const ProcessRecord* process = store_.state().process(index);
    const std::uint64_t life = process == nullptr ? 0 : life_of(process->worker);
    const std::uint32_t generation = process == nullptr ? 0 : process->generation;
    end_where(index, [&](const Maker& who) { return who.generation != generation || who.life != life; });
  }
}

void Instances::end(std::uint32_t process, const Maker& but) {
  end_where(process, [&](const Maker& who) { return who != but; });
  if (on_ended_) on_ended_(process, but);
}

void Instances::end_where(std::uint32_t process, const IsGone& is_gone) {
  const State& state = store_.state();
  std::vector<Change> changes;
  if (const AdvertRecord* advert = state.advert(process); advert != nullptr && is_gone(advert->who))
    changes.emplace_back(DropAdvert{process});
  for (const WatchRecord& watch : state.watches_of(process))
    if (is_gone(watch.who)) changes.emplace_back(DropWatch{watch.right, process});
  const auto say = [process](const Error& error) {
    log_error("what an instance of process " + std::to_string(process) +
              " left stays until control starts again: " + error.sentence());
  };
  if (!changes.empty())
    store_.commit(std::move(changes), [say](const Result<void>& committed) {
      if (!committed) say(committed.error());
    });
  std::vector<RightRecord> made;
  for (RightRecord& right : state.made_by(process))
    if (is_gone(*right.maker)) made.push_back(std::move(right));
  if (made.empty()) return;
  rights_.revoke(
      made,
      [say](const Result<Passed>& passed) {
        if (!passed) say(passed.error());
      },
      Why::ended);
}

}  // namespace pgrid::control
