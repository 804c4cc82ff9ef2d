// Shows: a whole life of the DPDK handles on any machine: EAL without huge pages, a pool, DPDK's null driver
// (it gives 64 zero bytes as often as asked, and swallows what is sent), lcores, telemetry; and that every
// mbuf goes back.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <optional>

#include "drivers/base/unique_fd.hpp"
#include "drivers/dpdk/eal.hpp"
#include "drivers/dpdk/eth_port.hpp"
#include "drivers/dpdk/lcore.hpp"
#include "drivers/dpdk/mbuf_pool.hpp"
#include "drivers/dpdk/packet_stash.hpp"
#include "drivers/dpdk/telemetry.hpp"
#include "drivers/dpdk/tsc.hpp"

namespace pgrid::dpdk {
namespace {

constexpr std::uint32_t kMbufs = 1023;

std::optional<Eal> eal;  // one per process: DPDK cannot start twice

class DpdkEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    const std::string prefix = "pgrid-test-null-" + std::to_string(::getpid());
    Result<Eal> made =
        Eal::init({.file_prefix = prefix, .huge_pages = false, .memory_mib = 32, .poll_cpus = {0, 0}});
    ASSERT_TRUE(made) << made.error().sentence();
    eal.emplace(std::move(*made));
  }
  void TearDown() override {
    const std::filesystem::path folder = eal->runtime_dir();
    eal.reset();
    EXPECT_FALSE(std::filesystem::exists(folder)) << "the EAL left its run-time folder behind";
  }
};
const auto* const environment = ::testing::AddGlobalTestEnvironment(new DpdkEnvironment);

class NullPort : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<MbufPool> made = MbufPool::create({.name = "pool", .count = kMbufs, .cache = 64});
    ASSERT_TRUE(made) << made.error().sentence();
    pool.emplace(std::move(*made));
  }
  void TearDown() override { EXPECT_EQ(pool->in_use(), 0u) << "mbufs were lost"; }

  Result<EthPort> open(const char* device, EthPortOptions options = {}) {
    return EthPort::create(parse_device(device).value(), options, *pool);
  }
  std::optional<MbufPool> pool;
};

TEST(EalTest, SaysWhatItRunsOn) {
  EXPECT_FALSE(eal->huge_pages());
  EXPECT_EQ(eal->no_huge_pages_reason(), "the configuration says huge_pages = false");
  ASSERT_EQ(eal->poll_lcores().size(), 2u);
  EXPECT_EQ(eal->poll_lcores()[0].id, 1u);
  EXPECT_EQ(eal->poll_lcores()[1].id, 2u);
  EXPECT_EQ(eal->poll_lcores()[1].cpu, 0u);
  EXPECT_GT(tsc_hz(), 1'000'000u);
}

TEST(EalTest, RefusesInOneSentence) {
  EXPECT_EQ(Eal::init({}).error().sentence(),
            "start DPDK (rte_eal_init): it was started before in this process");
  const Error cpu = Eal::init({.poll_cpus = {1023}}).error();
  EXPECT_EQ(cpu.code, Errc::invalid_argument);
  EXPECT_EQ(cpu.cause, "poll core on CPU 1023");
  const Error name = Eal::init({.file_prefix = "a/b"}).error();
  EXPECT_EQ(name.code, Errc::invalid_argument);
  EXPECT_EQ(name.cause, "\"a/b\" cannot name a node");
}

TEST_F(NullPort, ReceivesBurstsAndFreesWhatWasNotHandedOn) {
  Result<EthPort> port = open("net_null_rx,size=64");
  ASSERT_TRUE(port) << port.error().sentence();
  ASSERT_TRUE(port->start());
  EXPECT_TRUE(port->link().up);
  EXPECT_EQ(port->driver(), "net_null");
  {
    PacketBurst burst = port->rx_queue(0).rx_burst();
    ASSERT_EQ(burst.size(), kBurstMax);
    EXPECT_EQ(pool->in_use(), kBurstMax);
    const Packet kept = std::move(burst[3]);
    EXPECT_FALSE(burst[3]);
    EXPECT_EQ(kept.bytes().size(), 64u);
    EXPECT_TRUE(kept.is_contiguous());
    EXPECT_EQ(kept.ip_checksum(), RxChecksumStatus::unknown);
    EXPECT_EQ(kept.l4_checksum(), RxChecksumStatus::unknown);
    EXPECT_FALSE(kept.stripped_vlan_tci());
    burst.clear();
    EXPECT_TRUE(burst.empty());
    EXPECT_EQ(pool->in_use(), 1u) << "the packet that was taken out lives on";
  }
  EXPECT_EQ(pool->in_use(), 0u);
  EXPECT_EQ(port->stats().rx_packets, kBurstMax);
}

TEST_F(NullPort, TransmitTakesWhatItSends) {
  Result<EthPort> port = open("net_null_tx,size=64");
  ASSERT_TRUE(port && port->start());
  PacketBurst burst = port->rx_queue(0).rx_burst();
  ASSERT_EQ(burst.size(), kBurstMax);
  EXPECT_EQ(port->tx_queue(0).tx_burst(burst), kBurstMax);
  EXPECT_TRUE(burst.empty());

  std::array<Packet, 2> two{pool->alloc(), pool->alloc()};
  ASSERT_TRUE(two[0].resize(60) && two[1].resize(60));
  EXPECT_EQ(port->tx_queue(0).tx_burst(std::span<Packet>(two)), 2);
  EXPECT_FALSE(two[0] || two[1]);
  EXPECT_EQ(port->stats().tx_packets, kBurstMax + 2u);
}

TEST_F(NullPort, AsAConfiguredDeviceReceivesNothing) {
  Result<EthPort> first = open("null:");
  Result<EthPort> second = open("null:");  // two in one node
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(first->start() && second->start());
  EXPECT_NE(first->port_id(), second->port_id());
  EXPECT_TRUE(first->rx_queue(0).rx_burst().empty());
  Packet packet = pool->alloc();
  ASSERT_TRUE(packet.resize(60));
  EXPECT_EQ(second->tx_queue(0).tx_burst(std::span<Packet>(&packet, 1)), 1);
}

TEST_F(NullPort, FreshPacketsGrowWithinTheirBuffer) {
  Packet packet = pool->alloc();
  ASSERT_TRUE(packet);
  EXPECT_EQ(packet.data_length(), 0);
  EXPECT_EQ(packet.tailroom(), 2048);
  std::byte* const header = packet.append(14);
  EXPECT_EQ(header, packet.data());
  EXPECT_EQ(packet.append(2035), nullptr) << "one byte too many";
  EXPECT_EQ(packet.data_length(), 14);
  EXPECT_TRUE(packet.resize(2048));
  EXPECT_FALSE(packet.resize(2049));
  EXPECT_EQ(packet.packet_length(), 2048u);
}

TEST_F(NullPort, PacketIsFreedOnceHoweverItMoves) {
  Packet a = pool->alloc();
  Packet b = pool->alloc();
  EXPECT_EQ(pool->in_use(), 2u);
  a = std::move(b);  // frees a's first mbuf
  EXPECT_EQ(pool->in_use(), 1u);
  Packet& same = a;
  a = std::move(same);  // moving onto itself keeps it
  EXPECT_TRUE(a);
  rte_mbuf* const raw = Packet::release(std::move(a));
  EXPECT_FALSE(a);
  EXPECT_EQ(pool->in_use(), 1u) << "released, not freed";
  Packet adopted(raw);
}

TEST_F(NullPort, BurstKeepsWhatWasNotSentAtItsFront) {
  PacketBurst burst;
  std::array<rte_mbuf*, 4> order{};
  for (rte_mbuf*& mbuf : order) {
    Packet packet = pool->alloc();
    mbuf = packet.mbuf();
    burst.push(std::move(packet));
  }
  const std::uint16_t sent = burst.hand_over([](rte_mbuf** mbufs, std::uint16_t count) -> std::uint16_t {
    EXPECT_EQ(count, 4);
    rte_pktmbuf_free(mbufs[0]);
    return 1;  // a driver whose ring has room for one
  });
  EXPECT_EQ(sent, 1);
  ASSERT_EQ(burst.size(), 3);
  EXPECT_EQ(burst[0].mbuf(), order[1]);
  EXPECT_EQ(burst[2].mbuf(), order[3]);
  burst.push(pool->alloc());
  EXPECT_EQ(burst.size(), 4);
}

TEST_F(NullPort, EmptyPoolGivesEmptyPackets) {
  std::vector<Packet> all;
  while (Packet packet = pool->alloc()) all.push_back(std::move(packet));
  EXPECT_EQ(all.size(), kMbufs);
  EXPECT_EQ(pool->in_use(), kMbufs);
  rte_mbuf* mbufs[2];
  EXPECT_FALSE(pool->alloc_bulk(mbufs, 2));
}

TEST_F(NullPort, StashKeepsWhatIsLeftOfABurstAsFreshPackets) {
  Result<EthPort> port = open("net_null_stash,size=64");
  ASSERT_TRUE(port && port->start());
  PacketStash stash;
  EXPECT_FALSE(stash.take());
  {
    PacketBurst burst = port->rx_queue(0).rx_burst();
    ASSERT_EQ(burst.size(), kBurstMax);
    burst[0].mbuf()->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    burst[0].mbuf()->data_off = 0;
    const Packet elsewhere = std::move(burst[1]);
    stash.keep(burst);
    EXPECT_EQ(stash.size(), kBurstMax - 1u);
    burst.clear();
    EXPECT_EQ(pool->in_use(), kBurstMax) << "kept, not freed";
  }
  EXPECT_EQ(pool->in_use(), kBurstMax - 1u);
  while (Packet packet = stash.take()) {
    EXPECT_EQ(packet.data_length(), 0);
    EXPECT_EQ(packet.tailroom(), 2048);
    EXPECT_EQ(packet.mbuf()->ol_flags, 0u);
    EXPECT_EQ(packet.l4_checksum(), RxChecksumStatus::unknown);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(NullPort, StashKeepsNoMoreThanItHolds) {
  Result<EthPort> port = open("net_null_stash,size=64");
  ASSERT_TRUE(port && port->start());
  PacketStash stash;
  for (int i = 0; i < 5; ++i) {
    PacketBurst burst = port->rx_queue(0).rx_burst();
    stash.keep(burst);
  }
  EXPECT_EQ(stash.size(), PacketStash::kCapacity);
  EXPECT_EQ(pool->in_use(), PacketStash::kCapacity) << "the fifth burst was freed";
  stash.give_back();
  EXPECT_EQ(stash.size(), 0u);
  EXPECT_EQ(pool->in_use(), 0u);
  {
    PacketStash other;
    PacketBurst burst = port->rx_queue(0).rx_burst();
    other.keep(burst);
    const PacketStash copied(other);  // as a poll core takes its ports
    EXPECT_EQ(copied.size(), 0u);
    EXPECT_EQ(other.size(), kBurstMax);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST_F(NullPort, StashLeavesChainsAndSharedBuffers) {
  PacketBurst burst;
  for (int i = 0; i < 3; ++i) burst.push(pool->alloc());
  ASSERT_EQ(rte_pktmbuf_chain(burst[0].mbuf(), Packet::release(pool->alloc())), 0);  // two segments
  rte_mbuf_refcnt_update(burst[1].mbuf(), 1);                                        // two owners
  const Packet other_owner(burst[1].mbuf());
  PacketStash stash;
  stash.keep(burst);
  EXPECT_EQ(stash.size(), 1u);
  EXPECT_TRUE(burst[0] && burst[1]);
  EXPECT_FALSE(burst[2]);
}

TEST_F(NullPort, TxChecksumRequestNamesTheHeaders) {
  Packet packet = pool->alloc();
  packet.set_tx_checksum_offload(14, 20, L3Version::v4);
  EXPECT_EQ(packet.mbuf()->l2_len, 14);
  EXPECT_EQ(packet.mbuf()->l3_len, 20);
  EXPECT_EQ(packet.mbuf()->ol_flags, RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
  packet.clear_offload_flags();
  packet.set_tx_checksum_offload(18, 40, L3Version::v6);
  EXPECT_EQ(packet.mbuf()->l2_len, 18);
  EXPECT_EQ(packet.mbuf()->ol_flags, RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV6);
}

TEST_F(NullPort, ChecksumStatusIsWhatTheDriverSaid) {
  Packet packet = pool->alloc();
  packet.mbuf()->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_BAD;
  EXPECT_EQ(packet.ip_checksum(), RxChecksumStatus::good);
  EXPECT_EQ(packet.l4_checksum(), RxChecksumStatus::bad);
  packet.mbuf()->ol_flags = RTE_MBUF_F_RX_IP_CKSUM_BAD | RTE_MBUF_F_RX_L4_CKSUM_NONE;
  EXPECT_EQ(packet.ip_checksum(), RxChecksumStatus::bad);
  EXPECT_EQ(packet.l4_checksum(), RxChecksumStatus::none);
  packet.mbuf()->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
  packet.mbuf()->vlan_tci = 42;
  EXPECT_EQ(packet.stripped_vlan_tci(), 42);
}

TEST_F(NullPort, TwoLcoresPollTwoQueues) {
  Result<EthPort> port = open("net_null_mq,size=64", {.queues = 2});
  ASSERT_TRUE(port && port->start()) << port.error().sentence();
  std::array<std::uint64_t, 2> received{};
  std::atomic<bool> stop = false;
  LcoreGroup group;
  for (std::size_t i = 0; i < 2; ++i) {
    const RxQueue queue = port->rx_queue(static_cast<std::uint16_t>(i));
    const auto started = group.launch(eal->poll_lcores()[i], [&, i, queue]() noexcept {
      while (!stop) {
        received[i] += queue.rx_burst().size();
        if (received[i] >= 1000) return;
      }
    });
    ASSERT_TRUE(started) << started.error().sentence();
  }
  group.join();
  EXPECT_GE(received[0], 1000u);
  EXPECT_GE(received[1], 1000u);
  EXPECT_EQ(pool->in_use(), 0u) << "packets freed on an lcore lie in its cache, which counts as free";
}

TEST(LcoreGroupTest, RefusesABusyLcoreAndJoinsInItsDestructor) {
  std::atomic<bool> stop = false;
  std::atomic<bool> ended = false;
  {
    LcoreGroup group;
    ASSERT_TRUE(group.launch(eal->poll_lcores()[0], [&]() noexcept {
      while (!stop) pause();
      ended = true;
    }));
    const auto second = group.launch(eal->poll_lcores()[0], []() noexcept {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Errc::busy);
    EXPECT_EQ(second.error().sentence(),
              "rte_eal_remote_launch on lcore 1 (CPU 0): it is running something already");
    stop = true;
  }
  EXPECT_TRUE(ended);
}

TEST_F(NullPort, RefusalsNameCallPortCauseAndRemedy) {
  const Error unknown = open("net_nosuch0").error();
  EXPECT_EQ(unknown.operation, "rte_dev_probe for port net_nosuch0");
  EXPECT_EQ(unknown.remedy, "check the name and the arguments against DPDK's guide of that driver");

  const Error pci = open("ffff:ff:1f.7").error();
  EXPECT_EQ(
      pci.sentence(),
      "open port ffff:ff:1f.7: there is no PCI device at this address; dpdk-devbind.py --status lists them");

  Result<EthPort> port = open("net_null_once");
  ASSERT_TRUE(port);
  const Error again = open("net_null_once").error();
  EXPECT_EQ(again.code, Errc::already_exists);
  EXPECT_EQ(again.cause, "another port of this node has the same device");

  const Error queues = open("net_null_q", {.queues = 5000}).error();
  EXPECT_EQ(queues.code, Errc::invalid_argument);
  EXPECT_NE(queues.cause.find("5000 queues, and net_null offers"), std::string::npos) << queues.cause;
  Result<EthPort> after = open("net_null_q");
  EXPECT_TRUE(after) << "a port whose set-up failed is gone";
}

TEST_F(NullPort, PoolRefusals) {
  EXPECT_EQ(MbufPool::create({.name = "pool", .count = 63, .cache = 0}).error().code, Errc::already_exists);
  const Error big = MbufPool::create({.name = "big", .count = 1u << 20}).error();
  EXPECT_EQ(big.code, Errc::out_of_resources) << big.sentence();
  EXPECT_EQ(MbufPool::create({.name = "cache", .count = 63, .cache = 512}).error().code,
            Errc::invalid_argument);
}

TEST_F(NullPort, MemorySumCoversWhatAPoolTakes) {
  // 32 MiB less what the EAL itself took hold a pool whose sum is 24 MiB.
  MbufPoolOptions options{.name = "sum", .count = 0, .cache = 64};
  while (memory_of(options) < (std::size_t{24} << 20)) options.count += 64;
  const Result<MbufPool> large = MbufPool::create(options);
  EXPECT_TRUE(large) << large.error().sentence();
}

/// Asks the telemetry socket one question; the raw answer.
std::string ask_telemetry(const std::string& command) {
  sockaddr_un name{.sun_family = AF_UNIX, .sun_path = {}};
  eal->telemetry_socket().string().copy(name.sun_path, sizeof name.sun_path - 1);
  const UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET, 0));
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
    return "no connection";
  char bytes[16384];
  (void)::recv(socket.get(), bytes, sizeof bytes, 0);  // DPDK's greeting
  (void)::send(socket.get(), command.data(), command.size(), 0);
  const ssize_t n = ::recv(socket.get(), bytes, sizeof bytes, 0);
  return std::string(bytes, n > 0 ? static_cast<std::size_t>(n) : 0);
}

TEST(TelemetryTest, CommandAnswersWhileItLives) {
  std::uint64_t value = 41;
  {
    Result<TelemetryCommand> command =
        TelemetryCommand::add("/pgrid/test", "for the test", [&](TelemetryDict& dict) {
          EXPECT_TRUE(dict.add("answer", value));
          EXPECT_TRUE(dict.add("large", ~std::uint64_t{0}));
          EXPECT_FALSE(dict.add("not a name", 1));
        });
    ASSERT_TRUE(command) << command.error().sentence();
    ++value;
    EXPECT_EQ(ask_telemetry("/pgrid/test"), R"({"/pgrid/test":{"answer":42,"large":18446744073709551615}})");
    EXPECT_EQ(TelemetryCommand::add("/pgrid/test", "", {}).error().code, Errc::already_exists);
  }
  EXPECT_EQ(ask_telemetry("/pgrid/test"), R"({"/pgrid/test":null})") << "gone with its object";
  Result<TelemetryCommand> again =
      TelemetryCommand::add("/pgrid/test", "", [](TelemetryDict& dict) { dict.add("second", 1); });
  ASSERT_TRUE(again);
  EXPECT_EQ(ask_telemetry("/pgrid/test"), R"({"/pgrid/test":{"second":1}})");
  EXPECT_EQ(TelemetryCommand::add("bad name", "", {}).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace pgrid::dpdk
