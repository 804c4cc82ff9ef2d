#include "control/capability/rights.hpp"

#include <sodium.h>

#include <algorithm>
#include <cstring>

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

}  // namespace

Result<RightRecord> Rights::make(const RightSpec& spec, const ProcessRecord& process,
                                 std::uint32_t skip) const {
  RightRecord right;
  const std::uint32_t rate = spec.rate.value_or(process.rate);
  const std::uint32_t burst = rate == 0 ? 0 : std::max(rate / kBurstPart, kBurstDefaultMin);
  if (rate == 0 && spec.burst.value_or(0) != 0)
    return fail(Errc::invalid_argument, "burst", "a burst without a rate limits nothing",
                "give a rate as well");
  const auto burst_given = within("burst", spec.burst, burst, rate == 0 ? 0 : 1, 0x7fff'ffff);
  const auto in_flight = within("in_flight_max", spec.in_flight_max, kInFlightDefault, 1, 0xffff);
  const auto body = within("body_max", spec.body_max, abi::kBodyMax, 0, abi::kBodyMax);
  const auto deadline =
      within("deadline_max_us", spec.deadline_max_us, kDeadlineDefaultUs, 1, kDeadlineMaxUs);
  for (const auto* value : {&burst_given, &in_flight, &body, &deadline})
    if (!*value) return std::unexpected(value->error());
  if (spec.expires_in_s && (*spec.expires_in_s == 0 || *spec.expires_in_s > kExpiresMaxS))
    return fail(Errc::invalid_argument, "expires_in_s",
                std::to_string(*spec.expires_in_s) + " is out of range",
                "give seconds from 1 to " + std::to_string(kExpiresMaxS) + ", or leave it out");
  const std::optional<Place> place = store_.state().free_slot(slots_, skip);
  if (!place)
    return fail(Errc::out_of_resources, "create a right", "all " + std::to_string(slots_ - 1) + " are in use",
                "revoke some, or raise limits.rights in node.toml");
  right.slot = place->number;
  right.generation = place->generation;
  randombytes_buf(right.key.data(), right.key.size());
  right.label = spec.label;
  right.rate = rate;
  right.burst = *burst_given;
  right.in_flight_max = static_cast<std::uint16_t>(*in_flight);
  right.body_max = static_cast<std::uint16_t>(*body);
  right.deadline_max_us = *deadline;
  right.created_unix = unix_s();
  if (spec.expires_in_s)
    right.expires_unix_ns = static_cast<std::uint64_t>(unix_ns()) + *spec.expires_in_s * 1'000'000'000;
  right.process = process.index;
  return right;
}

void Rights::create(const RightSpec& spec, const ProcessRecord& process, std::optional<Holding> holding,
                    OnCreated done) {
  Result<RightRecord> right = make(spec, process);
  if (!right) return done(std::move(right));
  right->holding = std::move(holding);
  store_.commit(*right, [this, right = *right, done = std::move(done)](const Result<void>& committed) {
    // Also when it was taken back: the data plane may have attached meanwhile and been told of it.
    publish(right.slot);
    if (!committed) return done(std::unexpected(committed.error()));
    // It may be revoked by now.
    const RightRecord* now = store_.state().right(right.slot);
    if (right.holding && now != nullptr && now->generation == right.generation) say_handle(right, true);
    done(right);
  });
}

void Rights::revoke(std::vector<RightRecord> rights, OnRevoked done) {
  std::vector<Change> changes;
  for (const RightRecord& right : rights) changes.emplace_back(DropRight{right.slot});
  store_.commit(std::move(changes), [this, rights = std::move(rights),
                                     done = std::move(done)](const Result<void>& committed) {
    // Also when it was taken back: the data plane may have attached meanwhile and been told of it.
    for (const RightRecord& right : rights) publish(right.slot);
    if (!committed) return done(std::unexpected(committed.error()));
    for (const RightRecord& right : rights)
      if (right.holding) say_handle(right, false);
    barrier_.wait([done](Passed passed) { done(passed); });
  });
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
