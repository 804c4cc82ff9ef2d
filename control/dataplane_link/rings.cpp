#include "control/dataplane_link/rings.hpp"

#include <sodium.h>

#include <cstring>

#include "control/log/log.hpp"

namespace pgrid::control {
namespace {

using std::chrono::microseconds;
constexpr microseconds kPollFast{100};                // right after sending: an echo takes less than that
constexpr std::uint32_t kFastPolls = 20;              // 2 ms of them, then kPollBusy
constexpr microseconds kPollBusy{1'000};              // an answer is outstanding
constexpr microseconds kPollIdle{10'000};             // only log lines and events can come
constexpr std::uint64_t kGraceUs = 1'000'000;         // the data plane answers at the deadline by itself
constexpr std::uint64_t kDeadlineMaxUs = 60'000'000;  // of a right, see capability/rights.cpp
constexpr std::size_t kEventsPerPoll = 1024;  // per poll core, so that a flood cannot hold up the loop
constexpr std::size_t kOutstandingMax = 4096;
constexpr std::chrono::milliseconds kBusyFor{200};  // after a function's request: the next one is soon taken

std::size_t rights_size(std::size_t count) { return count * sizeof(abi::RightRef); }

}  // namespace

ControlRings::ControlRings(EventLoop& loop, OnEvent on_event) : loop_(loop), on_event_(std::move(on_event)) {
  randombytes_buf(&next_id_,
                  sizeof next_id_);  // so that an answer to an earlier control is no answer to this one
}

void ControlRings::attach(const Segments& segments) {
  const abi::Geometry& g = segments.geometry();
  geometry_ = g;
  cores_.clear();
  for (std::uint32_t core = 0; core < g.poll_cores; ++core)
    cores_.push_back({abi::RingProducer(segments.request_ring(core), g.control_ring),
                      abi::ControlRingConsumer(segments.event_ring(core), g.control_ring)});
  poll_later();
}

void ControlRings::detach() {
  cores_.clear();
  timer_.reset();
  auto waiting = std::move(waiting_);
  waiting_.clear();
  for (auto& [id, one] : waiting)
    one.on_answer(fail(Errc::unavailable, "send a message", "the data plane went away before it answered",
                       "the outcome is unknown; try again when it is back"));
}

void ControlRings::send(const Outbound& message, OnAnswer on_answer) {
  if (cores_.empty())
    return on_answer(
        fail(Errc::unavailable, "send a message", "the data plane is away", "try again when it is back"));
  if (waiting_.size() >= kOutstandingMax)
    return on_answer(fail(Errc::unavailable, "send a message",
                          std::to_string(kOutstandingMax) + " are waiting for their answers",
                          "try again later"));
  // In turn, because every poll core has its share of a right's rate.
  PollCore& core = cores_[next_core_++ % cores_.size()];
  const std::uint64_t id = next_id_;
  abi::ControlRequest request{};
  request.type = static_cast<std::uint8_t>(abi::ControlRequestType::message);
  request.kind = static_cast<std::uint8_t>(abi::Kind::request);
  request.slot = message.slot;
  request.generation = message.generation;
  std::memcpy(request.key, message.key.data(), sizeof request.key);
  std::memcpy(request.id, &id, sizeof request.id);
  request.deadline_us = message.deadline_us;
  if (!put(core, request, message.rights, message.body))
    return on_answer(fail(Errc::unavailable, "send a message", "the poll core takes no more from control",
                          "try again; if it stays so, see the data plane's log"));
  ++next_id_;

  const std::uint64_t wait_us = (message.deadline_us == 0 ? kDeadlineMaxUs : message.deadline_us) + kGraceUs;
  waiting_[id] = {std::move(on_answer), loop_.after(microseconds(wait_us), [this, id] {
                    finish(id, fail(Errc::timed_out, "send a message", "no answer came from the data plane",
                                    "the outcome is unknown; see control_answer_lost in pgrid stat"));
                  })};
  fast_polls_ = 0;
  poll_later();
}

bool ControlRings::put(PollCore& core, abi::ControlRequest& header, std::span<const abi::RightRef> rights,
                       std::span<const std::uint8_t> body) {
  if (rights.size() > abi::kCarriedRightsMax || body.size() > abi::kBodyMax) return false;
  const std::size_t before_body = abi::kRecordHeader + rights_size(rights.size());
  header.length = static_cast<std::uint32_t>(before_body + body.size());
  header.nb_rights = static_cast<std::uint8_t>(rights.size());
  std::byte* record = core.requests.reserve(header.length);
  if (record == nullptr) return false;
  std::memcpy(record, &header, sizeof header);
  if (!rights.empty()) std::memcpy(record + abi::kRecordHeader, rights.data(), rights_size(rights.size()));
  if (!body.empty()) std::memcpy(record + before_body, body.data(), body.size());
  core.requests.commit();
  core.requests.publish();
  return true;
}

bool ControlRings::answer(const GuestAnswer& answer) {
  const std::uint32_t core = abi::send_once_core(answer.reply_slot);
  if (!abi::is_send_once(answer.reply_slot) || core >= cores_.size()) return false;
  abi::ControlRequest request{};
  request.type = static_cast<std::uint8_t>(abi::ControlRequestType::answer);
  request.kind = static_cast<std::uint8_t>(answer.kind);
  request.reason = static_cast<std::uint16_t>(answer.reason);
  request.slot = answer.reply_slot;
  request.generation = answer.reply_generation;
  std::memcpy(request.id, answer.id.data(), sizeof request.id);
  return put(cores_[core], request, answer.rights, answer.body);
}

bool ControlRings::notify(const GuestNotice& notice) {
  if (cores_.empty() || notice.worker >= geometry_.workers) return false;
  abi::ControlRequest request{};
  request.type = static_cast<std::uint8_t>(abi::ControlRequestType::notice);
  request.kind = static_cast<std::uint8_t>(abi::Kind::notice);
  request.slot = notice.process;
  request.generation = notice.generation;
  request.worker = static_cast<std::uint16_t>(notice.worker);
  request.instance = notice.instance;
  return put(cores_[abi::home_core(notice.worker, geometry_)], request, notice.rights, notice.body);
}

void ControlRings::poll_later() {
  if (cores_.empty()) return;
  microseconds delay = kPollIdle;
  const bool is_busy = !waiting_.empty() || std::chrono::steady_clock::now() < busy_until_;
  if (is_busy) delay = fast_polls_++ < kFastPolls ? kPollFast : kPollBusy;
  timer_ = loop_.after(delay, [this] { poll(); });
}

void ControlRings::poll() {
  for (std::size_t i = 0; i < cores_.size(); ++i) drain(cores_[i]);
  poll_later();
}

void ControlRings::drain(PollCore& core) {
  // Taken out before anything is called: a callback may send, or lose the link.
  struct Taken {
    abi::ControlEvent header;
    std::vector<std::byte> body;
  };
  std::vector<Taken> taken;
  while (taken.size() < kEventsPerPoll) {
    const abi::RingRecord record = core.events.front();
    if (!record) break;
    Taken& one = taken.emplace_back();
    std::memcpy(&one.header, record.data, sizeof one.header);
    one.body.assign(record.data + abi::kRecordHeader, record.data + record.length);
    core.events.pop();
  }
  if (!taken.empty()) core.events.release();
  if (core.events.corrupt() && !core.reported_corrupt) {
    core.reported_corrupt = true;
    log_error(
        "a poll core's event ring is corrupt: its answers, log lines and events are lost; restart the data "
        "plane");
  }
  for (const Taken& one : taken) take(one.header, one.body);
}

void ControlRings::take(const abi::ControlEvent& event, std::span<const std::byte> behind) {
  // A record whose rights are not all there makes no sense: it has none, and no body.
  const bool whole =
      event.nb_rights <= abi::kCarriedRightsMax && rights_size(event.nb_rights) <= behind.size();
  std::array<abi::RightRef, abi::kCarriedRightsMax> rights{};
  const std::size_t nb_rights = whole ? event.nb_rights : 0;
  if (nb_rights != 0) std::memcpy(rights.data(), behind.data(), rights_size(nb_rights));
  const auto body = whole ? behind.subspan(rights_size(nb_rights)) : std::span<const std::byte>{};
  const std::span<const abi::RightRef> carried(rights.data(), nb_rights);
  if (event.type != static_cast<std::uint8_t>(abi::ControlEventType::answer)) {
    if (event.type == static_cast<std::uint8_t>(abi::ControlEventType::guest_request)) {
      busy_until_ = std::chrono::steady_clock::now() + kBusyFor;
      fast_polls_ = 0;
    }
    return on_event_({event, carried, body});
  }
  std::uint64_t id = 0;
  std::memcpy(&id, event.id, sizeof id);
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(body.data());
  finish(id, Answer{static_cast<abi::Kind>(event.kind),
                    static_cast<abi::Reason>(event.reason),
                    event.elapsed_ns,
                    {carried.begin(), carried.end()},
                    {bytes, bytes + body.size()}});
}

void ControlRings::finish(std::uint64_t id, Result<Answer> answer) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return;  // late, repeated, or never ours
  const OnAnswer on_answer = std::move(found->second.on_answer);
  waiting_.erase(found);
  on_answer(std::move(answer));
}

}  // namespace pgrid::control
