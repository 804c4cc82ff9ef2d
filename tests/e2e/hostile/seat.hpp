// The seat of a worker, taken by a program that may say anything: hello, rings mapped, processes "loaded" without being run.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "abi/shared/byte_ring.hpp"
#include "abi/shared/records.hpp"
#include "dataplane/handover_socket.hpp"
#include "drivers/shm/segment.hpp"

namespace pgrid::tests {

/// A message that the data plane gave us.
struct Given {
  abi::WorkerRequest request;
  std::string body;
};

/// One thread, one poll core. Members are public: lying is what it is for.
class Seat {
 public:
  /// Ends the program, with the reason on stderr, when the seat is not to be had.
  Seat(const std::string& socket_path, std::uint32_t worker);

  /// Serves the socket, shows a heartbeat, and waits a little: to be called in every loop.
  void pump();
  /// The next request that comes for us; those that are there are never answered. Ends the program when none comes for seconds: the test sees to it that they do.
  Given take();
  /// Record bytes, as they are, with this length; `publish` is the caller's.
  void put(abi::WorkerReply reply, std::uint32_t length = abi::kRecordHeader);
  /// The same with `size` bytes of body as they are, and the rest of it filled up.
  void put_body(const abi::WorkerReply& reply, const void* body, std::uint32_t size, std::uint32_t body_length);
  /// An honest answer.
  void answer(const Given& given);
  /// The same again until the next record would begin at this position of the reply ring: nobody waits for these any more.
  void advance_to(std::uint64_t position);
  /// Until the data plane has read everything. False: not within seconds.
  bool wait_until_read();

  abi::WorkerReply answer_to(const Given& given) const;
  abi::WorkerReply log_line(std::uint32_t process) const;

  dataplane::HandoverSocket socket;
  abi::Geometry geometry{};
  shm::Segment segment;
  abi::RingHeader* request_header = nullptr;
  abi::RingHeader* reply_header = nullptr;
  std::byte* reply_data = nullptr;
  abi::RingConsumer requests;
  abi::RingProducer replies;
  std::uint32_t process = 0;  // of ours, the last one loaded
  std::uint32_t process_generation = 0;
  bool loaded = false;
};

/// Milliseconds, in steps of `pump`.
void idle(Seat& seat, int milliseconds);

}  // namespace pgrid::tests
