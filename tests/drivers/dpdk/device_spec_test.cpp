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
    ": not a kind of port that exists; use tap:NAME, null:, a PCI address such as 0000:65:00.0, or DPDK "
    "devargs that "
    "begin with net_";

TEST(ParseDevice, RefusesInOneSentence) {
  const Refused table[] = {
      {"", nullptr},
      {"eth0", nullptr},
      {"af_xdp:eth0", nullptr},  // not built: it does not exist, and the sentence lists what does
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
