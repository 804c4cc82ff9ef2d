// Shows that node.toml is read into the value it says, that the documented example parses to the defaults it claims, and
// that every mistake is one sentence with file and line. Files are written to a directory of the test's own.
#include "drivers/config/node_config.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <fstream>

#include "abi/shared/geometry.hpp"
#include "drivers/config/units.hpp"

namespace pgrid::config {
namespace {

using testing::HasSubstr;

static_assert(kPollCoresMax == abi::kPollCoresMax && kWorkersMax == abi::kWorkersMax);
static_assert(kRightsMax == abi::kRightsMax && kInFlightMax == abi::kInFlightMax);
static_assert(abi::is_valid(abi::Geometry{1, 1, 2, 2, 8192, 8192, 8192, kProcessesPerWorkerMax}) &&
              !abi::is_valid(abi::Geometry{1, 1, 2, 2, 8192, 8192, 8192, kProcessesPerWorkerMax + 1}));

std::uint32_t first_cpu() {
  cpu_set_t open;
  sched_getaffinity(0, sizeof open, &open);
  std::uint32_t cpu = 0;
  while (!CPU_ISSET(cpu, &open)) ++cpu;
  return cpu;
}

class NodeToml : public testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/pgrid-config-XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    directory_ = path;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  Result<NodeConfig> read(const std::string& text, const std::filesystem::path& node_dir = {}) {
    const auto file = directory_ / "node.toml";
    std::ofstream(file) << text;
    return read_node_config(file, node_dir);
  }

  /// `text` is refused with a sentence that begins with the file, names `line`, and holds `words`.
  void expect_refused(const std::string& text, int line, const std::string& words) {
    const auto config = read(text);
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().code, Errc::invalid_argument);
    const std::string where = (directory_ / "node.toml").string() + (line == 0 ? "" : ':' + std::to_string(line)) + ": ";
    EXPECT_THAT(config.error().sentence(), testing::StartsWith(where)) << text;
    EXPECT_THAT(config.error().sentence(), HasSubstr(words)) << text;
  }

  /// A file that is right, after `lines` of more; one CPU serves twice, so that it is right on any machine.
  std::string good(const std::string& port_keys = {}, const std::string& rest = {}) {
    const std::string cpu = std::to_string(first_cpu());
    return "[[port]]\ndevice = \"tap:pg0\"\naddresses = [\"192.0.2.1/24\"]\nplaintext = true\n" + port_keys +
           "[cores]\npoll = [" + cpu + "]\nworkers = [" + cpu + "]\nshared = true\n" + rest;
  }

  std::filesystem::path directory_;
};

TEST_F(NodeToml, GivesDefaultsForWhatIsNotThere) {
  const auto config = read(good());
  ASSERT_TRUE(config) << config.error().sentence();
  const NodeConfig plain;
  EXPECT_EQ(config->name, "pgrid");
  EXPECT_EQ(config->run_dir, "/run/pgrid");
  EXPECT_EQ(config->state_dir, "/var/lib/pgrid");
  ASSERT_EQ(config->ports.size(), 1u);
  EXPECT_EQ(config->ports[0].udp_port, 4646);
  EXPECT_EQ(config->ports[0].line, 2u);
  EXPECT_EQ(config->limits.rights, plain.limits.rights);
  EXPECT_EQ(config->limits.memory_max, plain.limits.memory_max);
  EXPECT_TRUE(config->huge_pages);
  EXPECT_TRUE(config->cores_shared);
}

TEST_F(NodeToml, NodeDirHoldsSocketsAndState) {
  const auto config = read(good(), "/tmp/some-node");
  ASSERT_TRUE(config);
  EXPECT_EQ(control_socket(*config), "/tmp/some-node/control.sock");
  EXPECT_EQ(dataplane_socket(*config), "/tmp/some-node/dataplane.sock");
  EXPECT_EQ(config->state_dir, "/tmp/some-node/state");
}

TEST_F(NodeToml, ReadsEveryKey) {
  const std::string cpu = std::to_string(first_cpu());
  const auto config = read(
      "[node]\nname = \"alpha-1\"\nidle = \"spin\"\nhuge_pages = false\n"
      "[[port]]\ndevice = \"tap:pg1\"\naddresses = [\"192.0.2.1/24\", \"2001:db8::1/64\"]\n"
      "host_addresses = [\"192.0.2.2/24\"]\nudp_port = 5000\nplaintext = true\nrx_checksum = \"trust\"\n"
      "[cores]\npoll = [" + cpu + "]\nworkers = [" + cpu + ", " + cpu + "]\nshared = true\n"
      "[limits]\nrights = 1024\nin_flight = 64\nprocesses_per_worker = 8\nmemory_max = \"1MiB\"\n"
      "memory_total = 8388608\ntime_limit_max = \"20ms\"\nmodule_max = \"100KiB\"\nrestart_pause_max = \"1s\"\n");
  ASSERT_TRUE(config) << config.error().sentence();
  EXPECT_EQ(config->name, "alpha-1");
  EXPECT_EQ(config->idle, Idle::spin);
  EXPECT_FALSE(config->huge_pages);
  const Port& port = config->ports.at(0);
  EXPECT_EQ(port.device, "tap:pg1");
  EXPECT_EQ(to_string(port.addresses.at(0)), "192.0.2.1/24");
  EXPECT_EQ(to_string(port.addresses.at(1)), "2001:db8::1/64");
  EXPECT_EQ(to_string(port.host_addresses.at(0)), "192.0.2.2/24");
  EXPECT_EQ(port.udp_port, 5000);
  EXPECT_EQ(port.rx_checksum, RxChecksum::trust);
  EXPECT_EQ(config->worker_cores.size(), 2u);
  EXPECT_EQ(config->limits.rights, 1024u);
  EXPECT_EQ(config->limits.in_flight, 64u);
  EXPECT_EQ(config->limits.processes_per_worker, 8u);
  EXPECT_EQ(config->limits.memory_max, 1u << 20);
  EXPECT_EQ(config->limits.memory_total, 8u << 20);
  EXPECT_EQ(config->limits.time_limit_max_us, 20'000u);
  EXPECT_EQ(config->limits.module_max, 102'400u);
  EXPECT_EQ(config->limits.restart_pause_max_us, 1'000'000u);
}

TEST_F(NodeToml, WrongSyntaxNamesTheLine) { expect_refused("[node]\nname = \"pgrid\nidle = 1\n", 2, ""); }

TEST_F(NodeToml, UnknownKeysNameTheirLineAndTheKnownOnes) {
  expect_refused(good("", "[nodes]\n"), 9, "unknown key \"nodes\" in the file; it may hold: node, port, cores, limits");
  expect_refused(good("adresses = []\n"), 5, "unknown key \"adresses\" in [[port]]; it may hold: device, addresses");
  expect_refused(good("", "[limits]\nright = 5\n"), 10, "unknown key \"right\" in [limits]");
  expect_refused(good("", "[node]\nNAME = 5\n"), 10, "unknown key \"NAME\" in [node]");
}

TEST_F(NodeToml, WrongTypes) {
  expect_refused(good("udp_port = \"4646\"\n"), 5, "[[port]] udp_port: must be a whole number from 1 to 65535");
  expect_refused(good("udp_port = 0\n"), 5, "from 1 to 65535");
  expect_refused(good("rx_checksum = true\n"), 5, "must be text in quotes");
  expect_refused(good("rx_checksum = \"maybe\"\n"), 5, "must be \"verify\" or \"trust\"");
  expect_refused(good("host_addresses = \"192.0.2.2\"\n"), 5, "must be a list of texts");
  expect_refused(good("", "[node]\nhuge_pages = 1\n"), 10, "must be true or false");
  expect_refused(good("", "[node]\nidle = \"lazy\"\n"), 10, "must be \"automatic\"");
  expect_refused("node = 5\n" + good(), 1, "node: must be a table, written as [node]");
  expect_refused("[port]\ndevice = \"tap:a\"\n", 1, "[[port]]");
}

TEST_F(NodeToml, Names) {
  expect_refused(good("", "[node]\nname = \"a/b\"\n"), 10, "[node] name");
  expect_refused(good("", "[node]\nname = \"\"\n"), 10, "[node] name");
  expect_refused(good("", "[node]\nname = \"123456789012345678901234567890123\"\n"), 10, "1 to 32");
}

TEST_F(NodeToml, Addresses) {
  for (const char* bad : {"192.0.2.1/33", "192.0.2/24", "host", "", "2001:db8::1/129", "192.0.2.1/", "192.0.2.1/24x"})
    expect_refused(good(std::string("host_addresses = [\"") + bad + "\"]\n"), 5, "host_addresses");
  for (const char* group : {"224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::"})
    expect_refused(good(std::string("host_addresses = [\"") + group + "\"]\n"), 5, "is not the address of one host");
  expect_refused(good("host_addresses = [\"192.0.2.1/24\"]\n"), 2, "is the node's own address");
}

TEST_F(NodeToml, Ports) {
  expect_refused("[node]\nname = \"a\"\n", 0, "there is no [[port]]");
  expect_refused("[[port]]\naddresses = [\"192.0.2.1\"]\nplaintext = true\n", 1, "device: is missing");
  expect_refused("[[port]]\ndevice = \"tap:a\"\nplaintext = true\n", 2, "addresses: is missing");
  expect_refused("[[port]]\ndevice = \"tap:a\"\naddresses = [\"192.0.2.1\"]\n", 2, "until secure sessions exist");
  expect_refused("[[port]]\ndevice = \"tap:a\"\naddresses = [\"192.0.2.1\"]\nplaintext = false\n", 2,
                 "plaintext = true");
  expect_refused("[[port]]\ndevice = \"tap:a234567890123456\"\naddresses = [\"192.0.2.1\"]\nplaintext = true\n", 2,
                 "longer than 15 characters");
  expect_refused("[[port]]\ndevice = \"tap:a b\"\naddresses = [\"192.0.2.1\"]\nplaintext = true\n", 2, "device");
  expect_refused("[[port]]\ndevice = \"tap:\"\naddresses = [\"192.0.2.1\"]\nplaintext = true\n", 2, "device");
  expect_refused("[[port]]\ndevice = \"0000:65:00.0\"\naddresses = [\"192.0.2.1\"]\nhost_addresses = [\"192.0.2.2\"]\n"
                 "plaintext = true\n", 2, "only a tap: port");
  const std::string one = "[[port]]\ndevice = \"tap:a\"\naddresses = [\"192.0.2.1\"]\nplaintext = true\n";
  expect_refused(one + one, 6, "is a port already; see line 2");
  expect_refused(one + "[[port]]\ndevice = \"tap:b\"\naddresses = [\"192.0.2.1/24\"]\nplaintext = true\n", 6,
                 "is on another port already");
}

TEST_F(NodeToml, FifteenCharactersAreAnInterfaceName) {
  const std::string cpu = std::to_string(first_cpu());
  const auto config = read("[[port]]\ndevice = \"tap:a23456789012345\"\naddresses = [\"192.0.2.1\"]\nplaintext = true\n"
                           "[cores]\npoll = [" + cpu + "]\nworkers = [" + cpu + "]\nshared = true\n");
  EXPECT_TRUE(config) << config.error().sentence();
}

TEST_F(NodeToml, ANullPortNeedsNoAddress) {
  const std::string cpu = std::to_string(first_cpu());
  EXPECT_TRUE(read("[[port]]\ndevice = \"null:\"\nplaintext = true\n[cores]\npoll = [" + cpu + "]\nworkers = [" + cpu +
                   "]\nshared = true\n"));
}

TEST_F(NodeToml, Cores) {
  const std::string port = "[[port]]\ndevice = \"null:\"\nplaintext = true\n";
  const std::string cpu = std::to_string(first_cpu());
  expect_refused(port + "[cores]\npoll = [" + cpu + "]\nworkers = [" + cpu + "]\n", 6, "has two owners, poll and workers");
  expect_refused(port + "[cores]\npoll = [" + cpu + ", " + cpu + "]\n", 5, "has two owners, poll and poll");
  expect_refused(port + "[cores]\npoll = [1023]\n", 5, "CPU 1023 does not exist");
  expect_refused(port + "[cores]\npoll = [-1]\n", 5, "must be a list of whole numbers");
  expect_refused(port + "[cores]\npoll = [99999999]\n", 5, "must be a list of whole numbers");
  expect_refused(port + "[cores]\npoll = []\n", 4, "needs at least one CPU");
  std::string nine;
  for (int i = 0; i < 9; ++i) nine += cpu + ",";
  expect_refused(port + "[cores]\nshared = true\npoll = [" + nine + "]\n", 6, "more than 8 CPUs");
}

TEST_F(NodeToml, Limits) {
  const auto limits = [&](const std::string& line) { return good("", "[limits]\n" + line + "\n"); };
  expect_refused(limits("rights = 1000"), 10, "1000 is not a power of two; write 1024");
  expect_refused(limits("in_flight = 3"), 10, "3 is not a power of two; write 4");
  expect_refused(limits("rights = 2097152"), 10, "from 1 to 1048576");
  expect_refused(limits("in_flight = 32768"), 10, "from 1 to 16384");
  expect_refused(limits("processes_per_worker = 0"), 10, "from 1 to 4096");
  expect_refused(limits("memory_max = \"16MB\""), 10, "\"16MB\": is not a size");
  expect_refused(limits("memory_max = true"), 10, "must be a size; write it in quotes");
  expect_refused(limits("memory_max = \"100KiB\""), 10, "multiple of 64KiB");
  expect_refused(limits("memory_max = \"8GiB\""), 10, "from 64KiB to 4GiB");
  expect_refused(limits("memory_total = \"1MiB\""), 10, "1MiB is less than memory_max, 16MiB");
  expect_refused(limits("time_limit_max = 5"), 10, "must be a duration");
  expect_refused(limits("time_limit_max = \"5\""), 10, "\"5\": is not a duration");
  expect_refused(limits("time_limit_max = \"2m\""), 10, "from 1us to 1m");
  expect_refused(limits("module_max = \"0\""), 10, "from 1B to 64MiB");
  expect_refused(limits("restart_pause_max = \"1ms\""), 10, "from 100ms to 1m");
}

TEST_F(NodeToml, MissingFile) {
  const auto config = read_node_config(directory_ / "none.toml", {});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, Errc::invalid_argument);
  EXPECT_THAT(config.error().sentence(), HasSubstr("none.toml: there is no such file"));
  EXPECT_FALSE(read_node_config(directory_, {}));
}

TEST_F(NodeToml, MissingInterfaceNamesTheLine) {
  const std::string cpu = std::to_string(first_cpu());
  const auto config = read("\n[[port]]\ndevice = \"af_xdp:pgnone0\"\naddresses = [\"192.0.2.1\"]\nplaintext = true\n"
                           "[cores]\npoll = [" + cpu + "]\nworkers = [" + cpu + "]\nshared = true\n");
  ASSERT_TRUE(config) << config.error().sentence();
  const auto checked = check_interfaces(*config);
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().sentence(), HasSubstr("node.toml:3: there is no interface \"pgnone0\""));
}

TEST_F(NodeToml, TheExampleParses) {
  std::ifstream file(PGRID_EXAMPLE);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  ASSERT_FALSE(text.empty());
  // Its cores are those of a machine with two; here they are whatever this machine has.
  const auto replace = [&](const std::string& from, const std::string& to) {
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  };
  const std::string cpu = std::to_string(first_cpu());
  replace("poll = [0]", "poll = [" + cpu + "]");
  replace("workers = [1]", "workers = [" + cpu + "]\nshared = true");
  const auto config = read(text);
  ASSERT_TRUE(config) << config.error().sentence();
  EXPECT_EQ(config->ports.at(0).device, "tap:pg0");
  EXPECT_EQ(config->ports.at(0).addresses.size(), 2u);
}

TEST_F(NodeToml, TheExamplesCommentsAreTheDefaults) {
  std::ifstream file(PGRID_EXAMPLE);
  std::string text;
  for (std::string line; std::getline(file, line);) {
    // A commented key: "# key = value".
    const bool key = line.starts_with("# ") && line.find(" = ") != std::string::npos && std::islower(line[2]) != 0 &&
                     line.find(' ', 2) == line.find(" = ");
    text += (key ? line.substr(2) : line) + '\n';
  }
  const std::string cpu = std::to_string(first_cpu());
  text.replace(text.find("poll = [0]"), 10, "poll = [" + cpu + "]");
  text.replace(text.find("shared = false"), 14, "shared = true");
  text.replace(text.find("workers = [1]"), 13, "workers = [" + cpu + "]");
  const auto config = read(text);
  ASSERT_TRUE(config) << config.error().sentence();
  const NodeConfig plain;
  EXPECT_NE(text.find("\nmodule_max"), std::string::npos);
  EXPECT_NE(text.find("\nudp_port"), std::string::npos);
  EXPECT_EQ(config->idle, plain.idle);
  EXPECT_EQ(config->huge_pages, plain.huge_pages);
  EXPECT_EQ(config->ports.at(0).udp_port, 4646);
  EXPECT_EQ(config->ports.at(0).rx_checksum, RxChecksum::verify);
  EXPECT_EQ(config->limits.rights, plain.limits.rights);
  EXPECT_EQ(config->limits.in_flight, plain.limits.in_flight);
  EXPECT_EQ(config->limits.processes_per_worker, plain.limits.processes_per_worker);
  EXPECT_EQ(config->limits.memory_max, plain.limits.memory_max);
  EXPECT_EQ(config->limits.memory_total, plain.limits.memory_total);
  EXPECT_EQ(config->limits.time_limit_max_us, plain.limits.time_limit_max_us);
  EXPECT_EQ(config->limits.module_max, plain.limits.module_max);
  EXPECT_EQ(config->limits.restart_pause_max_us, plain.limits.restart_pause_max_us);
}

TEST(AddressText, PrefixIsTheWholeAddressUnlessGiven) {
  EXPECT_EQ(parse_address("192.0.2.1")->prefix, 32);
  EXPECT_EQ(parse_address("2001:db8::1")->prefix, 128);
  EXPECT_EQ(parse_address("192.0.2.1/0")->prefix, 0);
}

TEST(AddressText, IPv4IsMapped) {
  const auto address = parse_address("192.0.2.1/24");
  ASSERT_TRUE(address);
  EXPECT_TRUE(address->is_v4);
  EXPECT_THAT(address->bytes, testing::ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1));
}

}  // namespace
}  // namespace pgrid::config
