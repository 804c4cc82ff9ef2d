// Shows: two processes, each with an EAL of its own, exchange frames over a memif; the serving side outlives
// a killed client and takes the next one; a socket that a killed server left is replaced; wrong sockets get
// one sentence.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "drivers/base/unique_fd.hpp"
#include "drivers/dpdk/eal.hpp"
#include "drivers/dpdk/eth_port.hpp"
#include "drivers/dpdk/mbuf_pool.hpp"
#include "tests/drivers/dpdk/frames.hpp"

namespace pgrid::dpdk {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
constexpr auto kLimit = 10s;  // for anything that is polled; normally milliseconds
constexpr const char* kClient = "--client";

Result<Eal> start_eal(const char* name) {
  return Eal::init(
      {.file_prefix = std::string(name) + std::to_string(::getpid()), .huge_pages = false, .memory_mib = 32});
}

template <typename Condition>
bool wait_for(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + kLimit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) return false;
    ::usleep(200);
  }
  return true;
}

/// Sends every frame back with its first byte turned, until killed.
int run_client(const std::string& socket) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  auto eal = start_eal("pgrid-test-memif-client-");
  if (!eal) return std::fprintf(stderr, "%s\n", eal.error().sentence().c_str()), 1;
  auto pool = MbufPool::create({.name = "pool", .count = 2047, .cache = 64});
  if (!pool) return std::fprintf(stderr, "%s\n", pool.error().sentence().c_str()), 1;
  auto port =
      EthPort::create(parse_device("memif:socket=" + socket + ",role=client,id=5").value(), {}, *pool);
  if (!port) return std::fprintf(stderr, "%s\n", port.error().sentence().c_str()), 1;
  if (const auto started = port->start(); !started)
    return std::fprintf(stderr, "%s\n", started.error().sentence().c_str()), 1;
  for (;;) {
    PacketBurst burst = port->rx_queue(0).rx_burst();
    for (Packet& packet : burst.packets()) packet.data()[0] ^= std::byte{0x10};
    while (!burst.empty() && port->tx_queue(0).tx_burst(burst) == 0) ::usleep(50);
    if (burst.empty()) ::usleep(50);
  }
}

class Child {
 public:
  explicit Child(const std::string& socket) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::close_range(3, ~0u, 0);  // DPDK's own sockets would stay open in the child: they are not close-on-exec
    ::execl("/proc/self/exe", "client", kClient, socket.c_str(), nullptr);
    ::_exit(127);
  }
  Child(const Child&) = delete;
  ~Child() { kill(); }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    std::error_code ignored;  // nobody else tidies up after a killed EAL
    fs::remove_all("/var/run/dpdk/pgrid-test-memif-client-" + std::to_string(pid_), ignored);
    pid_ = -1;
  }

 private:
  pid_t pid_;
};

std::optional<Eal> eal;

class DpdkEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    auto made = start_eal("pgrid-test-memif-");
    ASSERT_TRUE(made) << made.error().sentence();
    eal.emplace(std::move(*made));
  }
  void TearDown() override { eal.reset(); }
};

class MemifPort : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("pgrid-memif-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    socket = folder / "memif.sock";
    auto made = MbufPool::create({.name = "pool", .count = 2047, .cache = 64});
    ASSERT_TRUE(made) << made.error().sentence();
    pool.emplace(std::move(*made));
  }
  void TearDown() override {
    port.reset();
    EXPECT_EQ(pool->in_use(), 0u) << "mbufs were lost";
    EXPECT_FALSE(fs::exists(socket)) << "the socket outlived its port";
    fs::remove_all(folder);
  }
  [[nodiscard]] std::string server() const { return "memif:socket=" + socket + ",role=server,id=5"; }
  void open_server() {
    auto opened = EthPort::create(parse_device(server()).value(), {}, *pool);
    ASSERT_TRUE(opened) << opened.error().sentence();
    port.emplace(std::move(*opened));
    const auto started = port->start();
    ASSERT_TRUE(started) << started.error().sentence();
  }
  std::string refusal(const std::string& device) {
    auto opened = EthPort::create(parse_device(device).value(), {}, *pool);
    return opened ? "opened" : opened.error().sentence();
  }
  /// Sends `count` numbered frames, a burst at a time, and expects each back, in order.
  void expect_echoes(unsigned count) {
    unsigned sent = 0, back = 0;
    const bool all = wait_for([&] {
      PacketBurst out;
      while (sent + out.size() < count && !out.full() && sent + out.size() - back < 256) {
        Packet packet = pool->alloc();
        if (!packet) break;
        (void)packet.resize(64);
        std::memset(packet.data(), 0, 64);
        const unsigned number = sent + out.size();
        std::memcpy(packet.data() + 20, &number, sizeof number);
        out.push(std::move(packet));
      }
      sent += port->tx_queue(0).tx_burst(out);
      PacketBurst in = port->rx_queue(0).rx_burst();
      for (const Packet& packet : in.packets()) {
        unsigned number = 0;
        std::memcpy(&number, packet.data() + 20, sizeof number);
        EXPECT_EQ(number, back);
        EXPECT_EQ(packet.data()[0], std::byte{0x10}) << "an echo of the client, not our own frame";
        EXPECT_EQ(packet.data_length(), 64u);
        ++back;
      }
      return back >= count;
    });
    EXPECT_TRUE(all) << back << " of " << count << " came back, " << sent << " were sent";
  }

  fs::path folder;
  std::string socket;
  std::optional<MbufPool> pool;
  std::optional<EthPort> port;
};

TEST_F(MemifPort, FramesGoBothWaysBetweenTwoProcesses) {
  open_server();
  EXPECT_EQ(port->driver(), "net_memif");
  EXPECT_FALSE(port->link().up) << "nobody is there yet";
  EXPECT_EQ(port->mac()[0] & 3, 2) << "locally administered, unicast";
  const Child client(socket);
  ASSERT_TRUE(wait_for([&] { return port->link().up; }));
  expect_echoes(5000);
}

TEST_F(MemifPort, AKilledClientIsNoticedAndTheNextOneServed) {
  open_server();
  for (int life = 0; life < 3; ++life) {
    Child client(socket);
    ASSERT_TRUE(wait_for([&] { return port->link().up; }));
    expect_echoes(200);
    client.kill();
    ASSERT_TRUE(wait_for([&] { return !port->link().up; }));
    EXPECT_EQ(port->rx_queue(0).rx_burst().size(), 0u);
  }
}

TEST_F(MemifPort, ASocketThatAKilledServerLeftIsReplaced) {
  {
    const UniqueFd left(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
    socket.copy(name.sun_path, sizeof name.sun_path - 1);
    ASSERT_EQ(::bind(left.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  }
  ASSERT_TRUE(fs::exists(socket));
  open_server();
}

TEST_F(MemifPort, WrongSocketsGetOneSentence) {
  const std::string client = "memif:socket=" + socket + ",role=client,id=5";
  EXPECT_EQ(refusal(client),
            "memif socket " + socket + ": nobody listens there; start the side with role=server first");
  const std::string nowhere = (folder / "nowhere" / "a.sock").string();
  EXPECT_EQ(refusal("memif:socket=" + nowhere + ",role=server"),
            "memif socket " + nowhere + ": folder " + (folder / "nowhere").string() +
                ": No such file or directory; make it, or name another");
  {
    std::ofstream(folder / "file") << "x";
  }
  EXPECT_EQ(
      refusal("memif:socket=" + (folder / "file").string() + ",role=server"),
      "memif socket " + (folder / "file").string() + ": there is a file of that name; name another path");
  open_server();
  EXPECT_EQ(
      refusal(server()),
      "memif socket " + socket + ": somebody listens there already; give each memif port a path of its own");
}

}  // namespace

int run_tests(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == kClient) return run_client(argv[2]);
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new DpdkEnvironment);
  return RUN_ALL_TESTS();
}

}  // namespace pgrid::dpdk

int main(int argc, char** argv) { return pgrid::dpdk::run_tests(argc, argv); }
