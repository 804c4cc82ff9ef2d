// The routes of docs/API.md: from a request to what the node does, and back to JSON. Knows nothing of
// sockets.
#pragma once

#include "control/api/http.hpp"
#include "control/api/target.hpp"
#include "control/api/tokens.hpp"
#include "control/node.hpp"

namespace pgrid::control {

inline constexpr std::uint64_t kBodyMax = 64u << 10;  // bytes of a request that carries no module
inline constexpr std::uint32_t kRightsAtOnce = 10'000;  // rights that one request makes: with secrets 1 MB of answer
inline constexpr std::uint64_t kLogWaitMaxMs = 30'000;

/// Owned by control's one thread.
class Api {
 public:
  explicit Api(Node& node) : node_(node), tokens_(node) {}

  /// Calls `respond` exactly once, now or later.
  void handle(const Request& request, Respond respond);

  /// Bytes that the body of a request to this target may have.
  [[nodiscard]] std::uint64_t body_max(std::string_view method, std::string_view target) const;

 private:
  void processes(const Request& request, const Target& target, Respond respond);
  void one_process(const Request& request, const Target& target, Respond respond);
  void restart(const Request& request, const Target& target, Respond respond);
  void logs(const Request& request, const Target& target, Respond respond);
  void rights(const Request& request, const Target& target, Respond respond);
  void one_right(const Request& request, const Target& target, Respond respond);
  void invoke(const Request& request, const Target& target, Respond respond);

  void deploy(const Request& request, const Target& target, Respond respond);
  void create_right(const Request& request, bool secrets, Respond respond);
  void derive_right(const Request& request, const Target& target, const RightRecord& parent, Respond respond);
  void attenuate_right(const Request& request, const RightRecord& right, Respond respond);
  void list_rights(const Target& target, bool secrets, Respond respond);

  Node& node_;
  TokenRoutes tokens_;
};

}  // namespace pgrid::control
