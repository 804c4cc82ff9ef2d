#include "tools/wire_client/udp_socket.hpp"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

namespace pgrid::tools {

Result<HostPort> parse_host_port(const std::string& text, std::uint16_t port) {
  const auto bad = [&] {
    return fail(Errc::invalid_argument, '"' + text + '"', "is not a host",
                "write HOST or HOST:PORT; an IPv6 address with a port stands in brackets");
  };
  HostPort result{text, port};
  std::string number;
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string::npos) return bad();
    result.host = text.substr(1, close - 1);
    if (close + 1 < text.size()) {
      if (text[close + 1] != ':') return bad();
      number = text.substr(close + 2);
      if (number.empty()) return bad();
    }
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    result.host = text.substr(0, text.find(':'));
    number = text.substr(text.find(':') + 1);
    if (number.empty()) return bad();
  }
  if (result.host.empty()) return bad();
  if (!number.empty()) {
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), result.port);
    if (error != std::errc{} || end != number.data() + number.size() || result.port == 0) return bad();
  }
  return result;
}

Result<UniqueFd> connect_udp(const HostPort& to) {
  const std::string operation = "reach " + to.host + " port " + std::to_string(to.port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* list = nullptr;
  const int code = ::getaddrinfo(to.host.c_str(), std::to_string(to.port).c_str(), &hints, &list);
  if (code != 0) return fail(Errc::invalid_argument, operation, ::gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(list, &::freeaddrinfo);
  int error_number = 0;
  for (const addrinfo* address = list; address != nullptr; address = address->ai_next) {
    UniqueFd fd(::socket(address->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (fd && ::connect(fd.get(), address->ai_addr, address->ai_addrlen) == 0) return fd;
    error_number = errno;
  }
  return fail_errno(operation, error_number, "is there a route to the node? see `ip route get " + to.host + '`');
}

}  // namespace pgrid::tools
