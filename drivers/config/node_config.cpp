#include "drivers/config/node_config.hpp"

#include <net/if.h>
#include <sched.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "drivers/config/toml_section.hpp"
#include "drivers/config/units.hpp"

namespace pgrid::config {
namespace {

constexpr std::size_t kInterfaceNameMax = IFNAMSIZ - 1;  // 15: the kernel keeps 16 bytes with the NUL
constexpr std::size_t kNodeNameMax = 32;                 // becomes a folder's name and an EAL file prefix

bool is_name(const std::string& text, std::size_t length_max) {
  return !text.empty() && text.size() <= length_max && text.front() != '.' && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return c < 128 && (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.');
         });
}

constexpr const char* kDeviceKinds =
    "write tap:NAME, af_xdp:INTERFACE, memif:OPTIONS, pcap:OPTIONS, null:, a PCI address or DPDK devargs";

/// The interface that a device names ("tap:pg0" -> "pg0", "af_xdp:eth0,start_queue=1" -> "eth0"), or nothing.
std::optional<std::string> interface_of(const std::string& device, std::string_view kind) {
  if (!device.starts_with(kind)) return std::nullopt;
  const std::string rest = device.substr(kind.size());
  return kind == "af_xdp:" ? rest.substr(0, rest.find(',')) : rest;
}

bool is_unicast(const Address& a) {
  if (a.is_v4) {
    const std::uint8_t first = a.bytes[12];
    return first != 0 && first < 224;  // 224.0.0.0/4 multicast, 240.0.0.0/4 reserved and broadcast
  }
  const std::uint8_t none[16] = {};
  return a.bytes[0] != 0xff && std::memcmp(a.bytes, none, sizeof none) != 0;
}

bool same_host(const Address& a, const Address& b) { return std::memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0; }

std::vector<Address> read_addresses(const Section& section, std::string_view key) {
  std::vector<Address> addresses;
  const auto texts = section.texts(key);
  if (!texts) return addresses;
  for (const auto& [text, line] : *texts) {
    const Result<Address> address = parse_address(text);
    if (!address) {
      section.wrong(line, key, address.error().operation + ' ' + address.error().cause, address.error().remedy);
    } else if (!is_unicast(*address)) {
      section.wrong(line, key, '"' + text + "\" is not the address of one host");
    } else {
      addresses.push_back(*address);
    }
  }
  return addresses;
}

void check_device(const Section& section, const At<std::string>& device) {
  const auto& [text, line] = device;
  if (text.empty() || std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 127; }))
    return section.wrong(line, "device", "must be the name of a device without spaces", kDeviceKinds);
  for (const std::string_view kind : {"tap:", "af_xdp:"}) {
    const auto name = interface_of(text, kind);
    if (!name) continue;
    if (name->size() > kInterfaceNameMax)
      return section.wrong(line, "device", "interface name \"" + *name + "\" is longer than " +
                                               std::to_string(kInterfaceNameMax) + " characters");
    if (!is_name(*name, kInterfaceNameMax))
      return section.wrong(line, "device", '"' + *name + "\" is not the name of an interface");
  }
}

Port read_port(Diagnosis& diagnosis, const toml::table& table) {
  const Section section(diagnosis, &table, "[[port]]",
                        {"device", "addresses", "host_addresses", "udp_port", "plaintext", "rx_checksum"});
  Port port;
  port.line = section.line();
  if (const auto device = section.text("device")) {
    check_device(section, *device);
    port.device = device->value;
    port.line = device->line;
  } else {
    section.wrong(port.line, "device", "is missing", kDeviceKinds);
  }
  port.addresses = read_addresses(section, "addresses");
  const bool silent = port.device.starts_with("null:") || port.device.starts_with("net_null");
  if (port.addresses.empty() && !silent)
    section.wrong(port.line, "addresses", "is missing", "give the node an address here, as in [\"192.0.2.1/24\"]");
  port.host_addresses = read_addresses(section, "host_addresses");
  if (!port.host_addresses.empty() && !port.device.starts_with("tap:"))
    section.wrong(port.line, "host_addresses", "only a tap: port has a kernel end to give addresses to");
  for (const Address& host : port.host_addresses)
    for (const Address& own : port.addresses)
      if (same_host(host, own))
        section.wrong(port.line, "host_addresses",
                      to_string(host) + " is the node's own address", "the kernel's end needs another one");
  if (const auto number = section.number("udp_port", 1, 65535)) port.udp_port = static_cast<std::uint16_t>(number->value);
  if (const auto plaintext = section.truth("plaintext")) port.plaintext = plaintext->value;
  if (!port.plaintext)
    section.wrong(port.line, "plaintext",
                  "until secure sessions exist, keys cross the network in clear, and a port serves only with "
                  "plaintext = true",
                  "add it if everybody on this network may see them");
  if (const auto checksum = section.text("rx_checksum")) {
    if (checksum->value == "trust")
      port.rx_checksum = RxChecksum::trust;
    else if (checksum->value != "verify")
      section.wrong(checksum->line, "rx_checksum", "must be \"verify\" or \"trust\"");
  }
  return port;
}

void read_ports(Diagnosis& diagnosis, const toml::table& root, NodeConfig& config) {
  const toml::node* node = root.get("port");
  if (node == nullptr) return diagnosis.wrong(0, "there is no [[port]]", "add one; docs/examples/node.toml shows how");
  const toml::array* array = node->as_array();
  if (array == nullptr || !array->is_homogeneous(toml::node_type::table))
    return diagnosis.wrong(node->source().begin.line, "port must be written as [[port]], once for each");
  if (array->size() > kPortsMax)
    return diagnosis.wrong(node->source().begin.line, "more than " + std::to_string(kPortsMax) + " ports");
  for (const toml::node& element : *array) {
    Port port = read_port(diagnosis, *element.as_table());
    for (const Port& other : config.ports) {
      if (other.device == port.device)
        diagnosis.wrong(port.line, "device \"" + port.device + "\" is a port already",
                        "see line " + std::to_string(other.line));
      for (const Address& a : port.addresses)
        for (const Address& b : other.addresses)
          if (same_host(a, b))
            diagnosis.wrong(port.line, "address " + to_string(a) + " is on another port already",
                            "see line " + std::to_string(other.line));
    }
    config.ports.push_back(std::move(port));
  }
}

/// CPUs must exist, be open to this process, and belong to one poll core or worker.
void read_cores(Diagnosis& diagnosis, const toml::table* table, NodeConfig& config) {
  const Section section(diagnosis, table, "[cores]", {"poll", "workers", "shared"});
  const auto shared = section.truth("shared");
  config.cores_shared = shared && shared->value;
  cpu_set_t open;
  CPU_ZERO(&open);
  ::sched_getaffinity(0, sizeof open, &open);
  std::vector<std::pair<std::uint64_t, std::string>> owners;
  const auto take = [&](std::string_view key, std::uint32_t fallback, std::size_t count_max) {
    auto cpus = section.numbers(key, CPU_SETSIZE - 1);
    if (!cpus) cpus = {{fallback, section.line()}};
    if (cpus->empty()) section.wrong(section.line(), key, "needs at least one CPU");
    if (cpus->size() > count_max)
      section.wrong(cpus->front().line, key, "more than " + std::to_string(count_max) + " CPUs");
    std::vector<std::uint32_t> result;
    for (const auto& [cpu, line] : *cpus) {
      const std::string name = "CPU " + std::to_string(cpu);
      if (!CPU_ISSET(cpu, &open))
        section.wrong(line, key, name + " does not exist here or is closed to this process",
                      "`nproc` counts what there is; a CPU may serve twice with shared = true under [cores]");
      const auto owner = std::find_if(owners.begin(), owners.end(), [&](const auto& o) { return o.first == cpu; });
      if (owner != owners.end() && !config.cores_shared)
        section.wrong(line, key, name + " has two owners, " + owner->second + " and " + std::string(key),
                      "give each its own, or write shared = true under [cores] on a small machine");
      owners.emplace_back(cpu, std::string(key));
      result.push_back(static_cast<std::uint32_t>(cpu));
    }
    return result;
  };
  config.poll_cores = take("poll", 0, kPollCoresMax);
  config.worker_cores = take("workers", 1, kWorkersMax);
}

void read_node(Diagnosis& diagnosis, const toml::table* table, NodeConfig& config) {
  const Section section(diagnosis, table, "[node]", {"name", "idle", "huge_pages"});
  if (const auto name = section.text("name")) {
    if (!is_name(name->value, kNodeNameMax))
      section.wrong(name->line, "name", "must be 1 to " + std::to_string(kNodeNameMax) +
                                            " letters, digits, '-', '_' or '.', and begin with a letter or digit");
    config.name = name->value;
  }
  if (const auto idle = section.text("idle")) {
    constexpr std::pair<std::string_view, Idle> words[] = {
        {"automatic", Idle::automatic}, {"spin", Idle::spin}, {"yield", Idle::yield}, {"sleep", Idle::sleep}};
    const auto* word = std::find_if(std::begin(words), std::end(words),
                                    [&](const auto& w) { return w.first == idle->value; });
    if (word == std::end(words))
      section.wrong(idle->line, "idle", "must be \"automatic\", \"spin\", \"yield\" or \"sleep\"");
    else
      config.idle = word->second;
  }
  if (const auto huge = section.truth("huge_pages")) config.huge_pages = huge->value;
}

std::uint32_t read_power_of_two(const Section& section, std::string_view key, std::uint32_t fallback,
                                std::uint32_t max) {
  const auto number = section.number(key, 1, max);
  if (!number) return fallback;
  if (!std::has_single_bit(number->value))
    section.wrong(number->line, key, std::to_string(number->value) + " is not a power of two",
                  "write " + std::to_string(std::bit_ceil(number->value)));
  return static_cast<std::uint32_t>(number->value);
}

void read_limits(Diagnosis& diagnosis, const toml::table* table, Limits& limits) {
  const Section section(diagnosis, table, "[limits]",
                        {"rights", "in_flight", "processes_per_worker", "memory_max", "memory_total",
                         "time_limit_max", "module_max", "restart_pause_max"});
  limits.rights = read_power_of_two(section, "rights", limits.rights, kRightsMax);
  limits.in_flight = read_power_of_two(section, "in_flight", limits.in_flight, kInFlightMax);
  if (const auto n = section.number("processes_per_worker", 1, kProcessesPerWorkerMax))
    limits.processes_per_worker = static_cast<std::uint32_t>(n->value);
  std::uint32_t memory_line = section.line();
  if (const auto bytes = section.size("memory_max", kMemoryPage, kMemoryMax)) {
    limits.memory_max = bytes->value;
    memory_line = bytes->line;
    if (bytes->value % kMemoryPage != 0)
      section.wrong(bytes->line, "memory_max", "must be a multiple of 64KiB, the page of WebAssembly");
  }
  if (const auto bytes = section.size("memory_total", kMemoryPage, kMemoryTotalMax)) {
    limits.memory_total = bytes->value;
    memory_line = bytes->line;
  }
  if (limits.memory_total < limits.memory_max)
    section.wrong(memory_line, "memory_total", size_text(limits.memory_total) + " is less than memory_max, " +
                                                   size_text(limits.memory_max),
                  "raise it, or lower memory_max");
  if (const auto us = section.duration_us("time_limit_max", 1, kTimeLimitMaxUs))
    limits.time_limit_max_us = static_cast<std::uint32_t>(us->value);
  if (const auto bytes = section.size("module_max", 1, kModuleMax)) limits.module_max = bytes->value;
  if (const auto us = section.duration_us("restart_pause_max", kRestartPauseFirstUs, kRestartPauseMaxUs))
    limits.restart_pause_max_us = us->value;
}

}  // namespace

Result<NodeConfig> read_node_config(const std::filesystem::path& file, const std::filesystem::path& node_dir) {
  std::error_code status;
  if (!std::filesystem::exists(file, status))
    return fail(Errc::invalid_argument, file.string(), "there is no such file",
                "name one with --config; docs/examples/node.toml is a commented example");
  if (!std::filesystem::is_regular_file(file, status))
    return fail(Errc::invalid_argument, file.string(), "is not a file", "name a node.toml with --config");
  Diagnosis diagnosis(file.string());
  const toml::parse_result parsed = toml::parse_file(file.string());
  if (!parsed) {
    diagnosis.wrong(parsed.error().source().begin.line, std::string(parsed.error().description()));
    return std::unexpected(*diagnosis.first());
  }
  const toml::table& root = parsed.table();
  NodeConfig config;
  config.file = file;
  config.run_dir = node_dir.empty() ? "/run/pgrid" : node_dir;
  config.state_dir = state_directory(node_dir);

  const Section top(diagnosis, &root, "the file", {"node", "port", "cores", "limits"});
  const auto table = [&](std::string_view key) -> const toml::table* {
    const toml::node* node = root.get(key);
    if (node != nullptr && !node->is_table())
      top.wrong(node->source().begin.line, key, "must be a table, written as [" + std::string(key) + "]");
    return node == nullptr ? nullptr : node->as_table();
  };
  read_node(diagnosis, table("node"), config);
  read_ports(diagnosis, root, config);
  read_cores(diagnosis, table("cores"), config);
  read_limits(diagnosis, table("limits"), config.limits);
  if (diagnosis.first()) return std::unexpected(*diagnosis.first());
  return config;
}

Result<void> check_interfaces(const NodeConfig& config) {
  for (const Port& port : config.ports) {
    const auto name = interface_of(port.device, "af_xdp:");
    if (name && ::if_nametoindex(name->c_str()) == 0)
      return fail(Errc::invalid_argument, config.file.string() + ':' + std::to_string(port.line),
                  "there is no interface \"" + *name + '"', "`ip link` lists what there is");
  }
  return {};
}

}  // namespace pgrid::config
