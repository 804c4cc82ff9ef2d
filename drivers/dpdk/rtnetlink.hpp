// Just enough rtnetlink to set up one interface: requests with an acknowledgement, and dumps. For
// tap_host.cpp.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstring>
#include <functional>

#include "drivers/base/result.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::dpdk {

/// One request being written: netlink header, the type's fixed part, then attributes. Small: addresses and
/// flags only.
template <typename Fixed>
class NetlinkRequest {
 public:
  NetlinkRequest(std::uint16_t type, std::uint16_t flags, const Fixed& fixed) {
    header().nlmsg_len = NLMSG_LENGTH(sizeof fixed);
    header().nlmsg_type = type;
    header().nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    std::memcpy(NLMSG_DATA(&header()), &fixed, sizeof fixed);
  }
  void attribute(std::uint16_t type, const void* value, std::size_t size) {
    auto* const end = bytes_ + NLMSG_ALIGN(header().nlmsg_len);
    const rtattr attribute{static_cast<std::uint16_t>(RTA_LENGTH(size)), type};
    std::memcpy(end, &attribute, sizeof attribute);
    std::memcpy(end + RTA_LENGTH(0), value, size);
    header().nlmsg_len =
        static_cast<std::uint32_t>(NLMSG_ALIGN(header().nlmsg_len) + RTA_ALIGN(attribute.rta_len));
  }
  [[nodiscard]] nlmsghdr& header() { return *reinterpret_cast<nlmsghdr*>(bytes_); }

 private:
  // Header 16, fixed part at most 16, and three attributes of at most 4 + 16.
  alignas(nlmsghdr) std::byte bytes_[128] = {};
};

/// A NETLINK_ROUTE socket. One request at a time.
class RouteSocket {
 public:
  [[nodiscard]] static Result<RouteSocket> open();
  /// Sends and waits for the kernel's verdict: 0, or a positive errno. Answers before it are shown to `each`.
  [[nodiscard]] int request(nlmsghdr& message, const std::function<void(const nlmsghdr&)>& each = {});
  /// Sends a dump request and shows every answer to `each`. 0, or a positive errno.
  [[nodiscard]] int dump(nlmsghdr& message, const std::function<void(const nlmsghdr&)>& each);

 private:
  [[nodiscard]] int exchange(nlmsghdr& message, const std::function<void(const nlmsghdr&)>& each);
  UniqueFd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace pgrid::dpdk
