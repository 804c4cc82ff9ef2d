#include "control/store/state.hpp"

#include <algorithm>

namespace pgrid::control {
namespace {

template <typename... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <typename... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// Kinds of tokens in DropToken.
constexpr std::uint32_t kIssued = 0;
constexpr std::uint32_t kRevoked = 1;
constexpr std::uint32_t kSpent = 2;

constexpr std::uint32_t kGenerationsEnd = 0xffff'ffff;  // reached: the number is never used again

std::uint32_t next_of(std::uint32_t generation) { return generation; }
std::uint32_t next_of(const FreeSlot& slot) { return slot.next_generation; }

/// The first free ones among `first` to `end` - 1, at most `count`. What was never used comes first, so that
/// an old generation is met again as late as possible.
template <typename T, typename F>
std::vector<Place> free_places(const std::map<std::uint32_t, T>& used, const std::map<std::uint32_t, F>& free,
                               std::uint32_t first, std::uint32_t end, std::uint32_t count) {
  std::vector<Place> places;
  std::uint32_t fresh = first;
  if (!used.empty()) fresh = std::max(fresh, used.rbegin()->first + 1);
  if (!free.empty()) fresh = std::max(fresh, free.rbegin()->first + 1);
  for (; fresh < end && places.size() < count; ++fresh) places.push_back({fresh, 1});
  for (const auto& [number, one] : free) {
    if (places.size() == count) break;
    if (number >= first && number < end && next_of(one) != kGenerationsEnd)
      places.push_back({number, next_of(one)});
  }
  return places;
}

}  // namespace

void State::apply(const Change& change) {
  std::visit(Overloaded{
                 [&](const ProcessRecord& process) {
                   free_indices_.erase(process.index);
                   processes_[process.index] = process;
                 },
                 [&](const RightRecord& right) {
                   drop_right(right.slot);
                   free_slots_.erase(right.slot);
                   put_right(right);
                 },
                 [&](const DropProcess& drop) {
                   const auto found = processes_.find(drop.index);
                   if (found == processes_.end()) return;
                   free_indices_[drop.index] = found->second.generation + 1;
                   processes_.erase(found);
                 },
                 [&](const DropRight& drop) {
                   const auto found = rights_.find(drop.slot);
                   if (found == rights_.end()) return;
                   free_slots_[drop.slot] = {drop.slot, found->second.generation + 1, found->second.key};
                   drop_right(drop.slot);
                 },
                 [&](const FreeSlot& free) { free_slots_[free.slot] = free; },
                 [&](const FreeIndex& free) { free_indices_[free.index] = free.next_generation; },
                 [&](const Happened&) {},
                 [&](const IssuedToken& token) { issued_[token.cid] = token; },
                 [&](const RevokedToken& token) { revoked_[token.digest] = token; },
                 [&](const SpentInvocation& token) { spent_[token.cid] = token; },
                 [&](const DropToken& key) { drop_token(key); },
                 [&](const AdvertRecord& advert) { adverts_[advert.who.process] = advert; },
                 [&](const DropAdvert& drop) { adverts_.erase(drop.process); },
                 [&](const WatchRecord& watch) { put_watch(watch); },
                 [&](const DropWatch& drop) { drop_watch(drop); },
             },
             change);
}

Before State::before(const Change& change) const {
  const auto of_slot = [this](std::uint32_t slot) -> Before {
    SlotBefore before{.slot = slot, .right = {}, .free = {}};
    if (const auto right = rights_.find(slot); right != rights_.end()) before.right = right->second;
    if (const auto free = free_slots_.find(slot); free != free_slots_.end()) before.free = free->second;
    return before;
  };
  const auto of_index = [this](std::uint32_t index) -> Before {
    IndexBefore before{.index = index, .process = {}, .next_generation = {}};
    if (const auto one = processes_.find(index); one != processes_.end()) before.process = one->second;
    if (const auto free = free_indices_.find(index); free != free_indices_.end())
      before.next_generation = free->second;
    return before;
  };
  const auto of_advert = [this](std::uint32_t process) -> Before {
    const AdvertRecord* found = advert(process);
    return AdvertBefore{process, found == nullptr ? std::nullopt : std::optional(*found)};
  };
  const auto of_watch = [this](const DropWatch& key) -> Before {
    const WatchRecord* found = watch(key.right, key.process);
    return WatchBefore{key, found == nullptr ? std::nullopt : std::optional(*found)};
  };
  const auto of_token = [this](const DropToken& key) -> Before {
    TokenBefore before{.key = key, .token = {}};
    const auto take = [&](const auto& tokens) {
      if (const auto token = tokens.find(key.digest); token != tokens.end()) before.token = token->second;
    };
    if (key.kind == kIssued) take(issued_);
    if (key.kind == kRevoked) take(revoked_);
    if (key.kind == kSpent) take(spent_);
    return before;
  };
  return std::visit(Overloaded{
                        [&](const ProcessRecord& process) { return of_index(process.index); },
                        [&](const DropProcess& drop) { return of_index(drop.index); },
                        [&](const FreeIndex& free) { return of_index(free.index); },
                        [&](const RightRecord& right) { return of_slot(right.slot); },
                        [&](const DropRight& drop) { return of_slot(drop.slot); },
                        [&](const FreeSlot& free) { return of_slot(free.slot); },
                        [&](const Happened&) -> Before { return std::monostate{}; },
                        [&](const IssuedToken& token) { return of_token({kIssued, token.cid}); },
                        [&](const RevokedToken& token) { return of_token({kRevoked, token.digest}); },
                        [&](const SpentInvocation& token) { return of_token({kSpent, token.cid}); },
                        [&](const DropToken& key) { return of_token(key); },
                        [&](const AdvertRecord& advert) { return of_advert(advert.who.process); },
                        [&](const DropAdvert& drop) { return of_advert(drop.process); },
                        [&](const WatchRecord& watch) { return of_watch({watch.right, watch.who.process}); },
                        [&](const DropWatch& drop) { return of_watch(drop); },
                    },
                    change);
}

void State::take_back(const Before& before) {
  if (const auto* slot = std::get_if<SlotBefore>(&before)) {
    drop_right(slot->slot);
    free_slots_.erase(slot->slot);
    if (slot->right) put_right(*slot->right);
    if (slot->free) free_slots_[slot->slot] = *slot->free;
  } else if (const auto* index = std::get_if<IndexBefore>(&before)) {
    processes_.erase(index->index);
    free_indices_.erase(index->index);
    if (index->process) processes_[index->index] = *index->process;
    if (index->next_generation) free_indices_[index->index] = *index->next_generation;
  } else if (const auto* advert = std::get_if<AdvertBefore>(&before)) {
    adverts_.erase(advert->process);
    if (advert->advert) adverts_[advert->process] = *advert->advert;
  } else if (const auto* watch = std::get_if<WatchBefore>(&before)) {
    drop_watch(watch->key);
    if (watch->watch) put_watch(*watch->watch);
  } else if (const auto* token = std::get_if<TokenBefore>(&before)) {
    drop_token(token->key);
    std::visit(Overloaded{[](std::monostate) {}, [this](const auto& was) { apply(was); }}, token->token);
  }
}

void State::put_watch(const WatchRecord& watch) {
  const RightKey key{watch.right.slot, watch.right.generation};
  watches_[key][watch.who.process] = watch;
  watching_[watch.who.process].insert(key);
}

void State::drop_watch(const DropWatch& drop) {
  const RightKey key{drop.right.slot, drop.right.generation};
  if (const auto right = watches_.find(key); right != watches_.end()) {
    right->second.erase(drop.process);
    if (right->second.empty()) watches_.erase(right);
  }
  if (const auto process = watching_.find(drop.process); process != watching_.end()) {
    process->second.erase(key);
    if (process->second.empty()) watching_.erase(process);
  }
}

void State::drop_token(const DropToken& key) {
  if (key.kind == kIssued) issued_.erase(key.digest);
  if (key.kind == kRevoked) revoked_.erase(key.digest);
  if (key.kind == kSpent) spent_.erase(key.digest);
}

void State::put_right(const RightRecord& right) {
  rights_[right.slot] = right;
  leading_to_[right.process].insert(right.slot);
  if (right.internal) internal_[right.process] = right.slot;
  if (right.holding) held_[right.holding->process][right.holding->handle] = right.slot;
  if (right.parent) children_[right.parent->slot].insert(right.slot);
  if (right.maker) made_[right.maker->process].insert(right.slot);
  if (!right.name.empty()) named_[right.name] = right.slot;
}

void State::drop_right(std::uint32_t slot) {
  const auto found = rights_.find(slot);
  if (found == rights_.end()) return;
  if (const std::optional<Holding>& holding = found->second.holding) {
    const auto holder = held_.find(holding->process);
    // Only a journal that is not ours gives one handle to two rights; the later one then has it.
    if (holder != held_.end()) {
      const auto handle = holder->second.find(holding->handle);
      if (handle != holder->second.end() && handle->second == slot) holder->second.erase(handle);
      if (holder->second.empty()) held_.erase(holder);
    }
  }
  const auto leave = [slot](auto& sets, std::uint32_t key) {
    const auto set = sets.find(key);
    if (set == sets.end()) return;
    set->second.erase(slot);
    if (set->second.empty()) sets.erase(set);
  };
  leave(leading_to_, found->second.process);
  if (const auto own = internal_.find(found->second.process); own != internal_.end() && own->second == slot)
    internal_.erase(own);
  if (found->second.parent) leave(children_, found->second.parent->slot);
  if (found->second.maker) leave(made_, found->second.maker->process);
  if (const auto name = named_.find(found->second.name); name != named_.end() && name->second == slot)
    named_.erase(name);
  rights_.erase(found);
}

const ProcessRecord* State::process(std::uint32_t index) const {
  const auto found = processes_.find(index);
  return found == processes_.end() ? nullptr : &found->second;
}

const ProcessRecord* State::process(std::string_view name) const {
  for (const auto& [index, process] : processes_)
    if (process.name == name) return &process;
  return nullptr;
}

const RightRecord* State::right(std::uint32_t slot) const {
  const auto found = rights_.find(slot);
  return found == rights_.end() ? nullptr : &found->second;
}

std::vector<RightRecord> State::rights_of(std::uint32_t process) const {
  std::vector<RightRecord> found;
  const auto slots = leading_to_.find(process);
  if (slots == leading_to_.end()) return found;
  for (const std::uint32_t slot : slots->second) found.push_back(rights_.at(slot));
  return found;
}

const RightRecord* State::internal_right_of(std::uint32_t process) const {
  const auto own = internal_.find(process);
  return own == internal_.end() ? nullptr : &rights_.at(own->second);
}

std::vector<RightRecord> State::held_by(std::uint32_t process) const {
  std::vector<RightRecord> found;
  const auto holder = held_.find(process);
  if (holder == held_.end()) return found;
  for (const auto& [handle, slot] : holder->second) found.push_back(rights_.at(slot));
  return found;
}

std::vector<RightRecord> State::tree_of(std::uint32_t slot) const {
  std::vector<RightRecord> tree;
  const auto take = [&](std::uint32_t one, const std::optional<abi::RightRef>& parent) {
    const auto found = rights_.find(one);
    if (found == rights_.end() || found->second.parent != parent) return;  // the slot has another use by now
    tree.push_back(found->second);
  };
  if (const auto root = rights_.find(slot); root != rights_.end()) tree.push_back(root->second);
  // Nothing is its own ancestor, for a parent is older; only a log that is not ours could say so: hence the
  // bound.
  for (std::size_t at = 0; at < tree.size() && tree.size() <= rights_.size(); ++at) {
    const auto children = children_.find(tree[at].slot);
    if (children == children_.end()) continue;
    const abi::RightRef parent{tree[at].slot, tree[at].generation};
    for (const std::uint32_t child : children->second) take(child, parent);
  }
  return tree;
}

std::vector<RightRecord> State::made_by(std::uint32_t process) const {
  std::vector<RightRecord> found;
  const auto made = made_.find(process);
  if (made == made_.end()) return found;
  for (const std::uint32_t slot : made->second) found.push_back(rights_.at(slot));
  return found;
}

const RightRecord* State::right_named(std::string_view name) const {
  const auto found = named_.find(name);
  return found == named_.end() ? nullptr : right(found->second);
}

const AdvertRecord* State::advert(std::uint32_t process) const {
  const auto found = adverts_.find(process);
  return found == adverts_.end() ? nullptr : &found->second;
}

std::vector<WatchRecord> State::watches_on(const abi::RightRef& right) const {
  std::vector<WatchRecord> found;
  const auto watches = watches_.find({right.slot, right.generation});
  if (watches == watches_.end()) return found;
  for (const auto& [process, watch] : watches->second) found.push_back(watch);
  return found;
}

std::vector<WatchRecord> State::watches_of(std::uint32_t process) const {
  std::vector<WatchRecord> found;
  const auto rights = watching_.find(process);
  if (rights == watching_.end()) return found;
  for (const RightKey& key : rights->second) found.push_back(watches_.at(key).at(process));
  return found;
}

const WatchRecord* State::watch(const abi::RightRef& right, std::uint32_t process) const {
  const auto watches = watches_.find({right.slot, right.generation});
  if (watches == watches_.end()) return nullptr;
  const auto found = watches->second.find(process);
  return found == watches->second.end() ? nullptr : &found->second;
}

std::size_t State::nb_watches_of(std::uint32_t process) const {
  const auto found = watching_.find(process);
  return found == watching_.end() ? 0 : found->second.size();
}

std::size_t State::nb_made_by(std::uint32_t process) const {
  const auto found = made_.find(process);
  return found == made_.end() ? 0 : found->second.size();
}

std::vector<std::uint32_t> State::watchers() const {
  std::vector<std::uint32_t> processes;
  for (const auto& [process, rights] : watching_) processes.push_back(process);
  return processes;
}

std::vector<std::uint32_t> State::makers() const {
  std::vector<std::uint32_t> processes;
  for (const auto& [process, slots] : made_) processes.push_back(process);
  return processes;
}

const FreeSlot* State::freed(std::uint32_t slot) const {
  const auto found = free_slots_.find(slot);
  return found == free_slots_.end() ? nullptr : &found->second;
}

std::optional<Place> State::free_slot(std::uint32_t slots, std::uint32_t skip) const {
  const std::vector<Place> places = free_slots(slots, skip + 1);
  return places.size() > skip ? std::optional(places.back()) : std::nullopt;
}

std::vector<Place> State::free_slots(std::uint32_t slots, std::uint32_t count) const {
  return free_places(rights_, free_slots_, 1, slots, count);
}

std::optional<Place> State::free_index(std::uint32_t indices) const {
  const std::vector<Place> places = free_places(processes_, free_indices_, 0, indices, 1);
  return places.empty() ? std::nullopt : std::optional(places.front());
}

std::vector<Change> State::as_changes() const {
  std::vector<Change> changes;
  changes.reserve(processes_.size() + rights_.size() + free_slots_.size() + free_indices_.size());
  for (const auto& [index, process] : processes_) changes.emplace_back(process);
  for (const auto& [slot, right] : rights_) changes.emplace_back(right);
  for (const auto& [process, advert] : adverts_) changes.emplace_back(advert);
  for (const auto& [right, watches] : watches_)
    for (const auto& [process, watch] : watches) changes.emplace_back(watch);
  for (const auto& [cid, token] : issued_) changes.emplace_back(token);
  for (const auto& [digest, token] : revoked_) changes.emplace_back(token);
  for (const auto& [cid, token] : spent_) changes.emplace_back(token);
  for (const auto& [slot, free] : free_slots_) changes.emplace_back(free);
  for (const auto& [index, generation] : free_indices_) changes.emplace_back(FreeIndex{index, generation});
  return changes;
}

}  // namespace pgrid::control
