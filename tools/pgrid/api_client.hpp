// Talks to control: one JSON request and answer over HTTP on the node's Unix socket (docs/API.md).
#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "drivers/base/result.hpp"

namespace pgrid::tools {

/// Answers of control are at most this long; a longer one is an error, not a surprise.
inline constexpr std::size_t kApiAnswerMax = 64u << 20;  // bytes: all rights of a full table, with their counts

struct ApiRequest {
  std::string method = "GET";
  std::string path;                                         // "/v1/processes/echo": parts escaped by `path_part`
  std::vector<std::pair<std::string, std::string>> query;   // escaped here
  std::string body;
  std::string content_type = "application/json";
  std::chrono::milliseconds patience{30'000};               // for the whole exchange
};

/// A part of a path with everything but letters, digits, '-', '_', '.' and '~' written as %XX.
[[nodiscard]] std::string path_part(std::string_view text);

/// Stateless: a connection for each request, so that a control that restarted in between is no failure.
class ApiClient {
 public:
  explicit ApiClient(std::filesystem::path socket) : socket_(std::move(socket)) {}

  [[nodiscard]] const std::filesystem::path& socket() const { return socket_; }

  /// The parsed answer of a 2xx status. Otherwise the error that control wrote, with its code; `no_node` when nobody
  /// listens. Errc::not_found with an empty operation never means "no node": ask `is_no_node`.
  [[nodiscard]] Result<nlohmann::json> call(const ApiRequest& request) const;

 private:
  std::filesystem::path socket_;
};

/// Whether a failure of `call` says that no node runs there.
[[nodiscard]] bool is_no_node(const Error& error);

}  // namespace pgrid::tools
