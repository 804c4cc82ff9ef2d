// Shows the process pgrid-worker against a data plane that this test plays: hello, rings, loading sealed code, answers, a
// function that cannot start, unloading, and an end without noise when the data plane goes away or SIGTERM comes. All of it
// within the sandbox, with every way of idling.
// argv: pgrid-worker's path in PGRID_WORKER.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "abi/shared/records.hpp"
#include "abi/shared/segment.hpp"
#include "dataplane/handover_socket.hpp"
#include "drivers/shm/segment.hpp"
#include "drivers/wasm/engine.hpp"
#include "tests/guests/guests.hpp"

namespace pgrid::worker {
namespace {

using dataplane::Datagram;
using dataplane::HandoverSocket;
constexpr int kWithinMs = 20'000;

constexpr abi::Geometry kGeometry{.poll_cores = 1,
                                  .workers = 1,
                                  .rights = 64,
                                  .in_flight = 256,
                                  .request_ring = 1u << 18,
                                  .reply_ring = 1u << 19,
                                  .control_ring = 1u << 16,
                                  .processes = 4};

class WorkerProcess : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/pgrid-worker-test-XXXXXX";
    folder_ = ::mkdtemp(name);
    auto listening = dataplane::listen_at((folder_ / "dataplane.sock").string());
    ASSERT_TRUE(listening) << listening.error().sentence();
    listening_ = std::move(*listening);
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(folder_);
  }

  void start(const std::string& idle = "sleep") {
    std::ofstream(folder_ / "node.toml") << "[node]\nname = \"test\"\nidle = \"" << idle << "\"\n[[port]]\ndevice = \"null:\"\n"
                                         << "addresses = [\"192.0.2.1/24\"]\nplaintext = true\n"
                                         << "[cores]\npoll = [0]\nworkers = [0]\nshared = true\n";
    const std::string config = (folder_ / "node.toml").string(), node = folder_.string();
    const char* const arguments[] = {PGRID_WORKER, "--index",     "0", "--config", config.c_str(),
                                     "--node",     node.c_str(), nullptr};
    ASSERT_EQ(::posix_spawn(&pid_, PGRID_WORKER, nullptr, nullptr, const_cast<char* const*>(arguments), environ), 0);
    ASSERT_TRUE(readable(listening_.get()));
    socket_ = HandoverSocket(UniqueFd(::accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC)));
    Datagram datagram = next();
    const auto hello = datagram.as<abi::Hello>(abi::HandoverType::hello);
    ASSERT_TRUE(hello);
    EXPECT_EQ(hello->role, abi::Role::worker);
    EXPECT_EQ(hello->pid, static_cast<std::uint32_t>(pid_));
  }
  void welcome() {
    segment_ = *shm::Segment::create("rings", abi::worker_rings_size(kGeometry));
    abi::SegmentHeader header{};
    header.magic = abi::kSegmentMagic;
    header.version = abi::kSharedVersion;
    header.kind = abi::SegmentKind::worker_rings;
    header.size = segment_.size();
    header.geometry = kGeometry;
    std::memcpy(segment_.data(), &header, sizeof header);
    requests_ = abi::RingProducer(segment_.data() + abi::request_ring_offset(kGeometry, 0), kGeometry.request_ring);
    replies_ = abi::RingConsumer(segment_.data() + abi::reply_ring_offset(kGeometry, 0), kGeometry.reply_ring);
    send_welcome(kGeometry);
  }
  void send_welcome(const abi::Geometry& geometry) {
    abi::Welcome welcome{};
    welcome.header = abi::handover_header<abi::Welcome>(abi::HandoverType::welcome);
    welcome.geometry = geometry;
    welcome.tsc_hz = 1'000'000'000;
    welcome.segments = 1;
    welcome.sizes[0] = segment_.size();
    const int fds[] = {segment_.fd()};
    ASSERT_TRUE(socket_.send(welcome, fds));
  }
  static bool readable(int fd) {
    pollfd one{fd, POLLIN, 0};
    return ::poll(&one, 1, kWithinMs) == 1;
  }
  Datagram next() {
    Datagram datagram;
    EXPECT_TRUE(readable(socket_.fd()));
    EXPECT_EQ(socket_.receive(datagram), HandoverSocket::Received::datagram);
    return datagram;
  }
  abi::ProcessState load(const std::vector<std::byte>& code, std::uint32_t process, bool sealed = true) {
    abi::LoadProcess message{};
    message.header = abi::handover_header<abi::LoadProcess>(abi::HandoverType::load_process);
    message.process = process;
    message.generation = 3;
    message.limits = {.memory_bytes = 1u << 20, .time_limit_us = 2000, .mailbox = 64};
    message.code_size = code.size();
    UniqueFd fd(::memfd_create("code", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    EXPECT_EQ(::write(fd.get(), code.data(), code.size()), static_cast<ssize_t>(code.size()));
    if (sealed) fd = *shm::sealed_copy("code", code);
    const int fds[] = {fd.get()};
    EXPECT_TRUE(socket_.send(message, fds));
    Datagram datagram = next();
    const auto state = datagram.as<abi::ProcessState>(abi::HandoverType::process_state);
    EXPECT_TRUE(state);
    return state.value_or(abi::ProcessState{});
  }
  static std::vector<std::byte> code_of(const std::string& guest) {
    static const auto engine = *wasm::Engine::create({});
    return *wasm::Module::compile(engine, tests::guest(guest))->serialize();
  }
  std::string call(std::uint32_t process, const std::string& body) {
    abi::WorkerRequest header{};
    header.process = process;
    header.reply_slot = abi::send_once_slot(0, 5);
    std::byte* record = requests_.reserve(abi::kRecordHeader + static_cast<std::uint32_t>(body.size()));
    std::memcpy(record + 4, reinterpret_cast<std::byte*>(&header) + 4, sizeof header - 4);
    std::memcpy(record + sizeof header, body.data(), body.size());
    requests_.commit();
    requests_.publish();
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(kWithinMs);
    while (std::chrono::steady_clock::now() < until) {
      const abi::RingRecord found = replies_.front();
      if (!found) {
        std::this_thread::yield();
        continue;
      }
      abi::WorkerReply reply;
      std::memcpy(&reply, found.data, sizeof reply);
      std::string text(reinterpret_cast<const char*>(found.data) + sizeof reply, found.length - sizeof reply);
      replies_.pop();
      replies_.release();
      if (reply.type != static_cast<std::uint8_t>(abi::ReplyType::answer)) continue;
      const auto reason = static_cast<abi::Reason>(reply.reason);
      return reason == abi::Reason::none ? text : std::string(abi::name_of(reason));
    }
    return "no answer";
  }
  /// A line of /proc/PID/task/TID/status.
  static std::string status_line(const std::filesystem::path& task, const std::string& name) {
    std::ifstream file(task / "status");
    for (std::string line; std::getline(file, line);)
      if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
    return "none";
  }
  /// The exit status, or minus the signal.
  int end() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  std::filesystem::path folder_;
  UniqueFd listening_;
  pid_t pid_ = -1;
  HandoverSocket socket_;
  shm::Segment segment_;
  abi::RingProducer requests_;
  abi::RingConsumer replies_;
};

TEST_F(WorkerProcess, ServesAndEndsWithTheDataPlane) {
  start();
  welcome();
  const auto state = load(code_of("echo"), 7);
  EXPECT_EQ(state.status, abi::ProcessStatus::loaded) << state.text;
  EXPECT_EQ(state.process, 7u);
  EXPECT_EQ(state.generation, 3u);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(call(7, "message " + std::to_string(i)), "message " + std::to_string(i));
  socket_ = HandoverSocket();
  EXPECT_EQ(end(), 0);
}

TEST_F(WorkerProcess, EveryThreadIsInTheSandbox) {
  start();
  welcome();
  EXPECT_EQ(load(code_of("echo"), 1).status, abi::ProcessStatus::loaded);
  const std::filesystem::path proc = "/proc/" + std::to_string(pid_);
  int threads = 0;
  for (const auto& task : std::filesystem::directory_iterator(proc / "task")) {
    ++threads;
    EXPECT_EQ(status_line(task, "Seccomp"), "2") << status_line(task, "Name");  // SECCOMP_MODE_FILTER
    EXPECT_EQ(status_line(task, "NoNewPrivs"), "1");
    for (const char* set : {"CapPrm", "CapEff", "CapInh", "CapAmb"}) EXPECT_EQ(status_line(task, set), "0000000000000000") << set;
    if (::geteuid() == 0) {
      EXPECT_EQ(status_line(task, "CapBnd"), "0000000000000000");
    }
  }
  EXPECT_EQ(threads, 3);
  if (::geteuid() != 0) return;  // nobody else may look into it
  std::map<std::string, int> open;
  for (const auto& fd : std::filesystem::directory_iterator(proc / "fd")) {
    const std::string target = std::filesystem::read_symlink(fd).string();
    const int number = std::stoi(fd.path().filename());
    if (number != STDERR_FILENO) ++open[target.substr(0, target.find_first_of("[ "))];
  }
  const std::map<std::string, int> expected = {
      {"/dev/null", 2}, {"anon_inode:", 1}, {"socket:", 1}, {"/memfd:rings", 1}};  // signalfd, the hand-over socket
  EXPECT_EQ(open, expected);
}

TEST_F(WorkerProcess, EveryIdlePolicyWorksInTheSandbox) {
  ::setenv("RUST_BACKTRACE", "full", 1);  // would make the engine read files to describe an error
  for (const char* idle : {"spin", "yield", "sleep"}) {
    start(idle);
    welcome();
    EXPECT_EQ(load(code_of("faults"), 1).status, abi::ProcessStatus::loaded);
    EXPECT_EQ(load(tests::guest("echo"), 2).status, abi::ProcessStatus::failed) << "a module, not compiled code";
    for (const char* fault : {"trap", "out of bounds", "division", "recursion", "loop"})
      EXPECT_EQ(call(1, fault), "broken") << idle << ": " << fault;
    for (int page = 2; page < 16; ++page) ASSERT_EQ(call(1, "grow"), "grow") << idle << ": page " << page;
    EXPECT_EQ(call(1, "grow"), "broken") << idle << ": beyond its limit of 1 MiB";
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(call(1, "trap"), "broken");
    for (int i = 0; i < 3; ++i) {  // the kernel goes on with what it stopped by restart_syscall
      ::kill(pid_, SIGSTOP);
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      ::kill(pid_, SIGCONT);
      EXPECT_EQ(call(1, "x"), "x");
    }
    ::kill(pid_, SIGTERM);
    EXPECT_EQ(end(), 0) << idle;
  }
  ::unsetenv("RUST_BACKTRACE");
}

TEST_F(WorkerProcess, LimitsHoldWhereTheTickerSlept) {
  start();
  welcome();
  EXPECT_EQ(load(code_of("misbehave"), 1).status, abi::ProcessStatus::loaded);
  EXPECT_EQ(load(code_of("echo"), 2).status, abi::ProcessStatus::loaded);
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // long enough for the ticker to go to sleep
  EXPECT_EQ(call(1, "loop"), "broken");
  EXPECT_EQ(call(1, "trap"), "broken");
  EXPECT_EQ(call(1, "x"), "x");
  EXPECT_EQ(call(2, "y"), "y");
  ::kill(pid_, SIGTERM);
  EXPECT_EQ(end(), 0);
}

TEST_F(WorkerProcess, SaysWhyAProcessDoesNotLoad) {
  start();
  welcome();
  const auto looping = load(code_of("init_loops"), 1);
  EXPECT_EQ(looping.status, abi::ProcessStatus::failed);
  EXPECT_NE(std::string(looping.text).find("the time limit passed"), std::string::npos) << looping.text;
  EXPECT_EQ(load(code_of("start_loops"), 1).status, abi::ProcessStatus::failed);
  const auto open = load(code_of("echo"), 1, false);
  EXPECT_EQ(open.status, abi::ProcessStatus::failed);
  EXPECT_NE(std::string(open.text).find("sealed"), std::string::npos) << open.text;
  EXPECT_EQ(load(tests::guest("echo"), 1).status, abi::ProcessStatus::failed);  // a module, not compiled code
  EXPECT_EQ(call(1, "x"), "busy");
  for (std::uint32_t process = 1; process <= kGeometry.processes; ++process)
    EXPECT_EQ(load(code_of("echo"), process).status, abi::ProcessStatus::loaded);
  const auto one_more = load(code_of("echo"), 9);
  EXPECT_EQ(one_more.status, abi::ProcessStatus::failed);
  EXPECT_NE(std::string(one_more.text).find("4 processes"), std::string::npos) << one_more.text;

  abi::UnloadProcess unload{};
  unload.header = abi::handover_header<abi::UnloadProcess>(abi::HandoverType::unload_process);
  unload.process = 2;
  unload.generation = 3;
  ASSERT_TRUE(socket_.send(unload));
  EXPECT_EQ(next().as<abi::ProcessState>(abi::HandoverType::process_state)->status, abi::ProcessStatus::unloaded);
  EXPECT_EQ(call(2, "x"), "busy");
  EXPECT_EQ(load(code_of("echo"), 9).status, abi::ProcessStatus::loaded);
  EXPECT_EQ(call(9, "x"), "x");
}

TEST_F(WorkerProcess, IdleIsSmall) {
  start();
  welcome();
  EXPECT_EQ(load(code_of("echo"), 1).status, abi::ProcessStatus::loaded);
  EXPECT_EQ(call(1, "x"), "x");
  std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
  std::string word;
  while (status >> word && word != "VmRSS:") {
  }
  std::size_t kib = 0;
  status >> kib;
  EXPECT_GT(kib, 0u);
  EXPECT_LT(kib, 64u << 10);
}

TEST_F(WorkerProcess, RefusedOrDeceived) {
  start();
  abi::Refused refused{};
  refused.header = abi::handover_header<abi::Refused>(abi::HandoverType::refused);
  std::strcpy(refused.text, "the seat is taken");
  ASSERT_TRUE(socket_.send(refused));
  EXPECT_EQ(end(), 1);

  start();
  welcome();  // sends the right one; the worker takes it
  socket_ = HandoverSocket();
  EXPECT_EQ(end(), 0);

  start();
  segment_ = *shm::Segment::create("other", abi::worker_rings_size(kGeometry));  // zero: no header
  send_welcome(kGeometry);
  EXPECT_EQ(end(), 1);

  start();
  abi::Geometry larger = kGeometry;
  larger.reply_ring *= 2;  // than the segment is
  send_welcome(larger);
  EXPECT_EQ(end(), 1);
}

TEST_F(WorkerProcess, CorruptRingsEndIt) {
  start();
  welcome();
  EXPECT_EQ(load(code_of("echo"), 1).status, abi::ProcessStatus::loaded);
  auto* ring = reinterpret_cast<abi::RingHeader*>(segment_.data() + abi::request_ring_offset(kGeometry, 0));
  ring->tail.value.store(1ull << 40);
  EXPECT_EQ(end(), 1);
}

}  // namespace
}  // namespace pgrid::worker
