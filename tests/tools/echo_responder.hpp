// A node as far as a client sees one: a UDP socket on 127.0.0.1 that answers requests, with the faults that it is told.
#pragma once

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "abi/wire/envelope.hpp"
#include "abi/wire/grid_uri.hpp"
#include "abi/wire/message_generated.h"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::tools {

/// What the n-th request gets: datagrams, in order.
struct Reply {
  wire::Kind kind = wire::Kind::answer;
  std::uint16_t reason = 0;
  std::string body;
};
using Answers = std::function<std::vector<Reply>(std::uint64_t n, const wire::Message& request)>;

inline std::string body_of(const wire::Message& message) {
  if (message.body() == nullptr) return {};
  return {reinterpret_cast<const char*>(message.body()->data()), message.body()->size()};
}

/// The datagram of an answer.
inline std::vector<std::byte> answer_datagram(const Reply& reply, const wire::Id* id) {
  flatbuffers::FlatBufferBuilder builder;
  const auto body = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(reply.body.data()), reply.body.size());
  wire::MessageBuilder message(builder);
  message.add_body(body);
  if (id != nullptr) message.add_id(id);
  message.add_reason(reply.reason);
  message.add_kind(reply.kind);
  builder.Finish(message.Finish());
  std::vector<std::byte> datagram(wire::kFlatBufferOffset + builder.GetSize());
  wire::write_envelope(datagram.data(), builder.GetSize());
  std::memcpy(datagram.data() + wire::kFlatBufferOffset, builder.GetBufferPointer(), builder.GetSize());
  return datagram;
}

class Responder {
 public:
  explicit Responder(Answers answers, int family = AF_INET) : answers_(std::move(answers)) {
    socket_ = UniqueFd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 any6{};
    any6.sin6_family = AF_INET6;
    any6.sin6_addr = in6addr_loopback;
    sockaddr_in any4{};
    any4.sin_family = AF_INET;
    any4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (family == AF_INET6)
      ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&any6), sizeof any6);
    else
      ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&any4), sizeof any4);
    const int large = 4 << 20;
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &large, sizeof large);
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    ::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&bound), &length);
    uri.host = family == AF_INET6 ? "::1" : "127.0.0.1";
    uri.port = ntohs(family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&bound)->sin6_port
                                        : reinterpret_cast<sockaddr_in*>(&bound)->sin_port);
    uri.right = {7, 3, {1, 2, 3}};
    thread_ = std::jthread([this](const std::stop_token& stop) { serve(stop); });
  }

  wire::GridUri uri;
  std::atomic<std::uint64_t> requests = 0;
  std::atomic<std::uint64_t> malformed = 0;  // requests that message-1 does not allow

 private:
  void serve(const std::stop_token& stop) {
    alignas(4) std::byte bytes[2 + 2048];
    while (!stop.stop_requested()) {
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (::poll(&waiting, 1, 20) <= 0) continue;
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      const ssize_t n = ::recvfrom(socket_.get(), bytes + 2, sizeof bytes - 2, 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (n < 0) continue;
      const auto opened = wire::open_envelope(std::span(bytes + 2, static_cast<std::size_t>(n)));
      const auto* content = reinterpret_cast<const std::uint8_t*>(opened.content.data());
      flatbuffers::Verifier verifier(content, opened.content.size());
      if (opened.verdict != wire::Envelope::message_1 || !wire::VerifyMessageBuffer(verifier)) {
        ++malformed;
        continue;
      }
      const wire::Message* request = wire::GetMessage(content);
      if (request->kind() != wire::Kind::request || request->to() == nullptr || request->id() == nullptr ||
          request->to()->slot() != uri.right.slot || request->to()->generation() != uri.right.generation ||
          std::memcmp(request->to()->key()->data(), uri.right.key.data(), 16) != 0) {
        ++malformed;
        continue;
      }
      for (const Reply& reply : answers_(requests++, *request)) {
        const auto datagram = answer_datagram(reply, request->id());
        ::sendto(socket_.get(), datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&from), length);
      }
    }
  }

  Answers answers_;
  UniqueFd socket_;
  std::jthread thread_;  // last: joins before the socket closes
};

}  // namespace pgrid::tools
