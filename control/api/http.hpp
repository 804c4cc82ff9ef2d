// A request and its answer, as the API sees them: no sockets, no HTTP library.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "control/store/files.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::control {

struct Request {
  std::string method;  // "GET"
  std::string target;  // "/v1/rights?process=echo"
  std::string content_type;
  std::shared_ptr<const Bytes> body = std::make_shared<const Bytes>();
};

struct Response {
  int status = 200;
  std::string body;  // JSON
};

using Respond = std::function<void(Response)>;

/// The answer to a failure: status, code and sentence (docs/API.md).
[[nodiscard]] Response error_response(const Error& error);

}  // namespace pgrid::control
