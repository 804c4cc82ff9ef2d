#include "tools/load/generator.hpp"

#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <random>

#include "tools/wire_client/datagram.hpp"
#include "tools/wire_client/udp_socket.hpp"

namespace pgrid::tools {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;   // ns
constexpr std::size_t kBatch = 64;                 // datagrams for each sendmmsg and recvmmsg
constexpr std::uint64_t kWindow = 1u << 20;        // requests remembered: 24 MiB; one second at a million per second
constexpr std::uint64_t kLook = 10'000'000;        // ns between two looks at `stop`
constexpr std::uint64_t kRetry = 200'000;          // ns after a send that the kernel refused
constexpr std::uint64_t kGiveUp = 30 * kSecond;    // without one datagram sent
constexpr int kSocketBuffer = 4 << 20;             // bytes asked for, each way; the kernel may give less

std::uint64_t now_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<std::uint64_t>(t.tv_sec) * kSecond + static_cast<std::uint64_t>(t.tv_nsec);
}

class Generator {
 public:
  Generator(const LoadOptions& options, const std::function<bool()>& stop,
            const std::function<void(const LoadReport&)>& progress)
      : options_(options), stop_(stop), progress_(progress), book_(kWindow, to_ns(options.timeout)) {}

  Result<void> prepare();
  Result<LoadReport> run();

 private:
  struct Target {
    RequestDatagram request;
    std::size_t socket;
  };

  static std::uint64_t to_ns(std::chrono::microseconds us) { return static_cast<std::uint64_t>(us.count()) * 1000; }

  [[nodiscard]] std::uint64_t intended_ns(std::uint64_t sequence) const {
    return start_ns_ + static_cast<std::uint64_t>(static_cast<double>(sequence) * static_cast<double>(kSecond) / options_.rate);
  }
  [[nodiscard]] bool sending_over(std::uint64_t now) const;
  [[nodiscard]] std::uint64_t due(std::uint64_t now) const;
  void send_due();
  void receive(std::size_t socket);
  void take(std::span<const std::byte> datagram, std::uint64_t now);
  [[nodiscard]] bool is_echo(const Answer& answer) const;
  void wait();
  [[nodiscard]] LoadReport report() const;

  const LoadOptions& options_;
  const std::function<bool()>& stop_;
  const std::function<void(const LoadReport&)>& progress_;
  RequestBook book_;
  std::vector<UniqueFd> sockets_;
  std::vector<Target> targets_;
  std::vector<RequestDatagram> outgoing_;  // kBatch
  std::vector<ReceiveBuffer> incoming_ = std::vector<ReceiveBuffer>(kBatch);
  std::vector<std::byte> pattern_;
  LoadReport report_;
  std::uint64_t id_base_ = 0;  // added to sequence numbers, so that answers to an earlier run are not taken for ours
  std::uint64_t start_ns_ = 0;
  std::uint64_t last_sent_ns_ = 0;
  std::uint64_t retry_at_ns_ = 0;
  bool stopped_ = false;
};

Result<void> Generator::prepare() {
  for (std::size_t i = 0; i < options_.body; ++i) pattern_.push_back(static_cast<std::byte>('a' + i % 26));
  std::vector<HostPort> hosts;
  for (const wire::GridUri& uri : options_.rights) {
    const auto known = std::find_if(hosts.begin(), hosts.end(),
                                    [&](const HostPort& h) { return h.host == uri.host && h.port == uri.port; });
    const auto socket = static_cast<std::size_t>(known - hosts.begin());
    if (known == hosts.end()) {
      hosts.push_back({uri.host, uri.port});
      auto fd = connect_udp(hosts.back());
      if (!fd) return std::unexpected(fd.error());
      ::setsockopt(fd->get(), SOL_SOCKET, SO_RCVBUF, &kSocketBuffer, sizeof kSocketBuffer);
      ::setsockopt(fd->get(), SOL_SOCKET, SO_SNDBUF, &kSocketBuffer, sizeof kSocketBuffer);
      sockets_.push_back(std::move(*fd));
    }
    auto request = RequestDatagram::build(uri.right, pattern_, 0, options_.deadline_us);
    if (!request) return std::unexpected(request.error());
    targets_.push_back({std::move(*request), socket});
  }
  outgoing_.resize(kBatch, targets_.front().request);
  std::random_device random;
  id_base_ = std::uint64_t{random()} << 32;  // leaves 2^32 numbers before the next base, more than a run sends
  ::prctl(PR_SET_TIMERSLACK, 1);             // open loop: wake when due, not 50 us later
  return {};
}

bool Generator::sending_over(std::uint64_t now) const {
  if (stopped_) return true;
  if (options_.count) return book_.next_sequence() >= *options_.count;
  return now - start_ns_ >= to_ns(options_.duration);
}

/// How many requests should go out now.
std::uint64_t Generator::due(std::uint64_t now) const {
  if (sending_over(now)) return 0;
  std::uint64_t n;
  if (options_.rate > 0) {
    const auto scheduled =
        static_cast<std::uint64_t>(static_cast<double>(now - start_ns_) * options_.rate / static_cast<double>(kSecond)) + 1;
    n = scheduled > book_.next_sequence() ? scheduled - book_.next_sequence() : 0;
  } else {
    n = options_.outstanding > book_.waiting() ? options_.outstanding - book_.waiting() : 0;
  }
  if (options_.count) n = std::min(n, *options_.count - book_.next_sequence());
  return std::min(n, book_.room());
}

void Generator::send_due() {
  std::uint64_t now = now_ns();
  for (std::uint64_t left = now < retry_at_ns_ ? 0 : due(now); left > 0;) {
    // A batch is for one socket: as far as the round of rights stays on it.
    mmsghdr headers[kBatch] = {};
    iovec vectors[kBatch];
    const std::uint64_t first = book_.next_sequence();
    const std::size_t socket = targets_[first % targets_.size()].socket;
    std::size_t n = 0;
    for (; n < std::min<std::uint64_t>(left, kBatch); ++n) {
      const Target& target = targets_[(first + n) % targets_.size()];
      if (target.socket != socket) break;
      outgoing_[n] = target.request;  // a copy within its capacity
      const std::uint64_t id = id_base_ + first + n;
      outgoing_[n].set_id(id);
      const auto body = outgoing_[n].body();
      if (options_.verify_echo) std::memcpy(body.data(), &id, std::min(body.size(), sizeof id));
      const auto bytes = outgoing_[n].bytes();
      vectors[n] = {const_cast<std::byte*>(bytes.data()), bytes.size()};
      headers[n].msg_hdr.msg_iov = &vectors[n];
      headers[n].msg_hdr.msg_iovlen = 1;
    }
    now = now_ns();
    const int taken = ::sendmmsg(sockets_[socket].get(), headers, static_cast<unsigned>(n), 0);
    if (taken <= 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) {
        ++report_.send_errors;
        report_.send_error = std::strerror(errno);
      }
      retry_at_ns_ = now + kRetry;
      return;
    }
    for (int i = 0; i < taken; ++i)
      book_.sent(now, options_.rate > 0 ? intended_ns(book_.next_sequence()) : now);
    last_sent_ns_ = now;
    left -= static_cast<std::uint64_t>(taken);
  }
}

void Generator::receive(std::size_t socket) {
  for (;;) {
    mmsghdr headers[kBatch] = {};
    iovec vectors[kBatch];
    for (std::size_t i = 0; i < kBatch; ++i) {
      const auto room = incoming_[i].room();
      vectors[i] = {room.data(), room.size()};
      headers[i].msg_hdr.msg_iov = &vectors[i];
      headers[i].msg_hdr.msg_iovlen = 1;
    }
    const int n = ::recvmmsg(sockets_[socket].get(), headers, kBatch, MSG_DONTWAIT, nullptr);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nothing more, or an ICMP error: what was sent times out by itself
    const std::uint64_t now = now_ns();
    for (int i = 0; i < n; ++i) take(incoming_[static_cast<std::size_t>(i)].room().first(headers[i].msg_len), now);
    if (static_cast<std::size_t>(n) < kBatch) return;
  }
}

void Generator::take(std::span<const std::byte> datagram, std::uint64_t now) {
  const auto answer = read_answer(datagram);
  if (!answer) {
    ++report_.malformed;
    return;
  }
  const auto settled = book_.settle(answer->id - id_base_, now, answer->kind, answer->reason);
  if (settled == RequestBook::Settled::counted && answer->kind == abi::Kind::answer && options_.verify_echo &&
      !is_echo(*answer))
    ++report_.wrong_body;
}

bool Generator::is_echo(const Answer& answer) const {
  if (answer.body.size() != pattern_.size()) return false;
  if (pattern_.empty()) return true;  // memcmp may not be given null, not even for no bytes
  const std::size_t head = std::min(pattern_.size(), sizeof answer.id);
  return std::memcmp(answer.body.data(), &answer.id, head) == 0 &&
         std::memcmp(answer.body.data() + head, pattern_.data() + head, pattern_.size() - head) == 0;
}

/// Sleeps until a datagram comes, the next request is due, one expires, or it is time to look around.
void Generator::wait() {
  const std::uint64_t now = now_ns();
  std::uint64_t until = std::min(now + kLook, book_.next_expiry_ns());
  if (!sending_over(now) && book_.room() > 0) {
    if (retry_at_ns_ > now)
      until = std::min(until, retry_at_ns_);
    else if (options_.rate > 0)
      until = std::min(until, intended_ns(book_.next_sequence()));
  }
  std::vector<pollfd> fds;
  for (const UniqueFd& socket : sockets_) fds.push_back({socket.get(), POLLIN, 0});
  const std::uint64_t left = until > now ? until - now : 0;
  const timespec limit{static_cast<time_t>(left / kSecond), static_cast<long>(left % kSecond)};
  ::ppoll(fds.data(), fds.size(), &limit, nullptr);
  for (std::size_t i = 0; i < fds.size(); ++i)
    if (fds[i].revents != 0) receive(i);
}

LoadReport Generator::report() const {
  LoadReport result = report_;
  result.tallies = book_.tallies();
  const auto seconds = [&](std::uint64_t end) { return end <= start_ns_ ? 0 : static_cast<double>(end - start_ns_) / 1e9; };
  result.sending_seconds = seconds(last_sent_ns_);
  result.seconds = seconds(now_ns());
  return result;
}

Result<LoadReport> Generator::run() {
  start_ns_ = last_sent_ns_ = now_ns();
  std::uint64_t look_at = start_ns_ + kLook;
  std::uint64_t progress_at = start_ns_ + kSecond;
  for (;;) {
    send_due();
    wait();
    const std::uint64_t now = now_ns();
    book_.expire(now);
    if (now >= look_at) {
      look_at = now + kLook;
      stopped_ = stopped_ || stop_();
    }
    if (now >= progress_at) {
      progress_at += kSecond;
      progress_(report());
    }
    if (!sending_over(now) && retry_at_ns_ > last_sent_ns_ && now - last_sent_ns_ > kGiveUp) stopped_ = true;
    if (sending_over(now) && book_.waiting() == 0) return report();
  }
}

}  // namespace

Result<LoadReport> generate_load(const LoadOptions& options, const std::function<bool()>& stop,
                                 const std::function<void(const LoadReport&)>& progress) {
  // On the heap: the book and its histogram are large.
  const auto generator = std::make_unique<Generator>(options, stop, progress);
  if (const auto prepared = generator->prepare(); !prepared) return std::unexpected(prepared.error());
  return generator->run();
}

}  // namespace pgrid::tools
