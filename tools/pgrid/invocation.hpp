// One request and what came of it, over control's API or by datagram: the two ways of `pgrid invoke`.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "abi/shared/reason.hpp"
#include "abi/wire/grid_uri.hpp"
#include "tools/pgrid/api_client.hpp"
#include "tools/wire_client/udp_socket.hpp"

namespace pgrid::tools {

struct Outcome {
  std::string kind;    // as abi/shared/reason.hpp names it
  std::string reason;
  std::string body;    // any bytes
  std::uint64_t round_trip_ns = 0;
  std::vector<std::string> rights{};  // grid URIs of those that the answer brought
  [[nodiscard]] bool answered() const { return kind == "answer"; }
};

class Invocation {
 public:
  virtual ~Invocation() = default;
  /// Errc::timed_out when nothing came back.
  [[nodiscard]] virtual Result<Outcome> once(const std::string& body) = 0;
};

/// `target`: the name of a process, or a grid URI of this node. `deadline_us` 0: the right's. `carry`: rights that go along, by
/// name or SLOT.GENERATION, with commas between them.
[[nodiscard]] std::unique_ptr<Invocation> invoke_by_api(const ApiClient& api, std::string target,
                                                        std::uint32_t deadline_us, std::string carry = {});

/// Waits for the deadline and a second more; for two seconds without a deadline.
[[nodiscard]] Result<std::unique_ptr<Invocation>> invoke_by_udp(const HostPort& to, const wire::RightRef& right,
                                                                std::uint32_t deadline_us);

/// RFC 4648 with padding. `base64_decode` refuses anything else.
[[nodiscard]] std::string base64(std::string_view bytes);
[[nodiscard]] Result<std::string> base64_decode(std::string_view text);

}  // namespace pgrid::tools
