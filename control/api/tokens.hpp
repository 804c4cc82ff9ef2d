// The routes of docs/API.md about tokens and identities.
#pragma once

#include "control/api/http.hpp"
#include "control/api/target.hpp"
#include "control/node.hpp"

namespace pgrid::control {

/// Owned by control's one thread.
class TokenRoutes {
 public:
  explicit TokenRoutes(Node& node) : node_(node) {}

  /// Whether the path is one of these; then `respond` is called exactly once, now or later.
  bool handle(const Request& request, const Target& target, const Respond& respond);

 private:
  void identity(const Target& target, const Respond& respond);
  void list(const Target& target, const Respond& respond);
  void issue(const Request& request, const Respond& respond);
  void redeem(const Request& request, const Respond& respond);
  void revoke(const Request& request, const Respond& respond);

  Node& node_;
};

}  // namespace pgrid::control
