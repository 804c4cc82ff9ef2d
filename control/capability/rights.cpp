#include "control/capability/rights.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "control/capability/narrow.hpp"
#include "control/clock.hpp"

namespace pgrid::control {
namespace {

Result<std::uint32_t> within(const char* name, std::optional<std::uint32_t> asked, std::uint32_t or_else,
                             std::uint32_t min, std::uint32_t max) {
  const std::uint32_t value = asked.value_or(or_else);
  if (value >= min && value <= max) return value;
  return fail(Errc::invalid_argument, name, std::to_string(value) + " is out of range",
              "give a number from " + std::to_string(min) + " to " + std::to_string(max));
}

/// Equal but for the sequence, which counts writes and differs between starts.
bool same_content(abi::RightFields a, abi::RightFields b) {
  a.sequence = b.sequence = 0;
  return std::memcmp(&a, &b, sizeof a) == 0;
}

std::uint64_t now_ns() { return static_cast<std::uint64_t>(unix_ns()); }

void put_in(RightRecord& right, const Place& place) {
  right.slot = place.number;
  right.generation = place.generation;
  randombytes_buf(right.key.data(), right.key.size());
}

void give(RightRecord& right, RightOwner owner) {
  right.holding = std::move(owner.holding);
  right.maker = owner.maker;
  right.name = std::move(owner.name);
  right.token = std::move(owner.token);
}

std::unexpected<Error> dead() {
  return fail(Errc::not_found, "right", "it is dead, or never was", "see pgrid cap ls");
}

}  // namespace

/// All but slot, generation and key.
Result<RightRecord> Rights::shape(const RightSpec& spec, const ProcessRecord& process) const {
  RightRecord right;
  const std::uint32_t rate = spec.rate.value_or(process.rate);
  const std::uint32_t burst = rate == 0 ? 0 : std::max(rate / kBurstPart, kBurstDefaultMin);
  if (rate == 0 && spec.burst.value_or(0) != 0)
    return fail(Errc::invalid_argument, "burst", "a burst without a rate limits nothing",
                "give a rate as well");
  const auto burst_given = within("burst", spec.burst, burst, rate == 0 ? 0 : 1, kRateMax);
  const auto in_flight = within("in_flight_max", spec.in_flight_max, kInFlightDefault, 1, 0xffff);
  const auto body = within("body_max", spec.body_max, abi::kBodyMax, 0, abi::kBodyMax);
  const auto deadline =
      within("deadline_max_us", spec.deadline_max_us, kDeadlineDefaultUs, 1, kDeadlineMaxUs);
  const auto permissions =
      within("permissions", spec.permissions, abi::kPermissionsAll, 1, abi::kPermissionsAll);
  for (const auto* value : {&burst_given, &in_flight, &body, &deadline, &permissions})
    if (!*value) return std::unexpected(value->error());
  const Result<std::uint64_t> end = end_of(spec, now_ns());
  if (!end) return std::unexpected(end.error());
  right.label = spec.label.value_or(0);
  right.permissions = static_cast<std::uint8_t>(*permissions);
  right.rate = rate;
  right.burst = *burst_given;
  right.in_flight_max = static_cast<std::uint16_t>(*in_flight);
  right.body_max = static_cast<std::uint16_t>(*body);
  right.deadline_max_us = *deadline;
  right.created_unix = unix_s();
  right.expires_unix_ns = *end;
  right.process = process.index;
  return right;
}

Result<std::vector<Place>> Rights::places(std::uint32_t count) const {
  std::vector<Place> places = store_.state().free_slots(slots_, count);
  if (places.size() == count) return places;
  return fail(Errc::out_of_resources, "create a right",
              count == 1
                  ? "all " + std::to_string(slots_ - 1) + " are in use"
                  : "only " + std::to_string(places.size()) + " of " + std::to_string(count) + " are free",
              "revoke some, or raise limits.rights in node.toml");
}

Result<RightRecord> Rights::make(const RightSpec& spec, const ProcessRecord& process,
                                 std::uint32_t skip) const {
  Result<RightRecord> right = shape(spec, process);
  if (!right) return right;
  const Result<std::vector<Place>> free = places(skip + 1);
  if (!free) return std::unexpected(free.error());
  put_in(*right, free->back());
  return right;
}

void Rights::create(const RightSpec& spec, const ProcessRecord& process, RightOwner owner, OnCreated done) {
  Result<RightRecord> right = make(spec, process);
  if (!right) return done(std::move(right));
  std::vector<Change> also = std::move(owner.also);
  give(*right, std::move(owner));
  commit_new(std::move(*right), std::move(also), std::move(done));
}

void Rights::commit_new(RightRecord right, std::vector<Change> also, OnCreated done) {
  also.emplace_back(right);
  store_.commit(std::move(also), [this, right, done = std::move(done)](const Result<void>& committed) {
    // Also when it was taken back: the data plane may have attached meanwhile and been told of it.
    publish(right.slot);
    if (!committed) return done(std::unexpected(committed.error()));
    // It may be revoked by now.
    const RightRecord* now = find({right.slot, right.generation});
    if (now == nullptr) return done(dead());
    if (right.holding) say_handle(right, true);
    if (on_changed_) on_changed_(*now);
    done(*now);
  });
}

void Rights::create_many(const RightSpec& spec, const ProcessRecord& process, std::uint32_t count,
                         OnManyCreated done) {
  const Result<RightRecord> like = shape(spec, process);
  if (!like) return done(std::unexpected(like.error()));
  commit_many(*like, count, std::move(done));
}

void Rights::commit_many(const RightRecord& like, std::uint32_t count, OnManyCreated done) {
  const Result<std::vector<Place>> free = places(count);
  if (!free) return done(std::unexpected(free.error()));
  std::vector<RightRecord> rights(count, like);
  for (std::uint32_t i = 0; i < count; ++i) put_in(rights[i], (*free)[i]);
  std::vector<Change> changes(rights.begin(), rights.end());
  store_.commit(std::move(changes), [this, rights = std::move(rights),
                                     done = std::move(done)](const Result<void>& committed) mutable {
    for (const RightRecord& right : rights) publish(right.slot);
    if (!committed) return done(std::unexpected(committed.error()));
    std::erase_if(
        rights, [this](const RightRecord& right) { return find({right.slot, right.generation}) == nullptr; });
    if (on_changed_)
      for (const RightRecord& right : rights) on_changed_(right);
    done(std::move(rights));
  });
}

void Rights::derive(const abi::RightRef& parent, const RightSpec& spec, RightOwner owner, OnCreated done) {
  const RightRecord* from = find(parent);
  if (from == nullptr || is_expired(*from)) return done(dead());
  Result<RightRecord> right = narrowed(*from, spec, now_ns());
  if (!right) return done(std::move(right));
  const Result<std::vector<Place>> free = places(1);
  if (!free) return done(std::unexpected(free.error()));
  put_in(*right, free->front());
  right->created_unix = unix_s();
  std::vector<Change> also = std::move(owner.also);
  give(*right, std::move(owner));
  commit_new(std::move(*right), std::move(also), std::move(done));
}

void Rights::derive_many(const abi::RightRef& parent, const RightSpec& spec, std::uint32_t count,
                         OnManyCreated done) {
  const RightRecord* from = find(parent);
  if (from == nullptr || is_expired(*from)) return done(dead());
  Result<RightRecord> like = narrowed(*from, spec, now_ns());
  if (!like) return done(std::unexpected(like.error()));
  like->created_unix = unix_s();
  commit_many(*like, count, std::move(done));
}

void Rights::attenuate(const abi::RightRef& right, const RightSpec& spec, OnRevoked done) {
  if (find(right) == nullptr) return done(dead());
  std::vector<Change> changes;
  std::vector<abi::RightRef> narrower;
  for (const RightRecord& one : store_.state().tree_of(right.slot)) {
    const Result<RightRecord> now = clamped(one, spec, now_ns());
    if (!now) return done(std::unexpected(now.error()));
    if (*now == one) continue;
    narrower.push_back({one.slot, one.generation});
    changes.emplace_back(*now);
  }
  if (changes.empty()) return done(Passed::now);
  store_.commit(std::move(changes), [this, narrower = std::move(narrower),
                                     done = std::move(done)](const Result<void>& committed) {
    for (const abi::RightRef& one : narrower) publish(one.slot);
    if (!committed) return done(std::unexpected(committed.error()));
    if (on_changed_)
      for (const abi::RightRef& one : narrower)
        if (const RightRecord* now = find(one)) on_changed_(*now);
    barrier_.wait([done](Passed passed) { done(passed); });
  });
}

std::size_t Rights::revoke(const std::vector<RightRecord>& roots, OnRevoked done, Why why,
                           std::vector<Change> also) {
  std::vector<RightRecord> rights;
  std::set<std::uint32_t> taken;  // one root may lie below another
  for (const RightRecord& root : roots) {
    if (find({root.slot, root.generation}) == nullptr || taken.contains(root.slot)) continue;
    std::vector<RightRecord> tree = store_.state().tree_of(root.slot);
    if (roots.size() == 1) {
      rights = std::move(tree);
      break;
    }
    for (RightRecord& right : tree)
      if (taken.insert(right.slot).second) rights.push_back(std::move(right));
  }
  const std::size_t count = rights.size();
  std::vector<Change> changes = std::move(also);
  changes.reserve(changes.size() + count);
  for (const RightRecord& right : rights) changes.emplace_back(DropRight{right.slot});
  store_.commit(std::move(changes), [this, why, rights = std::move(rights),
                                     done = std::move(done)](const Result<void>& committed) mutable {
    // Also when it was taken back: the data plane may have attached meanwhile and been told of it.
    for (const RightRecord& right : rights) publish(right.slot);
    if (!committed) return done(std::unexpected(committed.error()));
    for (const RightRecord& right : rights)
      if (right.holding) say_handle(right, false);
    barrier_.wait([this, why, rights = std::move(rights), done = std::move(done)](Passed passed) {
      if (on_dead_)
        for (const RightRecord& right : rights) on_dead_(right, why);
      done(passed);
    });
  });
  return count;
}

const RightRecord* Rights::find(const abi::RightRef& right) const {
  const RightRecord* found = store_.state().right(right.slot);
  return found != nullptr && found->generation == right.generation ? found : nullptr;
}

void Rights::hand_over(std::uint32_t holder) {
  for (const RightRecord& right : store_.state().held_by(holder)) say_handle(right, true);
}

void Rights::say_handle(const RightRecord& right, bool is_held) {
  const Holding& holding = *right.holding;
  const ProcessRecord* holder = store_.state().process(holding.process);
  if (holder == nullptr || holder->generation != holding.generation) return;
  abi::SetHandle message{};
  message.header = abi::handover_header<abi::SetHandle>(abi::HandoverType::set_handle);
  message.process = holding.process;
  message.generation = holding.generation;
  message.worker = holder->worker;
  message.handle = holding.handle;
  message.slot = right.slot;
  message.right_generation = is_held ? right.generation : 0;
  message.held = is_held ? 1 : 0;
  if (link_.segments() != nullptr)
    link_.send(message);
  else if (!is_held)
    taken_[{holding.process, holding.handle}] = message;
}

void Rights::publish(std::uint32_t slot) {
  const Segments* segments = link_.segments();
  if (segments == nullptr || slot >= segments->geometry().rights) return;
  abi::write_right(segments->right_slot(slot), fields_of(slot));
}

std::uint32_t Rights::reconcile() {
  const Segments* segments = link_.segments();
  for (const auto& [handle, message] : std::exchange(taken_, {})) link_.send(message);
  std::uint32_t repaired = 0;
  for (std::uint32_t slot = 0; slot < segments->geometry().rights; ++slot) {
    abi::RightSlot& line = segments->right_slot(slot);
    const abi::RightFields wanted = fields_of(slot);
    abi::RightFields present{};
    if (abi::read_right(line, present) && same_content(present, wanted)) continue;
    abi::write_right(line, wanted);
    ++repaired;
  }
  return repaired;
}

abi::RightFields Rights::fields_of(std::uint32_t slot) const {
  abi::RightFields fields{};
  const RightRecord* right = store_.state().right(slot);
  const ProcessRecord* process = right == nullptr ? nullptr : store_.state().process(right->process);
  if (process == nullptr) {
    // One that was used before keeps its last generation and key, so that its holder is counted as
    // right_revoked.
    if (const FreeSlot* freed = store_.state().freed(slot)) {
      fields.generation = freed->next_generation - 1;
      std::memcpy(fields.key, freed->last_key.data(), sizeof fields.key);
      fields.target_kind = abi::Target::revoked;
    }
    return fields;
  }
  fields.generation = right->generation;
  std::memcpy(fields.key, right->key.data(), sizeof fields.key);
  fields.label = right->label;
  fields.expires_unix_ns = right->expires_unix_ns;
  fields.target = right->process;
  fields.worker = static_cast<std::uint16_t>(process->worker);
  fields.target_kind = abi::Target::process;
  fields.permissions = right->permissions;
  fields.deadline_max_us = right->deadline_max_us;
  fields.in_flight_max = right->in_flight_max;
  fields.body_max = right->body_max;
  fields.rate = right->rate;
  fields.burst = right->burst;
  return fields;
}

bool is_expired(const RightRecord& right) {
  return right.expires_unix_ns != 0 && right.expires_unix_ns <= static_cast<std::uint64_t>(unix_ns());
}

}  // namespace pgrid::control
