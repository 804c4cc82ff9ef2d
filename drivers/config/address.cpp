// Addresses with prefixes, as node.toml writes them.
#include <arpa/inet.h>

#include <charconv>
#include <cstring>

#include "drivers/config/node_config.hpp"

namespace pgrid::config {
namespace {

constexpr std::uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};  // ::ffff:0:0/96

}  // namespace

Result<Address> parse_address(const std::string& text) {
  const auto bad = [&](std::string cause) {
    return fail(Errc::invalid_argument, '"' + text + '"', std::move(cause),
                "write an IPv4 or IPv6 address with its prefix length, as in 192.0.2.1/24 or 2001:db8::1/64");
  };
  const std::size_t slash = text.find('/');
  const std::string host = text.substr(0, slash);
  Address address;
  if (::inet_pton(AF_INET, host.c_str(), address.bytes + 12) == 1) {
    address.is_v4 = true;
    std::memcpy(address.bytes, kMappedPrefix, sizeof kMappedPrefix);
  } else if (::inet_pton(AF_INET6, host.c_str(), address.bytes) != 1) {
    return bad("is not an address");
  }
  const unsigned prefix_max = address.is_v4 ? 32 : 128;
  unsigned prefix = prefix_max;
  if (slash != std::string::npos) {
    const char* begin = text.data() + slash + 1;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(begin, end, prefix);
    if (error != std::errc{} || stop != end || prefix > prefix_max)
      return bad("the prefix length is not a number from 0 to " + std::to_string(prefix_max));
  }
  address.prefix = static_cast<std::uint8_t>(prefix);
  return address;
}

std::string to_string(const Address& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.is_v4)
    ::inet_ntop(AF_INET, address.bytes + 12, text, sizeof text);
  else
    ::inet_ntop(AF_INET6, address.bytes, text, sizeof text);
  return std::string(text) + '/' + std::to_string(address.prefix);
}

}  // namespace pgrid::config
