// Replies that several routes give.
#pragma once

#include <string>

#include "control/api/http.hpp"
#include "control/api/views.hpp"

namespace pgrid::control {

[[nodiscard]] inline Response ok(const Json& json, int status = 200) { return {status, text_of(json)}; }

/// 405. `allowed`: "GET or POST".
[[nodiscard]] inline Response wrong_method(const char* allowed) {
  Response response = error_response(
      {Errc::invalid_argument, "this path", "does not know that method", std::string("use ") + allowed});
  response.status = 405;
  return response;
}

}  // namespace pgrid::control
