#include "drivers/dpdk/device_spec.hpp"

#include <algorithm>
#include <cctype>

namespace pgrid::dpdk {
namespace {

constexpr std::size_t kInterfaceNameMax = 15;  // IFNAMSIZ without its terminating zero
constexpr std::size_t kVdevNameMax = 63;       // RTE_DEV_NAME_MAX_LEN, likewise
constexpr const char* kKinds =
    "use tap:NAME, null:, a PCI address such as 0000:65:00.0, or DPDK devargs that begin with net_";

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
  const std::string operation = "device \"" + std::string(text) + "\"";
  DeviceSpec spec;
  spec.text = text;
  if (text.starts_with("tap:")) {
    spec.kind = DeviceKind::tap;
    spec.interface = text.substr(4);
    if (auto ok = check_interface_name(spec.interface); !ok) {
      ok.error().operation = operation + ": " + ok.error().operation;
      return std::unexpected(ok.error());
    }
    return spec;
  }
  if (text.starts_with("null:")) {
    if (text.size() > 5)
      return fail(Errc::invalid_argument, operation, "a null port takes no name", "write null:");
    spec.kind = DeviceKind::null;
    return spec;
  }
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
