#include "control/dataplane_link/link.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "control/log/log.hpp"

namespace pgrid::control {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kRetry{50};            // a data plane starts in 1 to 2 s
constexpr milliseconds kWelcomeWithin{3000};  // it answers from its helper thread, within milliseconds
// Every process sent and unloaded, every right held and taken away.
constexpr std::size_t kOutgoingMax = 2 * (abi::kProcessesMax + abi::kRightsMax);

template <typename T>
[[nodiscard]] bool read_message(const std::vector<std::byte>& bytes, T& message) {
  if (bytes.size() != sizeof message) return false;
  std::memcpy(&message, bytes.data(), sizeof message);
  return message.header.length == sizeof message;
}

template <std::size_t size>
std::string text_of(const char (&text)[size]) {
  return {text, ::strnlen(text, size)};
}

/// It was told to stop and is draining: what follows is no trouble.
bool is_stopping(const Segments& segments) { return segments.gauges().stopping.load(std::memory_order_relaxed) != 0; }

std::unexpected<Error> nonsense() {
  return fail(Errc::protocol, "read from the data plane", "a message that makes no sense",
              "run control and data plane of the same version");
}

}  // namespace

void DataplaneLink::start(LinkListener& listener) {
  listener_ = &listener;
  try_connect();
}

void DataplaneLink::stop() {
  stopped_ = true;
  timer_.reset();
  readable_.reset();
  writable_.reset();
  outgoing_.clear();
  segments_.reset();
  socket_.close();
}

void DataplaneLink::try_connect() {
  if (stopped_) return;
  Result<PacketSocket> socket = PacketSocket::connect(path_);
  if (!socket) return retry(socket.error());
  socket_ = std::move(*socket);
  const abi::Hello hello{.header = abi::handover_header<abi::Hello>(abi::HandoverType::hello),
                         .role = abi::Role::control,
                         .worker = 0,
                         .pid = static_cast<std::uint32_t>(::getpid()),
                         .reserved = 0};
  if (Result<bool> sent = socket_.send(std::as_bytes(std::span(&hello, 1))); !sent || !*sent) {
    socket_.close();
    return retry(sent ? fail(Errc::busy, "greet the data plane", "its socket is full").error()
                      : sent.error());
  }
  readable_ = loop_.when_readable(socket_.fd(), [this] { on_readable(); });
  timer_ = loop_.after(kWelcomeWithin, [this] {
    lose({Errc::timed_out, "attach to the data plane", "it does not answer", "see its log"});
  });
}

void DataplaneLink::retry(const Error& error) {
  if (error.sentence() != last_error_) {
    last_error_ = error.sentence();
    log_info("waiting for the data plane (" + last_error_ + ")");
  }
  timer_ = loop_.after(kRetry, [this] { try_connect(); });
}

void DataplaneLink::lose(const Error& error) {
  const bool was_attached = segments_.has_value();
  const bool expected = was_attached && is_stopping(*segments_);
  readable_.reset();
  writable_.reset();
  outgoing_.clear();
  segments_.reset();
  socket_.close();
  ++attachment_;
  if (was_attached) {
    if (expected)
      log_info("the data plane has stopped");
    else
      log_warning("data plane lost (" + error.sentence() + "); control tries again until it is back");
    last_error_ = error.sentence();
    listener_->on_lost();
  }
  retry(error);
}

void DataplaneLink::on_readable() {
  // Bounded, so that a data plane that never stops talking cannot hold up the loop.
  for (int i = 0; i < 64 && socket_; ++i) {
    Result<std::optional<Datagram>> datagram = socket_.receive();
    if (!datagram) return lose(datagram.error());
    if (!*datagram) return;
    if (Result<void> taken = take(std::move(**datagram)); !taken) return lose(taken.error());
  }
}

Result<void> DataplaneLink::take(Datagram datagram) {
  abi::HandoverHeader header{};
  if (datagram.bytes.size() < sizeof header) return nonsense();
  std::memcpy(&header, datagram.bytes.data(), sizeof header);
  if (header.magic != abi::kHandoverMagic) return nonsense();
  if (header.version != abi::kSharedVersion)
    return fail(Errc::unsupported, "attach to the data plane",
                "it speaks version " + std::to_string(header.version) +
                    " of the shared layouts, control speaks " + std::to_string(abi::kSharedVersion),
                "run control and data plane of the same version");
  switch (header.type) {
    case abi::HandoverType::welcome:
      return welcome(std::move(datagram));
    case abi::HandoverType::refused: {
      abi::Refused refused{};
      if (!read_message(datagram.bytes, refused)) return nonsense();
      return fail(Errc::not_permitted, "attach to the data plane", text_of(refused.text));
    }
    case abi::HandoverType::process_state: {
      abi::ProcessState state{};
      if (!segments_ || !read_message(datagram.bytes, state)) return nonsense();
      listener_->on_process_state(state, text_of(state.text));
      return {};
    }
    case abi::HandoverType::worker_change: {
      abi::WorkerChange change{};
      if (!segments_ || !read_message(datagram.bytes, change) ||
          change.worker >= segments_->geometry().workers)
        return nonsense();
      listener_->on_worker_change(change);
      return {};
    }
    default:
      return nonsense();
  }
}

Result<void> DataplaneLink::welcome(Datagram datagram) {
  abi::Welcome welcome{};
  if (segments_ || !read_message(datagram.bytes, welcome)) return nonsense();
  Result<Segments> segments = Segments::map(welcome, std::move(datagram.fds));
  if (!segments) return std::unexpected(segments.error());
  segments_ = std::move(*segments);
  timer_.reset();
  last_error_.clear();
  ++attachment_;
  listener_->on_attached();
  return {};
}

void DataplaneLink::queue(const void* message, std::size_t size, UniqueFd fd) {
  if (!segments_ || outgoing_.size() >= kOutgoingMax) return;
  const auto* raw = static_cast<const std::byte*>(message);
  outgoing_.push_back({{raw, raw + size}, std::move(fd)});
  if (!writable_) flush();
}

void DataplaneLink::flush() {
  while (!outgoing_.empty()) {
    const Outgoing& next = outgoing_.front();
    const Result<bool> sent = socket_.send(next.bytes, next.fd.get());
    if (!sent) {
      // Told by the next read as well; losing the link here would pull it away from under the caller.
      outgoing_.clear();
      return;
    }
    if (!*sent) {
      writable_ = loop_.when_writable(socket_.fd(), [this] {
        writable_.reset();
        flush();
      });
      return;
    }
    outgoing_.pop_front();
  }
}

}  // namespace pgrid::control
