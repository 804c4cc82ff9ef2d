#include "tests/packets/node_under_test.hpp"

namespace pgrid::test {
namespace {

abi::RightFields fields_of(const wire::RightRef& right) {
  abi::RightFields fields{};
  fields.generation = right.generation;
  std::memcpy(fields.key, right.key.data(), sizeof fields.key);
  fields.label = 77;
  fields.target_kind = abi::Target::process;
  fields.permissions = abi::kMaySend;
  fields.deadline_max_us = 100'000;
  fields.in_flight_max = 100;
  fields.body_max = abi::kBodyMax;
  return fields;
}

}  // namespace

NodeUnderTest::NodeUnderTest() {
  const auto publish = [this](const wire::RightRef& right, auto change) {
    abi::RightFields fields = fields_of(right);
    change(fields);
    abi::write_right(rights_[right.slot], fields);
  };
  publish(rights::good, [](auto&) {});
  publish(rights::expired, [](auto& fields) { fields.expires_unix_ns = 1; });
  publish(rights::revoked, [](auto& fields) { fields.target_kind = abi::Target::revoked; });
  publish(rights::not_sending, [](auto& fields) { fields.permissions = 0; });
  publish(rights::one_per_second, [](auto& fields) { fields.rate = fields.burst = 1; });
  publish(rights::small_bodies, [](auto& fields) { fields.body_max = 16; });
  publish(rights::being_written, [](auto&) {});
  rights_[rights::being_written.slot].words[0] |= 1;  // control died half-way
  publish(rights::one_in_flight, [](auto& fields) { fields.in_flight_max = 1; });
  publish(rights::absent_worker, [](auto& fields) { fields.worker = 1; });

  cells_.worker(0, 0).offer({.to_peer = request_ring_.get(),
                             .from_peer = reply_ring_.get(),
                             .to_capacity = kGeometry.request_ring,
                             .from_capacity = kGeometry.reply_ring,
                             .incarnation = 1});
  cells_.worker(0, 0).serving.store(true);
  requests_ = abi::RingConsumer(request_ring_.get(), kGeometry.request_ring);
  replies_ = abi::RingProducer(reply_ring_.get(), kGeometry.reply_ring);

  const dataplane::PollCoreWiring wiring{.index = 0,
                                         .geometry = kGeometry,
                                         .rate = dataplane::TickRate(1'000'000'000),
                                         .rights = rights_,
                                         .stats = stats_,
                                         .cells = cells_,
                                         .signals = signals_,
                                         .handles = handles_};
  core_ = std::make_unique<dataplane::PollCore<MemoryIo>>(wiring, MemoryIo(port_));
  core_->turn();
}

void NodeUnderTest::receive(const std::vector<Bytes>& frames) {
  for (const Bytes& frame : frames) port_.waiting.emplace_back(frame);
  core_->turn();
}

std::uint64_t NodeUnderTest::counter(abi::Counter counter) const {
  return stats_.poll_core(0).counters[static_cast<std::size_t>(counter)].load();
}

std::vector<Bytes> NodeUnderTest::worker_requests() {
  std::vector<Bytes> bodies;
  while (const abi::RingRecord record = requests_.front()) {
    std::memcpy(&last_request_, record.data, sizeof last_request_);
    bodies.emplace_back(record.data + abi::kRecordHeader, record.data + record.length);
    requests_.pop();
  }
  requests_.release();
  return bodies;
}

void NodeUnderTest::answer(std::string_view body) {
  abi::WorkerReply reply{};
  reply.length = static_cast<std::uint32_t>(abi::kRecordHeader + body.size());
  reply.type = static_cast<std::uint8_t>(abi::ReplyType::answer);
  reply.kind = static_cast<std::uint8_t>(abi::Kind::answer);
  reply.process = last_request_.process;
  reply.to_slot = last_request_.reply_slot;
  reply.to_generation = last_request_.reply_generation;
  std::byte* record = replies_.reserve(reply.length);
  std::memcpy(record, &reply, sizeof reply);
  std::memcpy(record + sizeof reply, body.data(), body.size());
  replies_.commit();
  replies_.publish();
  core_->turn();
}

}  // namespace pgrid::test
