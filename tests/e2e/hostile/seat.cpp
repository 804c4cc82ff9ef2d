#include "tests/e2e/hostile/seat.hpp"

#include <poll.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "dataplane/worker/rings_segment.hpp"
#include "drivers/shm/unix_packet.hpp"

namespace pgrid::tests {
namespace {

constexpr int kWaitMs = 10'000;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "hostile-worker: %s\n", why.c_str());
  std::_Exit(3);
}
void sleep_us(long us) {
  const timespec time{0, us * 1000};
  ::nanosleep(&time, nullptr);
}
void wait_readable(const dataplane::HandoverSocket& socket) {
  pollfd one{socket.fd(), POLLIN, 0};
  if (::poll(&one, 1, kWaitMs) != 1) give_up("no word from the data plane");
}

}  // namespace

Seat::Seat(const std::string& socket_path, std::uint32_t worker) {
  auto fd = shm::connect_unix_packet(socket_path);
  if (!fd) give_up(fd.error().sentence());
  socket = dataplane::HandoverSocket(std::move(*fd));
  abi::Hello hello{};
  hello.header = abi::handover_header<abi::Hello>(abi::HandoverType::hello);
  hello.role = abi::Role::worker;
  hello.worker = worker;
  if (!socket.send(hello)) give_up("hello was not sent");
  wait_readable(socket);
  dataplane::Datagram datagram;
  if (socket.receive(datagram) != dataplane::HandoverSocket::Received::datagram) give_up("no answer to hello");
  const auto welcome = datagram.as<abi::Welcome>(abi::HandoverType::welcome);
  if (!welcome || datagram.nb_fds != 1) give_up("no welcome");
  auto mapped = worker::map_rings(std::move(datagram.fds[0]), *welcome);
  if (!mapped) give_up(mapped.error().sentence());
  segment = std::move(*mapped);
  geometry = welcome->geometry;
  std::byte* const request_ring = segment.data() + abi::request_ring_offset(geometry, 0);
  std::byte* const reply_ring = segment.data() + abi::reply_ring_offset(geometry, 0);
  request_header = reinterpret_cast<abi::RingHeader*>(request_ring);
  reply_header = reinterpret_cast<abi::RingHeader*>(reply_ring);
  reply_data = reply_ring + sizeof(abi::RingHeader);
  requests = abi::RingConsumer(request_ring, geometry.request_ring);
  replies = abi::RingProducer(reply_ring, geometry.reply_ring);
}

void Seat::pump() {
  auto& line = *reinterpret_cast<abi::WorkerLine*>(segment.data() + sizeof(abi::SegmentHeader));
  line.heartbeat.store(line.heartbeat.load() + 1);
  dataplane::Datagram datagram;
  while (socket.receive(datagram) == dataplane::HandoverSocket::Received::datagram) {
    abi::ProcessState state{};
    state.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
    if (const auto load = datagram.as<abi::LoadProcess>(abi::HandoverType::load_process)) {
      process = load->process;
      process_generation = load->generation;
      loaded = true;
      state.worker = load->worker;
      state.status = abi::ProcessStatus::loaded;
    } else if (const auto unload = datagram.as<abi::UnloadProcess>(abi::HandoverType::unload_process)) {
      process = unload->process;
      process_generation = unload->generation;
      state.worker = unload->worker;
      state.status = abi::ProcessStatus::unloaded;
    } else {
      continue;  // handles: not ours to keep
    }
    state.process = process;
    state.generation = process_generation;
    (void)socket.send(state);
  }
  sleep_us(100);
}

Given Seat::take() {
  // What is there already may have waited beyond its deadline, and while the ring is full nothing newer comes.
  while (requests.front()) requests.pop();
  requests.release();
  Given given;
  for (int tries = kWaitMs * 10; tries != 0; --tries) {
    if (const abi::RingRecord record = requests.front()) {
      std::memcpy(&given.request, record.data, sizeof given.request);
      given.body.assign(reinterpret_cast<const char*>(record.data) + sizeof given.request, record.length - sizeof given.request);
      requests.pop();
      requests.release();
      if (given.request.kind == static_cast<std::uint8_t>(abi::Kind::request)) return given;
    } else {
      pump();
    }
  }
  give_up("no request came");
}

void Seat::put(abi::WorkerReply reply, std::uint32_t length) {
  std::byte* record = replies.reserve(length);
  if (record == nullptr) give_up("the reply ring is full");
  std::memcpy(record + sizeof reply.length, reinterpret_cast<const std::byte*>(&reply) + sizeof reply.length,
              sizeof reply - sizeof reply.length);
  std::memset(record + sizeof reply, 'x', length - sizeof reply);
  replies.commit();
}

void Seat::put_body(const abi::WorkerReply& reply, const void* body, std::uint32_t size, std::uint32_t body_length) {
  std::byte* record = replies.reserve(abi::kRecordHeader + body_length);
  if (record == nullptr) give_up("the reply ring is full");
  std::memcpy(record + sizeof reply.length, reinterpret_cast<const std::byte*>(&reply) + sizeof reply.length,
              sizeof reply - sizeof reply.length);
  std::memset(record + sizeof reply, 'x', body_length);
  std::memcpy(record + sizeof reply, body, size);
  replies.commit();
}

void Seat::answer(const Given& given) {
  put(answer_to(given), abi::kRecordHeader + static_cast<std::uint32_t>(given.body.size()));
  replies.publish();
}

void Seat::advance_to(std::uint64_t position) {
  const Given given = take();
  answer(given);  // from now on the same is late
  for (;;) {
    const std::uint64_t at = reply_header->tail.value.load() & (geometry.reply_ring - 1);
    if (at == position && wait_until_read()) return;
    const std::uint64_t rest = at < position ? position - at : geometry.reply_ring - at;
    put(answer_to(given), static_cast<std::uint32_t>(rest < abi::kRecordMax ? rest : abi::kRecordMax));
    replies.publish();
    if (replies.free_bytes() < 2 * abi::kRecordMax && !wait_until_read()) give_up("nobody reads replies");
  }
}

bool Seat::wait_until_read() {
  for (int tries = kWaitMs * 10; tries != 0; --tries) {
    if (reply_header->head.value.load() == reply_header->tail.value.load()) return true;
    pump();
  }
  return false;
}

abi::WorkerReply Seat::answer_to(const Given& given) const {
  abi::WorkerReply reply{};
  reply.type = static_cast<std::uint8_t>(abi::ReplyType::answer);
  reply.kind = static_cast<std::uint8_t>(abi::Kind::answer);
  reply.process = given.request.process;
  reply.to_slot = given.request.reply_slot;
  reply.to_generation = given.request.reply_generation;
  return reply;
}

abi::WorkerReply Seat::log_line(std::uint32_t speaker) const {
  abi::WorkerReply reply{};
  reply.type = static_cast<std::uint8_t>(abi::ReplyType::log);
  reply.kind = static_cast<std::uint8_t>(abi::Kind::notice);
  reply.process = speaker;
  return reply;
}

void idle(Seat& seat, int milliseconds) {
  for (int step = milliseconds * 5; step != 0; --step) seat.pump();  // 100 us and what a sleep takes longer
}

}  // namespace pgrid::tests
