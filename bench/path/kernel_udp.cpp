// What a user would write instead of running a node: one process with a kernel socket, recvmmsg and sendmmsg,
// and Wasmtime. The same echo.wasm as in the node, bound to the same two host functions, activated once for
// each batch that the kernel hands out. No rights, no deadlines, no envelope, no limits, nobody else's
// functions: a datagram is a body.
//
// A sender on another CPU keeps `outstanding` datagrams on their way over loopback and counts what comes back
// whole. Both sides spin instead of sleeping, which is in the server's favour. What the kernel drops is sent
// again.
//
//   kernel_udp ECHO.wasm [--body N] [--seconds S] [--outstanding N] [--cpus SERVER,SENDER]      prints one
//   JSON object
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "abi/guest/promisegrid.h"
#include "drivers/base/unique_fd.hpp"
#include "drivers/wasm/engine.hpp"
#include "drivers/wasm/instance.hpp"
#include "drivers/wasm/linker.hpp"
#include "drivers/wasm/module.hpp"

namespace pgrid::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kBatch = 64;  // datagrams for each recvmmsg and sendmmsg
constexpr std::size_t kBodyMax = PG_BODY_MAX;
constexpr int kSocketBuffer = 8 << 20;                 // bytes, each way
constexpr auto kLost = std::chrono::milliseconds(20);  // nothing came for so long: what is out was dropped
constexpr double kWarmUp = 0.3;                        // seconds before counting

struct Options {
  std::string module;
  std::size_t body = 64;
  double seconds = 1;
  unsigned outstanding = 256;
  int server_cpu = 0;
  int sender_cpu = 1;
};

struct Shared {
  std::atomic<bool> stop{false};
  std::uint64_t answered = 0;
  std::uint64_t wrong = 0;
  std::uint64_t lost = 0;
  double seconds = 0;
};

[[noreturn]] void die(std::string_view what, std::string_view why) {
  std::fprintf(stderr, "kernel_udp: %.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(why.size()), why.data());
  std::exit(1);
}

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) die("CPU " + std::to_string(cpu), std::strerror(errno));
}

UniqueFd open_socket() {
  UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) die("socket", std::strerror(errno));
  for (const auto& [forced, asked] :
       {std::pair{SO_RCVBUFFORCE, SO_RCVBUF}, std::pair{SO_SNDBUFFORCE, SO_SNDBUF}})
    if (::setsockopt(fd.get(), SOL_SOCKET, forced, &kSocketBuffer, sizeof kSocketBuffer) != 0)
      ::setsockopt(fd.get(), SOL_SOCKET, asked, &kSocketBuffer, sizeof kSocketBuffer);
  return fd;
}

/// Datagrams of one batch, with the arrays that the two system calls take.
struct Batch {
  std::array<std::array<std::byte, kBodyMax>, kBatch> bodies;
  std::array<sockaddr_in, kBatch> peers;
  std::array<iovec, kBatch> vectors;
  std::array<mmsghdr, kBatch> headers{};

  void lay(bool with_peers) {
    for (unsigned i = 0; i < kBatch; ++i) {
      vectors[i] = {bodies[i].data(), kBodyMax};
      headers[i].msg_hdr = {};
      headers[i].msg_hdr.msg_iov = &vectors[i];
      headers[i].msg_hdr.msg_iovlen = 1;
      if (with_peers) headers[i].msg_hdr.msg_name = &peers[i];
      if (with_peers) headers[i].msg_hdr.msg_namelen = sizeof peers[i];
    }
  }
};

/// The server: host functions over the batch in hand.
class Server {
 public:
  Server(UniqueFd socket, const std::string& path) : socket_(std::move(socket)) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> wasm{std::istreambuf_iterator<char>(file), {}};
    if (wasm.empty()) die(path, "cannot be read");
    const auto bytes = std::as_bytes(std::span(wasm));
    const auto module = must(wasm::Module::compile(engine_, bytes));
    must(linker_.define<&Server::receive>("promisegrid", "receive", this));
    must(linker_.define<&Server::send>("promisegrid", "send", this));
    bound_ = must(linker_.bind(module));
    auto instance = wasm::Instance::create(engine_, bound_, {.memory_bytes = 4u << 20});
    if (!instance) die(path, instance.error().text);
    instance_ = std::make_unique<wasm::Instance>(std::move(*instance));
    in_.lay(true);
    out_.lay(true);
  }

  void serve(const std::atomic<bool>& stop) {
    while (!stop.load(std::memory_order_relaxed)) {
      const int received = ::recvmmsg(socket_.get(), in_.headers.data(), kBatch, MSG_DONTWAIT, nullptr);
      if (received <= 0) continue;
      waiting_ = static_cast<unsigned>(received);
      next_ = answers_ = 0;
      if (!instance_->activate(1)) die("echo", instance_->take_stop().text);
      for (unsigned sent = 0; sent < answers_;) {
        const int n = ::sendmmsg(socket_.get(), out_.headers.data() + sent, answers_ - sent, 0);
        if (n <= 0) break;  // dropped, as a server under load does
        sent += static_cast<unsigned>(n);
      }
      for (unsigned i = 0; i < waiting_; ++i) in_.headers[i].msg_hdr.msg_namelen = sizeof(sockaddr_in);
    }
  }

 private:
  template <typename T>
  static T must(Result<T> result) {
    if (!result) die("Wasmtime", result.error().sentence());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }

  static std::int32_t receive(void* env, std::uint32_t pointer, std::uint32_t capacity) noexcept {
    auto& self = *static_cast<Server*>(env);
    if (self.next_ == self.waiting_) return 0;
    const unsigned i = self.next_;
    const std::uint32_t body = self.in_.headers[i].msg_len;
    if (capacity < sizeof(pg_message) + body) return PG_ERROR_LENGTH;
    std::byte* to = self.instance_->translate(pointer, static_cast<std::uint32_t>(sizeof(pg_message)) + body);
    if (to == nullptr) return PG_ERROR_POINTER;
    pg_message header{};
    header.version = PG_ABI_VERSION;
    header.kind = PG_REQUEST;
    header.to = PG_HANDLE_SELF;
    header.reply = i + 1;
    header.body_length = body;
    std::memcpy(to, &header, sizeof header);
    std::memcpy(to + sizeof header, self.in_.bodies[i].data(), body);
    ++self.next_;
    return static_cast<std::int32_t>(sizeof header + body);
  }

  static std::int32_t send(void* env, std::uint32_t pointer, std::uint32_t length) noexcept {
    auto& self = *static_cast<Server*>(env);
    const std::byte* from = self.instance_->translate(pointer, length);
    if (from == nullptr || length < sizeof(pg_message)) return PG_ERROR_POINTER;
    pg_message header;
    std::memcpy(&header, from, sizeof header);
    if (header.to == 0 || header.to > self.waiting_ || self.answers_ == kBatch) return PG_ERROR_HANDLE;
    if (header.body_length > length - sizeof header || header.body_length > kBodyMax) return PG_ERROR_LENGTH;
    const unsigned i = self.answers_++;
    std::memcpy(self.out_.bodies[i].data(), from + sizeof header, header.body_length);
    self.out_.vectors[i].iov_len = header.body_length;
    self.out_.peers[i] = self.in_.peers[header.to - 1];
    return 0;
  }

  UniqueFd socket_;
  wasm::Engine engine_ = must(wasm::Engine::create({.instances = 1, .memory_max = 4u << 20}));
  wasm::Linker linker_ = must(wasm::Linker::create(engine_));
  wasm::BoundModule bound_;
  std::unique_ptr<wasm::Instance> instance_;
  Batch in_;
  Batch out_;
  unsigned waiting_ = 0;  // received and not yet read by the guest: next_ up to here
  unsigned next_ = 0;
  unsigned answers_ = 0;
};

/// Keeps `outstanding` datagrams on their way and counts those that come back as they went.
void send_and_count(const UniqueFd& socket, const Options& options, Shared& shared) {
  const auto out = std::make_unique<Batch>();
  const auto in = std::make_unique<Batch>();
  out->lay(false);
  in->lay(false);
  for (unsigned i = 0; i < kBatch; ++i) {
    for (std::size_t k = 0; k < options.body; ++k) out->bodies[i][k] = static_cast<std::byte>(k + i);
    out->vectors[i].iov_len = options.body;
  }
  const std::byte* const expected = out->bodies[0].data();
  unsigned waiting = 0;
  std::uint64_t answered = 0;
  std::uint64_t wrong = 0;
  std::uint64_t lost = 0;
  const auto begin = Clock::now();
  auto counted_from =
      begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(kWarmUp));
  const auto end = counted_from + std::chrono::duration_cast<Clock::duration>(
                                      std::chrono::duration<double>(options.seconds));
  bool counting = false;
  auto last_heard = begin;
  for (;;) {
    while (options.outstanding - waiting >= std::min(kBatch, options.outstanding)) {
      const int n =
          ::sendmmsg(socket.get(), out->headers.data(), std::min(kBatch, options.outstanding - waiting), 0);
      if (n <= 0) break;
      waiting += static_cast<unsigned>(n);
    }
    const int n = ::recvmmsg(socket.get(), in->headers.data(), kBatch, MSG_DONTWAIT, nullptr);
    const auto now = Clock::now();
    for (int i = 0; i < n; ++i) {
      const auto& body = in->bodies[static_cast<unsigned>(i)];
      // Bodies differ by what is added to every byte: the first one says which it is, the last one that all
      // came.
      const bool whole = in->headers[static_cast<unsigned>(i)].msg_len == options.body &&
                         (options.body == 0 ||
                          body[options.body - 1] ==
                              static_cast<std::byte>(static_cast<unsigned>(body[0]) -
                                                     static_cast<unsigned>(expected[0]) + options.body - 1));
      ++(whole ? answered : wrong);
    }
    if (n > 0) {
      waiting -= std::min(waiting, static_cast<unsigned>(n));
      last_heard = now;
    } else if (now - last_heard > kLost) {
      lost += waiting;
      waiting = 0;
      last_heard = now;
    }
    if (!counting && now >= counted_from) {
      counting = true;
      answered = wrong = lost = 0;
      counted_from = now;
    }
    if (now >= end) break;
  }
  shared.answered = answered;
  shared.wrong = wrong;
  shared.lost = lost;
  shared.seconds = std::chrono::duration<double>(Clock::now() - counted_from).count();
  shared.stop.store(true);
}

int run(const Options& options) {
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap", std::strerror(errno));
  auto& shared = *new (memory) Shared;
  UniqueFd server_socket = open_socket();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (::bind(server_socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::getsockname(server_socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    die("bind 127.0.0.1", std::strerror(errno));

  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) die("fork", std::strerror(errno));
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    pin(options.sender_cpu);
    server_socket.reset();
    const UniqueFd socket = open_socket();
    if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      die("connect", std::strerror(errno));
    send_and_count(socket, options, shared);
    ::_exit(0);
  }
  pin(options.server_cpu);
  Server(std::move(server_socket), options.module).serve(shared.stop);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0 || shared.seconds <= 0) die("sender", "it died");
  std::printf(
      "{\"messages_per_second\": %.0f, \"answered\": %llu, \"wrong\": %llu, \"lost\": %llu, \"seconds\": "
      "%.3f}\n",
      static_cast<double>(shared.answered) / shared.seconds, static_cast<unsigned long long>(shared.answered),
      static_cast<unsigned long long>(shared.wrong), static_cast<unsigned long long>(shared.lost),
      shared.seconds);
  return 0;
}

bool parse(int argc, char** argv, Options& options) {
  if (argc < 2 || argc % 2 != 0 || argv[1][0] == '-') return false;
  options.module = argv[1];
  for (int i = 2; i < argc; i += 2) {
    const std::string_view name = argv[i];
    const double value = std::atof(argv[i + 1]);
    if (name == "--body" && value >= 1 && value <= kBodyMax)
      options.body = static_cast<std::size_t>(value);
    else if (name == "--seconds" && value > 0)
      options.seconds = value;
    else if (name == "--outstanding" && value >= 1 && value <= 65536)
      options.outstanding = static_cast<unsigned>(value);
    else if (name != "--cpus" ||
             std::sscanf(argv[i + 1], "%d,%d", &options.server_cpu, &options.sender_cpu) != 2)
      return false;
  }
  return true;
}

}  // namespace
}  // namespace pgrid::bench

int main(int argc, char** argv) {
  pgrid::bench::Options options;
  if (pgrid::bench::parse(argc, argv, options)) return pgrid::bench::run(options);
  std::fprintf(
      stderr,
      "usage: kernel_udp ECHO.wasm [--body N] [--seconds S] [--outstanding N] [--cpus SERVER,SENDER]\n");
  return 2;
}
