#include "drivers/dpdk/device_spec.hpp"

#include <algorithm>
#include <cctype>

#include "drivers/dpdk/device_options.hpp"

namespace pgrid::dpdk {
namespace {

constexpr std::size_t kInterfaceNameMax = 15;  // IFNAMSIZ without its terminating zero
constexpr std::size_t kVdevNameMax = 63;       // RTE_DEV_NAME_MAX_LEN, likewise
constexpr const char* kKinds =
    "use tap:NAME, af_xdp:INTERFACE, memif:OPTIONS, pcap:OPTIONS, null:, a PCI address such as 0000:65:00.0, "
    "or DPDK devargs that begin with net_";

bool is_hex(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c) != 0; });
}

/// "0000:65:00.0", or "65:00.0" in domain 0: the address in full, or empty.
std::string pci_address(std::string_view text) {
  const std::string full = text.size() == 7 ? "0000:" + std::string(text) : std::string(text);
  if (full.size() != 12 || full[4] != ':' || full[7] != ':' || full[10] != '.') return {};
  const std::string_view view = full;
  const bool fields_ok = is_hex(view.substr(0, 4)) && is_hex(view.substr(5, 2)) &&
                         is_hex(view.substr(8, 2)) && full[11] >= '0' && full[11] <= '7';
  return fields_ok ? full : std::string{};
}

/// "name,arguments" in two; without a comma the arguments are empty.
std::pair<std::string_view, std::string_view> split_arguments(std::string_view text) {
  const auto comma = text.find(',');
  if (comma == text.npos) return {text, {}};
  return {text.substr(0, comma), text.substr(comma + 1)};
}

Result<void> read_interface(DeviceSpec& spec, std::string_view name) {
  spec.interface = name;
  auto ok = check_interface_name(name);
  if (!ok) ok.error().operation = "device \"" + spec.text + "\": " + ok.error().operation;
  return ok;
}

Result<DeviceSpec> tap(DeviceSpec spec, std::string_view rest) {
  spec.kind = DeviceKind::tap;
  if (auto ok = read_interface(spec, rest); !ok) return std::unexpected(ok.error());
  return spec;
}

Result<DeviceSpec> null(DeviceSpec spec, std::string_view rest) {
  spec.kind = DeviceKind::null;
  if (!rest.empty())
    return fail(Errc::invalid_argument, "device \"" + spec.text + "\"", "a null port takes no name",
                "write null:");
  return spec;
}

Result<DeviceSpec> af_xdp(DeviceSpec spec, std::string_view rest) {
  spec.kind = DeviceKind::af_xdp;
  const auto [interface, text] = split_arguments(rest);
  if (auto ok = read_interface(spec, interface); !ok) return std::unexpected(ok.error());
  DeviceOptions options(spec.text, text, "af_xdp:INTERFACE, or af_xdp:INTERFACE,start_queue=N");
  if (const auto queue = options.number("start_queue", 4095)) {
    spec.start_queue = *queue;
    spec.start_queue_chosen = true;
  }
  if (auto ok = options.finish(); !ok) return std::unexpected(ok.error());
  return spec;
}

Result<DeviceSpec> memif(DeviceSpec spec, std::string_view rest) {
  constexpr std::size_t kPathMax = 107;  // sun_path without its terminating zero
  spec.kind = DeviceKind::memif;
  DeviceOptions options(spec.text, rest,
                        "memif:socket=/PATH,role=server,id=N, or role=client on the other side");
  spec.socket = options.required("socket");
  if (!spec.socket.empty() && (spec.socket.front() != '/' || spec.socket.size() > kPathMax))
    options.refuse("socket must be a path that begins with / and has at most 107 characters");
  const std::string role = options.required("role");
  if (!role.empty() && role != "server" && role != "client") options.refuse("role must be server or client");
  spec.is_server = role == "server";
  spec.id = options.number("id", UINT32_MAX).value_or(0);
  if (auto ok = options.finish(); !ok) return std::unexpected(ok.error());
  return spec;
}

Result<DeviceSpec> pcap(DeviceSpec spec, std::string_view rest) {
  spec.kind = DeviceKind::pcap;
  DeviceOptions options(spec.text, rest, "pcap:rx=IN.pcap,tx=OUT.pcap, or pcap:rx=IN.pcap,infinite");
  spec.rx_file = options.required("rx");
  spec.tx_file = options.text("tx");
  spec.infinite = options.flag("infinite");
  if (!spec.rx_file.empty() && spec.rx_file == spec.tx_file) options.refuse("rx and tx are the same file");
  if (auto ok = options.finish(); !ok) return std::unexpected(ok.error());
  return spec;
}

}  // namespace

Result<void> check_interface_name(std::string_view name) {
  const std::string operation = "interface name \"" + std::string(name) + "\"";
  if (name.empty())
    return fail(Errc::invalid_argument, operation, "it is empty", "write a name, such as tap:pg0");
  if (name.size() > kInterfaceNameMax)
    return fail(Errc::invalid_argument, operation, std::to_string(name.size()) + " characters",
                "the kernel takes at most " + std::to_string(kInterfaceNameMax));
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
  if (!plain || name == "." || name == "..")
    return fail(Errc::invalid_argument, operation, "a character that does not fit",
                "use letters, digits, '-', '_' and '.'");
  return {};
}

Result<DeviceSpec> parse_device(std::string_view text) {
  DeviceSpec spec;
  spec.text = text;
  if (text.starts_with("tap:")) return tap(std::move(spec), text.substr(4));
  if (text.starts_with("null:")) return null(std::move(spec), text.substr(5));
  if (text.starts_with("af_xdp:")) return af_xdp(std::move(spec), text.substr(7));
  if (text.starts_with("memif:")) return memif(std::move(spec), text.substr(6));
  if (text.starts_with("pcap:")) return pcap(std::move(spec), text.substr(5));

  const std::string operation = "device \"" + spec.text + "\"";
  const auto [name, arguments] = split_arguments(text);
  spec.arguments = arguments;
  if (name.starts_with("net_")) {
    if (name.size() > kVdevNameMax)
      return fail(Errc::invalid_argument, operation, "DPDK takes names of at most 63 characters");
    spec.kind = DeviceKind::vdev;
    spec.name = name;
    return spec;
  }
  if (std::string address = pci_address(name); !address.empty()) {
    spec.kind = DeviceKind::pci;
    spec.name = std::move(address);
    return spec;
  }
  return fail(Errc::invalid_argument, operation, "not a kind of port that exists", kKinds);
}

}  // namespace pgrid::dpdk
