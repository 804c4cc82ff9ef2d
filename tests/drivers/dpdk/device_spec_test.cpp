// Shows: which device names of node.toml are understood, as what, and the sentence that each wrong one gets.
// Pure: no EAL.
#include "drivers/dpdk/device_spec.hpp"

#include <gtest/gtest.h>

#include "drivers/dpdk/port_mac.hpp"

namespace pgrid::dpdk {
namespace {

struct Understood {
  const char* text;
  DeviceKind kind;
  const char* interface;
  const char* name;
  const char* arguments;
};

TEST(ParseDevice, Understands) {
  const Understood table[] = {
      {"tap:pg0", DeviceKind::tap, "pg0", "", ""},
      {"tap:a-b_c.d123456789", DeviceKind::tap, nullptr, "", ""},  // 16 characters: refused, see below
      {"tap:a-b_c.d12345678", DeviceKind::tap, "a-b_c.d12345678", "", ""},  // 15: the kernel's limit
      {"null:", DeviceKind::null, "", "", ""},
      {"0000:65:00.0", DeviceKind::pci, "", "0000:65:00.0", ""},
      {"65:00.1", DeviceKind::pci, "", "0000:65:00.1", ""},
      {"0000:65:00.0,representor=0", DeviceKind::pci, "", "0000:65:00.0", "representor=0"},
      {"net_ring0", DeviceKind::vdev, "", "net_ring0", ""},
      {"net_pcap0,rx_pcap=a.pcap,infinite_rx=1", DeviceKind::vdev, "", "net_pcap0",
       "rx_pcap=a.pcap,infinite_rx=1"},
  };
  for (const Understood& row : table) {
    SCOPED_TRACE(row.text);
    const Result<DeviceSpec> spec = parse_device(row.text);
    if (row.interface == nullptr) {
      EXPECT_FALSE(spec);
      continue;
    }
    ASSERT_TRUE(spec) << spec.error().sentence();
    EXPECT_EQ(spec->kind, row.kind);
    EXPECT_EQ(spec->text, row.text);
    EXPECT_EQ(spec->interface, row.interface);
    EXPECT_EQ(spec->name, row.name);
    EXPECT_EQ(spec->arguments, row.arguments);
  }
}

struct Refused {
  const char* text;
  const char* sentence;
};

constexpr const char* kKinds =
    ": not a kind of port that exists; use tap:NAME, af_xdp:INTERFACE, memif:OPTIONS, pcap:OPTIONS, null:, a "
    "PCI address such as 0000:65:00.0, or DPDK devargs that begin with net_";

TEST(ParseDevice, RefusesInOneSentence) {
  const Refused table[] = {
      {"", nullptr},
      {"eth0", nullptr},
      {"0000:65:00", nullptr},
      {"0000:65:00.8", nullptr},
      {"000g:65:00.0", nullptr},
      {"crypto_null0", nullptr},
      {"null:x", "device \"null:x\": a null port takes no name; write null:"},
      {"tap:", "device \"tap:\": interface name \"\": it is empty; write a name, such as tap:pg0"},
      {"tap:sixteen-letters0",
       "device \"tap:sixteen-letters0\": interface name \"sixteen-letters0\": 16 characters; the kernel "
       "takes at most 15"},
      {"tap:a/b",
       "device \"tap:a/b\": interface name \"a/b\": a character that does not fit; use letters, digits, '-', "
       "'_' and '.'"},
      {"tap:a,mac=fixed",
       "device \"tap:a,mac=fixed\": interface name \"a,mac=fixed\": a character that does not fit; use "
       "letters, digits, "
       "'-', '_' and '.'"},
      {"af_xdp:", "device \"af_xdp:\": interface name \"\": it is empty; write a name, such as tap:pg0"},
      {"af_xdp:eth0,queue=1",
       "device \"af_xdp:eth0,queue=1\": \"queue\" is not an option of it; write af_xdp:INTERFACE, or "
       "af_xdp:INTERFACE,start_queue=N"},
      {"af_xdp:eth0,start_queue=x",
       "device \"af_xdp:eth0,start_queue=x\": start_queue must be a number from 0 to 4095; write "
       "af_xdp:INTERFACE, or af_xdp:INTERFACE,start_queue=N"},
      {"memif:role=server",
       "device \"memif:role=server\": socket is missing; write memif:socket=/PATH,role=server,id=N, or "
       "role=client on the other side"},
      {"memif:socket=/a,role=boss",
       "device \"memif:socket=/a,role=boss\": role must be server or client; write "
       "memif:socket=/PATH,role=server,id=N, or role=client on the other side"},
      {"memif:socket=a,role=server",
       "device \"memif:socket=a,role=server\": socket must be a path that begins with / and has at most 107 "
       "characters; write memif:socket=/PATH,role=server,id=N, or role=client on the other side"},
      {"pcap:",
       "device \"pcap:\": rx is missing; write pcap:rx=IN.pcap,tx=OUT.pcap, or pcap:rx=IN.pcap,infinite"},
      {"pcap:rx=a,rx=b",
       "device \"pcap:rx=a,rx=b\": rx stands there twice; write pcap:rx=IN.pcap,tx=OUT.pcap, or "
       "pcap:rx=IN.pcap,infinite"},
      {"pcap:rx=a,tx=a",
       "device \"pcap:rx=a,tx=a\": rx and tx are the same file; write pcap:rx=IN.pcap,tx=OUT.pcap, or "
       "pcap:rx=IN.pcap,infinite"},
      {"pcap:rx=a,infinite=1",
       "device \"pcap:rx=a,infinite=1\": infinite takes no value; write pcap:rx=IN.pcap,tx=OUT.pcap, or "
       "pcap:rx=IN.pcap,infinite"},
      {"pcap:rx=[a]",
       "device \"pcap:rx=[a]\": rx has a character that DPDK does not take ([]()\"'); write "
       "pcap:rx=IN.pcap,tx=OUT.pcap, or pcap:rx=IN.pcap,infinite"},
      {"tap:..",
       "device \"tap:..\": interface name \"..\": a character that does not fit; use letters, digits, '-', "
       "'_' and '.'"},
  };
  for (const Refused& row : table) {
    SCOPED_TRACE(row.text);
    const Result<DeviceSpec> spec = parse_device(row.text);
    ASSERT_FALSE(spec);
    EXPECT_EQ(spec.error().code, Errc::invalid_argument);
    const std::string expected =
        row.sentence != nullptr ? row.sentence : "device \"" + std::string(row.text) + "\"" + kKinds;
    EXPECT_EQ(spec.error().sentence(), expected);
  }
}

TEST(ParseDevice, ReadsOptions) {
  const auto xdp = parse_device("af_xdp:eth0");
  ASSERT_TRUE(xdp) << xdp.error().sentence();
  EXPECT_EQ(xdp->kind, DeviceKind::af_xdp);
  EXPECT_EQ(xdp->interface, "eth0");
  EXPECT_FALSE(xdp->start_queue_chosen);
  const auto queue = parse_device("af_xdp:eth0,start_queue=0");
  ASSERT_TRUE(queue) << queue.error().sentence();
  EXPECT_TRUE(queue->start_queue_chosen) << "0 is a choice too";
  EXPECT_EQ(parse_device("af_xdp:eth0,start_queue=7").value().start_queue, 7u);

  const auto memif = parse_device("memif:socket=/run/a.sock,role=server,id=3");
  ASSERT_TRUE(memif) << memif.error().sentence();
  EXPECT_EQ(memif->kind, DeviceKind::memif);
  EXPECT_EQ(memif->socket, "/run/a.sock");
  EXPECT_TRUE(memif->is_server);
  EXPECT_EQ(memif->id, 3u);
  EXPECT_EQ(parse_device("memif:role=client,socket=/a").value().id, 0u);
  EXPECT_FALSE(parse_device("memif:role=client,socket=/a").value().is_server);

  const auto pcap = parse_device("pcap:rx=in.pcap,tx=out.pcap");
  ASSERT_TRUE(pcap) << pcap.error().sentence();
  EXPECT_EQ(pcap->kind, DeviceKind::pcap);
  EXPECT_EQ(pcap->rx_file, "in.pcap");
  EXPECT_EQ(pcap->tx_file, "out.pcap");
  EXPECT_FALSE(pcap->infinite);
  EXPECT_TRUE(parse_device("pcap:rx=in.pcap,infinite").value().infinite);
  EXPECT_EQ(parse_device("pcap:rx=in.pcap,infinite").value().tx_file, "");
}

TEST(ParseDevice, RefusesNamesLongerThanDpdkTakes) {
  EXPECT_TRUE(parse_device("net_" + std::string(59, 'a')));
  EXPECT_FALSE(parse_device("net_" + std::string(60, 'a')));
}

TEST(TapMac, IsStableAndDiffersByNodeInterfaceAndEnd) {
  const MacAddress host = tap_host_mac("n", "pg0");
  EXPECT_EQ(host, tap_host_mac("n", "pg0")) << "a restarted node keeps its address";
  EXPECT_NE(host, tap_host_mac("n", "pg1"));
  EXPECT_NE(host, tap_host_mac("m", "pg0"));
  EXPECT_NE(tap_host_mac("ab", "c"), tap_host_mac("a", "bc"));
  EXPECT_EQ(host[0] & 3, 2) << "locally administered, unicast";
  const MacAddress node = tap_node_mac(host);
  EXPECT_NE(node, host);
  EXPECT_NE(node, tap_host_mac("n", "pg0"));
}

}  // namespace
}  // namespace pgrid::dpdk
