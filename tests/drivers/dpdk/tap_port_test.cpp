// Shows: a real TAP interface, in a network namespace of this test's own. What kernel sockets send arrives as
// packets, what we transmit arrives at kernel sockets, checksums are right both ways, the kernel's end has
// the addresses it was given, every mbuf comes back, and a second node runs beside the first.
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "drivers/base/unique_fd.hpp"
#include "drivers/dpdk/eal.hpp"
#include "drivers/dpdk/eth_port.hpp"
#include "drivers/dpdk/mbuf_pool.hpp"
#include "drivers/dpdk/tap_host.hpp"
#include "tests/drivers/dpdk/frames.hpp"
#include "tests/drivers/dpdk/network_namespace.hpp"

namespace pgrid::dpdk {
namespace {

using namespace std::chrono_literals;
constexpr auto kLimit = 5s;  // for anything that is polled; normally milliseconds
constexpr const char* kSecondNode = "--second-node";

constexpr test::Mac kBroadcast{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr const char* kHostV4 = "192.0.2.1";
constexpr const char* kNodeV4 = "192.0.2.2";
constexpr const char* kHostV6 = "2001:db8::1";
constexpr const char* kNodeV6 = "2001:db8::2";

HostAddress address(const char* text, std::uint8_t prefix) {
  HostAddress result{.prefix = prefix, .is_v4 = std::strchr(text, ':') == nullptr};
  const test::Bytes bytes = test::ip_bytes(text);
  std::copy(bytes.begin(), bytes.end(), result.bytes);
  return result;
}

EalOptions node_options(const char* name) {
  return {
      .file_prefix = std::string(name) + std::to_string(::getpid()), .huge_pages = false, .memory_mib = 32};
}

std::optional<Eal> eal;

class DpdkEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    Result<Eal> made = Eal::init(node_options("pgrid-test-tap-"));
    ASSERT_TRUE(made) << made.error().sentence();
    eal.emplace(std::move(*made));
  }
  void TearDown() override { eal.reset(); }
};

/// The output of a shell command.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  for (int c = 0; (c = std::fgetc(pipe)) != EOF;) text.push_back(static_cast<char>(c));
  ::pclose(pipe);
  return text;
}

/// A kernel UDP socket bound to the host's end.
class KernelSocket {
 public:
  KernelSocket(const char* ip, std::uint16_t port)
      : family_(std::strchr(ip, ':') != nullptr ? AF_INET6 : AF_INET) {
    fd_ = UniqueFd(::socket(family_, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto name = socket_address(ip, port);
    bound_ = ::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0;
  }
  [[nodiscard]] bool bound() const { return bound_; }
  void send(const char* ip, std::uint16_t port, std::string_view text) const {
    const auto name = socket_address(ip, port);
    EXPECT_EQ(::sendto(fd_.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&name),
                       sizeof name),
              static_cast<ssize_t>(text.size()))
        << std::strerror(errno);
  }
  /// The next datagram, or "" after the limit.
  [[nodiscard]] std::string receive() const {
    pollfd wait{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, static_cast<int>(std::chrono::milliseconds(kLimit).count())) != 1) return {};
    char bytes[2048];
    const ssize_t n = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    return std::string(bytes, n > 0 ? static_cast<std::size_t>(n) : 0);
  }

 private:
  [[nodiscard]] sockaddr_in6 socket_address(const char* ip, std::uint16_t port) const {
    sockaddr_in6 room{};
    const test::Bytes bytes = test::ip_bytes(ip);
    if (family_ == AF_INET6) {
      room.sin6_family = AF_INET6;
      room.sin6_port = htons(port);
      std::copy(bytes.begin(), bytes.end(), room.sin6_addr.s6_addr);
    } else {
      sockaddr_in name{};
      name.sin_family = AF_INET;
      name.sin_port = htons(port);
      std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::uint8_t*>(&name.sin_addr));
      std::memcpy(&room, &name, sizeof name);
    }
    return room;
  }
  int family_;
  UniqueFd fd_;
  bool bound_ = false;
};

class TapPort : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<MbufPool> made = MbufPool::create({.name = "pool", .count = 1023, .cache = 64});
    ASSERT_TRUE(made) << made.error().sentence();
    pool.emplace(std::move(*made));
    Result<EthPort> opened = EthPort::create(parse_device("tap:pg0").value(), {.node_name = "test"}, *pool);
    ASSERT_TRUE(opened) << opened.error().sentence();
    port.emplace(std::move(*opened));
    const Result<void> started = port->start();
    ASSERT_TRUE(started) << started.error().sentence();
    const std::array addresses{address(kHostV4, 24), address(kHostV6, 64)};
    const Result<void> set = set_host_addresses("pg0", addresses);
    ASSERT_TRUE(set) << set.error().sentence();
  }
  void TearDown() override {
    port.reset();
    EXPECT_EQ(::if_nametoindex("pg0"), 0u) << "the interface outlived its port";
    EXPECT_EQ(pool->in_use(), 0u) << "mbufs were lost";
  }

  void transmit(const test::Bytes& frame, std::optional<L3Version> offload = {}) {
    Packet packet = pool->alloc();
    ASSERT_TRUE(packet.resize(static_cast<std::uint16_t>(frame.size())));
    std::memcpy(packet.data(), frame.data(), frame.size());
    if (offload) packet.set_tx_checksum_offload(14, *offload == L3Version::v4 ? 20 : 40, *offload);
    ASSERT_EQ(port->tx_queue(0).tx_burst(std::span<Packet>(&packet, 1)), 1);
  }

  /// The first packet that `wanted` accepts (the kernel sends router solicitations and the like in between),
  /// or an empty one after the limit.
  Packet receive(const std::function<bool(std::span<const std::byte>)>& wanted) {
    const auto end = std::chrono::steady_clock::now() + kLimit;
    while (std::chrono::steady_clock::now() < end) {
      PacketBurst burst = port->rx_queue(0).rx_burst();
      for (Packet& packet : burst)
        if (wanted(packet.bytes())) return std::move(packet);
    }
    return Packet();
  }

  Packet receive_arp_request() {
    return receive([](std::span<const std::byte> frame) {
      return test::get16(frame, 12) == 0x0806 && test::get16(frame, 20) == 1 &&
             test::equal(frame, 38, test::ip_bytes(kNodeV4));
    });
  }

  test::Mac host_mac() {
    test::Mac mac = port->mac();
    mac[5] ^= 1;
    return mac;
  }

  std::optional<MbufPool> pool;
  std::optional<EthPort> port;
};

TEST_F(TapPort, IsUpAtOnceAndTheHostHasItsAddresses) {
  EXPECT_TRUE(port->link().up);
  EXPECT_EQ(port->driver(), "net_tap");
  EXPECT_EQ(port->queues(), 1);
  EXPECT_TRUE(port->offloads().rx_udp && port->offloads().tx_udp);
  EXPECT_FALSE(port->offloads().fast_free) << "transmit queues get mbufs of several pools";
  const std::string shown = output_of("ip -o addr show dev pg0");
  EXPECT_NE(shown.find("inet 192.0.2.1/24"), std::string::npos) << shown;
  EXPECT_NE(shown.find("inet6 2001:db8::1/64"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("2001:db8::1/64 scope global tentative"), std::string::npos) << shown;
  EXPECT_NE(output_of("ip link show pg0").find(to_string(host_mac())), std::string::npos);
  EXPECT_EQ(port->mac(), tap_node_mac(tap_host_mac("test", "pg0"))) << "the same after every restart";
}

TEST_F(TapPort, KernelFindsTheNodeByArpAndItsDatagramArrives) {
  const KernelSocket socket(kHostV4, 5000);
  ASSERT_TRUE(socket.bound());
  socket.send(kNodeV4, 4646, "hello");

  const Packet request = receive_arp_request();
  ASSERT_TRUE(request) << "no ARP request came";
  EXPECT_TRUE(test::equal(request.bytes(), 0, kBroadcast));
  EXPECT_TRUE(test::equal(request.bytes(), 6, host_mac()));

  // The node answers with an address that is not the interface's own; the kernel must take it all the same.
  transmit(test::arp(2, host_mac(), port->mac(), kNodeV4, host_mac(), kHostV4));
  const Packet datagram = receive([](std::span<const std::byte> frame) {
    return test::get16(frame, 12) == 0x0800 && test::get16(frame, 36) == 4646;
  });
  ASSERT_TRUE(datagram) << "the datagram never came: the kernel did not accept the ARP answer";
  EXPECT_TRUE(test::equal(datagram.bytes(), 0, port->mac()));
  EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(datagram.data()) + 42, 5), "hello");
  EXPECT_TRUE(datagram.is_contiguous());
  EXPECT_EQ(datagram.ip_checksum(), RxChecksumStatus::good);
  EXPECT_EQ(datagram.l4_checksum(), RxChecksumStatus::good);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(datagram.data()) % 4, 0u);
}

TEST_F(TapPort, DatagramsReachKernelSocketsWithEitherKindOfChecksum) {
  const KernelSocket v4(kHostV4, 5000);
  const KernelSocket v6(kHostV6, 5000);
  ASSERT_TRUE(v4.bound() && v6.bound()) << "an address is not usable yet";
  using test::Checksums;
  const auto frame = [&](const char* from, const char* to, std::string_view text, Checksums checksums) {
    return test::udp(host_mac(), port->mac(), from, to, 4646, 5000, text, checksums);
  };
  transmit(frame(kNodeV4, kHostV4, "software 4", Checksums::complete));
  EXPECT_EQ(v4.receive(), "software 4");
  transmit(frame(kNodeV6, kHostV6, "software 6", Checksums::complete));
  EXPECT_EQ(v6.receive(), "software 6");
  transmit(frame(kNodeV4, kHostV4, "nic 4", Checksums::left_to_the_nic), L3Version::v4);
  EXPECT_EQ(v4.receive(), "nic 4");
  transmit(frame(kNodeV6, kHostV6, "nic 6", Checksums::left_to_the_nic), L3Version::v6);
  EXPECT_EQ(v6.receive(), "nic 6");
  // The kernel does check: the next datagram after one with a wrong checksum is the one that arrives.
  transmit(frame(kNodeV4, kHostV4, "unfinished", Checksums::left_to_the_nic));
  transmit(frame(kNodeV4, kHostV4, "after it", Checksums::complete));
  EXPECT_EQ(v4.receive(), "after it");
}

TEST_F(TapPort, BadChecksumIsReported) {
  ASSERT_EQ(output_of("ip neigh replace 192.0.2.2 lladdr " + to_string(port->mac()) + " dev pg0 2>&1"), "");
  // A raw socket lets the kernel send a UDP datagram whose checksum is wrong.
  const UniqueFd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP));
  const std::array<std::uint8_t, 12> datagram{0x13, 0x88, 0x12, 0x26, 0, 12, 0xde, 0xad, 'b', 'a', 'd', '!'};
  sockaddr_in name{};
  name.sin_family = AF_INET;
  std::memcpy(&name.sin_addr, test::ip_bytes(kNodeV4).data(), 4);
  ASSERT_EQ(::sendto(raw.get(), datagram.data(), datagram.size(), 0, reinterpret_cast<const sockaddr*>(&name),
                     sizeof name),
            static_cast<ssize_t>(datagram.size()));
  const Packet packet =
      receive([](std::span<const std::byte> frame) { return test::get16(frame, 12) == 0x0800; });
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet.ip_checksum(), RxChecksumStatus::good);
  EXPECT_EQ(packet.l4_checksum(), RxChecksumStatus::bad);
}

TEST_F(TapPort, NoSignalIsSentForPackets) {
  // net_tap may ask the kernel for a real-time signal per frame; we keep it from doing so (rt_signals.hpp).
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) {
    struct sigaction action{};
    ASSERT_EQ(::sigaction(signal, nullptr, &action), 0);
    EXPECT_EQ(action.sa_handler, SIG_DFL) << "signal " << signal;
  }
}

TEST_F(TapPort, AddressesAreReplaced) {
  const std::array second{address("198.51.100.1", 24), address("198.51.100.2", 24),
                          address("2001:db8:1::1", 48)};
  ASSERT_TRUE(set_host_addresses("pg0", second));
  ASSERT_TRUE(set_host_addresses("pg0", second)) << "setting the same again changes nothing";
  const std::string shown = output_of("ip -o addr show dev pg0 scope global");
  EXPECT_EQ(shown.find("192.0.2.1"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("2001:db8::1/"), std::string::npos) << shown;
  for (const char* wanted : {"198.51.100.1/24", "198.51.100.2/24", "2001:db8:1::1/48"})
    EXPECT_NE(shown.find(wanted), std::string::npos) << wanted << " in " << shown;
  ASSERT_TRUE(set_host_addresses("pg0", {}));
  EXPECT_EQ(output_of("ip -o addr show dev pg0 scope global"), "");
}

TEST_F(TapPort, RefusalsOfNamesAndAddresses) {
  const Error taken = EthPort::create(parse_device("tap:pg0").value(), {}, *pool).error();
  EXPECT_EQ(taken.code, Errc::already_exists);
  EXPECT_EQ(taken.sentence(),
            "make TAP interface pg0: an interface of that name exists; choose another name, or stop the node "
            "that has it "
            "(a left-over one: ip link del pg0)");
  EXPECT_EQ(set_host_addresses("nosuch", {}).error().sentence(),
            "set addresses of interface nosuch: there is no such interface");
  const std::array wide{address(kHostV4, 33)};
  EXPECT_EQ(set_host_addresses("pg0", wide).error().sentence(),
            "set addresses of interface pg0: a prefix of 33 bits");
  EXPECT_FALSE(check_interface_free("lo"));
  EXPECT_TRUE(check_interface_free("pg7"));
}

TEST_F(TapPort, StopsAndStartsAgain) {
  port->stop();
  EXPECT_FALSE(port->link().up);
  ASSERT_TRUE(port->start());
  EXPECT_TRUE(port->link().up);
  const KernelSocket socket(kHostV4, 5000);
  socket.send(kNodeV4, 4646, "again");
  EXPECT_TRUE(receive_arp_request());
}

TEST_F(TapPort, ManyFramesBothWaysLoseNoMbuf) {
  ASSERT_EQ(output_of("ip neigh replace 192.0.2.2 lladdr " + to_string(port->mac()) + " dev pg0 2>&1"), "");
  const KernelSocket socket(kHostV4, 5000);
  ASSERT_TRUE(socket.bound());
  for (int round = 0; round < 200; ++round) {
    const std::string text = "round " + std::to_string(round);
    socket.send(kNodeV4, 4646, text);
    const Packet packet =
        receive([](std::span<const std::byte> frame) { return test::get16(frame, 12) == 0x0800; });
    ASSERT_TRUE(packet);
    transmit(
        test::udp(host_mac(), port->mac(), kNodeV4, kHostV4, 4646, 5000, text, test::Checksums::complete));
    ASSERT_EQ(socket.receive(), text);
  }
  EXPECT_GE(port->stats().rx_packets, 200u);
  EXPECT_EQ(port->stats().tx_packets, 200u);
  EXPECT_EQ(port->stats().rx_nombuf, 0u);
}

/// A node of its own name with its own TAP, beside the first; says "ready", and ends when its input does.
int run_second_node() {
  Result<Eal> second = Eal::init(node_options("pgrid-test-second-"));
  if (!second) return std::fprintf(stderr, "%s\n", second.error().sentence().c_str()), 1;
  Result<MbufPool> pool = MbufPool::create({.name = "pool", .count = 1023, .cache = 64});
  if (!pool) return std::fprintf(stderr, "%s\n", pool.error().sentence().c_str()), 1;
  Result<EthPort> port = EthPort::create(parse_device("tap:pg1").value(), {.node_name = "second"}, *pool);
  if (!port) return std::fprintf(stderr, "%s\n", port.error().sentence().c_str()), 1;
  if (const auto started = port->start(); !started) return 1;
  (void)::write(STDOUT_FILENO, "ready", 5);
  char byte = 0;
  (void)::read(STDIN_FILENO, &byte, 1);
  return 0;
}

TEST_F(TapPort, ASecondNodeRunsBesideTheFirst) {
  std::array<int, 2> to_child{}, from_child{};
  ASSERT_EQ(::pipe2(to_child.data(), O_CLOEXEC) + ::pipe2(from_child.data(), O_CLOEXEC), 0);
  UniqueFd child_in(to_child[0]), go(to_child[1]), said(from_child[0]), child_out(from_child[1]);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(child_in.get(), STDIN_FILENO);
    ::dup2(child_out.get(), STDOUT_FILENO);
    ::execl("/proc/self/exe", "second-node", kSecondNode, nullptr);
    ::_exit(127);
  }
  child_in.reset();
  child_out.reset();
  pollfd wait{.fd = said.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&wait, 1, 10'000), 1);
  char text[6] = {};
  EXPECT_EQ(::read(said.get(), text, 5), 5) << "the second node did not start";
  EXPECT_NE(::if_nametoindex("pg1"), 0u);
  EXPECT_TRUE(port->link().up);
  go.reset();
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(::if_nametoindex("pg1"), 0u) << "its interface went with it";
}

}  // namespace

int run_tests(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == kSecondNode) return run_second_node();
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new DpdkEnvironment);
  return RUN_ALL_TESTS();
}

}  // namespace pgrid::dpdk

int main(int argc, char** argv) {
  if (argc < 2 || std::string_view(argv[1]) != pgrid::dpdk::kSecondNode)
    pgrid::test::enter_network_namespace(argv);
  return pgrid::dpdk::run_tests(argc, argv);
}
