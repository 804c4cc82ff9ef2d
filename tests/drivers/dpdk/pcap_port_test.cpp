// Shows: a pcap port receives what a file holds, once or over and over; what it sends stands in another file,
// byte for byte; wrong files get one sentence; an infinite file's frames are part of the pool's sum.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "drivers/dpdk/eal.hpp"
#include "drivers/dpdk/eth_port.hpp"
#include "drivers/dpdk/mbuf_pool.hpp"
#include "drivers/dpdk/pcap_file.hpp"
#include "tests/drivers/dpdk/pcap_files.hpp"

namespace pgrid::dpdk {
namespace {

namespace fs = std::filesystem;

constexpr test::Mac kNode{0x02, 0x70, 0x63, 0x61, 0x70, 0};  // net_pcap's own, of its first port
constexpr test::Mac kPeer{0x02, 0, 0, 0, 0, 1};

std::optional<Eal> eal;

class DpdkEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    Result<Eal> made = Eal::init({.file_prefix = "pgrid-test-pcap-" + std::to_string(::getpid()),
                                  .huge_pages = false,
                                  .memory_mib = 32});
    ASSERT_TRUE(made) << made.error().sentence();
    eal.emplace(std::move(*made));
  }
  void TearDown() override { eal.reset(); }
};

test::Bytes datagram(std::string_view text) {
  return test::udp(kNode, kPeer, "192.0.2.2", "192.0.2.1", 5000, 4646, text, test::Checksums::complete);
}

class PcapPort : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = fs::temp_directory_path() / ("pgrid-pcap-" + std::to_string(::getpid()));
    fs::create_directories(folder);
    in = folder / "in.pcap";
    out = folder / "out.pcap";
    Result<MbufPool> made = MbufPool::create({.name = "pool", .count = 511, .cache = 0});
    ASSERT_TRUE(made) << made.error().sentence();
    pool.emplace(std::move(*made));
  }
  void TearDown() override {
    port.reset();
    EXPECT_EQ(pool->in_use(), 0u) << "mbufs were lost";
    fs::remove_all(folder);
  }
  void open(const std::string& device) {
    auto opened = EthPort::create(parse_device(device).value(), {}, *pool);
    ASSERT_TRUE(opened) << opened.error().sentence();
    port.emplace(std::move(*opened));
    const auto started = port->start();
    ASSERT_TRUE(started) << started.error().sentence();
  }
  std::string refusal(const std::string& device) {
    auto opened = EthPort::create(parse_device(device).value(), {}, *pool);
    return opened ? "opened" : opened.error().sentence();
  }
  static test::Bytes bytes_of(const Packet& packet) {
    const auto* at = reinterpret_cast<const std::uint8_t*>(packet.data());
    return {at, at + packet.data_length()};
  }

  fs::path folder;
  std::string in, out;
  std::optional<MbufPool> pool;
  std::optional<EthPort> port;
};

TEST_F(PcapPort, ReceivesEveryFrameOnceAndInOrder) {
  std::vector<test::Bytes> frames;
  for (int i = 0; i < 70; ++i) frames.push_back(datagram("request " + std::to_string(i)));
  test::write_pcap(in, frames);
  open("pcap:rx=" + in + ",tx=" + out);
  EXPECT_EQ(port->driver(), "net_pcap");
  std::size_t got = 0;
  for (int turn = 0; turn < 100; ++turn) {
    PacketBurst burst = port->rx_queue(0).rx_burst();
    for (const Packet& packet : burst.packets()) {
      ASSERT_LT(got, frames.size());
      EXPECT_EQ(bytes_of(packet), frames[got]) << "frame " << got;
      ++got;
    }
  }
  EXPECT_EQ(got, frames.size());
}

TEST_F(PcapPort, WhatIsSentStandsInTheOtherFile) {
  test::write_pcap(in, {datagram("one"), datagram("two"), datagram("three")});
  open("pcap:rx=" + in + ",tx=" + out);
  PacketBurst burst = port->rx_queue(0).rx_burst();
  ASSERT_EQ(burst.packets().size(), 3u);
  for (Packet& packet : burst.packets())
    packet.data()[0] ^= std::byte{0x10};  // a change, so it is no copy of `in`
  ASSERT_EQ(port->tx_queue(0).tx_burst(burst), 3u);
  port.reset();
  std::vector<test::Bytes> expected{datagram("one"), datagram("two"), datagram("three")};
  for (test::Bytes& frame : expected) frame[0] ^= 0x10;
  EXPECT_EQ(test::read_pcap(out), expected);
}

TEST_F(PcapPort, InfiniteBeginsAgainAndDropsWhatIsSent) {
  const std::vector<test::Bytes> frames{datagram("a"), datagram("b"), datagram("c")};
  test::write_pcap(in, frames);
  const DeviceSpec spec = parse_device("pcap:rx=" + in + ",infinite").value();
  EXPECT_EQ(mbufs_held_by_driver(spec, 1).value(), 3u);
  open(spec.text);
  EXPECT_EQ(pool->in_use(), 3u);
  std::size_t got = 0;
  while (got < 1000) {
    PacketBurst burst = port->rx_queue(0).rx_burst();
    ASSERT_FALSE(burst.packets().empty());
    for (const Packet& packet : burst.packets()) EXPECT_EQ(bytes_of(packet), frames[got++ % 3]);
    const std::uint16_t nb_rx = burst.size();
    ASSERT_EQ(port->tx_queue(0).tx_burst(burst), nb_rx);
  }
}

TEST_F(PcapPort, HasOneQueue) {
  test::write_pcap(in, {datagram("x")});
  const auto opened = EthPort::create(parse_device("pcap:rx=" + in).value(), {.queues = 2}, *pool);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().sentence(),
            "configure port pcap:rx=" + in + ": 2 queues, and net_pcap offers 1; use fewer poll cores");
}

TEST_F(PcapPort, WrongFilesGetOneSentence) {
  const std::string reading = "read frames from " + in;
  EXPECT_EQ(refusal("pcap:rx=" + in), reading + ": No such file or directory");
  EXPECT_EQ(refusal("pcap:rx=" + folder.string()),
            "read frames from " + folder.string() + ": it is not a file; name a capture file");
  {
    std::ofstream(in) << "this is not a capture file at all";
  }
  EXPECT_EQ(refusal("pcap:rx=" + in),
            reading + ": unknown file format; name a capture file (pcap or pcapng), as tcpdump -w writes it");
  test::write_pcap(in, {datagram("x")}, 113);  // LINKTYPE_LINUX_SLL, of "tcpdump -i any"
  EXPECT_EQ(refusal("pcap:rx=" + in),
            reading + ": its frames are not of Ethernet; capture on an Ethernet interface, not on \"any\"");
  test::write_pcap(in, {});
  EXPECT_EQ(refusal("pcap:rx=" + in), reading + ": there is no frame in it");
  test::write_pcap(in, {datagram("x"), datagram("y")});
  fs::resize_file(in, fs::file_size(in) - 3);
  EXPECT_TRUE(refusal("pcap:rx=" + in).starts_with(reading + ": after 1 frames: truncated dump file"))
      << refusal("pcap:rx=" + in);
  test::write_pcap(in, {datagram(std::string(3000, 'x'))});
  EXPECT_EQ(refusal("pcap:rx=" + in + ",infinite"),
            reading + " over and over: a frame of 3042 bytes, and a packet buffer holds 2048");
  test::write_pcap(in, {datagram("x")});
  EXPECT_EQ(refusal("pcap:rx=" + in + ",tx=" + (folder / "nowhere" / "out.pcap").string()),
            "write frames to " + (folder / "nowhere" / "out.pcap").string() + ": No such file or directory");
  EXPECT_EQ(pool->in_use(), 0u);
}

}  // namespace
}  // namespace pgrid::dpdk

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new pgrid::dpdk::DpdkEnvironment);
  return RUN_ALL_TESTS();
}
