// The only file that includes Beast: it is slow to compile.
#include "tools/pgrid/api_client.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "tools/pgrid/printer.hpp"

namespace pgrid::tools {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Local = asio::local::stream_protocol;

constexpr char kNoNode[] = "no node is running at ";

Error no_node(const std::filesystem::path& socket) {
  return {Errc::unavailable, kNoNode + socket.parent_path().string(), "", "start one with: pgrid up"};
}

std::string target_of(const ApiRequest& request) {
  std::string target = request.path;
  char separator = '?';
  for (const auto& [key, value] : request.query) {
    target += separator + key + '=' + path_part(value);
    separator = '&';
  }
  return target;
}

/// What control says about a failure, or the best that can be made of it.
Error error_of(const nlohmann::json& body, unsigned status) {
  if (body.is_object() && body.contains("error") && body["error"].is_object()) {
    const auto& error = body["error"];
    const auto text = [&](const char* key) {
      return error.contains(key) && error[key].is_string() ? error[key].get<std::string>() : std::string();
    };
    if (!text("message").empty()) return {code_from_text(text("code")), text("message"), "", ""};
  }
  return {Errc::protocol, "control answered with status " + std::to_string(status) + " and no sentence", "", "see its log, or `pgrid up`'s output"};
}

}  // namespace

std::string path_part(std::string_view text) {
  constexpr char digits[] = "0123456789ABCDEF";
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
                       byte == '-' || byte == '_' || byte == '.' || byte == '~';
    if (plain)
      escaped += c;
    else
      (escaped += '%') += {digits[byte >> 4], digits[byte & 15]};
  }
  return escaped;
}

bool is_no_node(const Error& error) { return error.code == Errc::unavailable && error.operation.starts_with(kNoNode); }

Result<nlohmann::json> ApiClient::call(const ApiRequest& request) const {
  const std::string operation = request.method + ' ' + request.path;
  if (socket_.string().size() > 107)  // sun_path is 108 bytes with its NUL
    return fail(Errc::invalid_argument, socket_.string(), "the path is too long for a Unix socket",
                "use a shorter --node DIR");
  asio::io_context context;
  beast::basic_stream<Local> stream(context);
  // Each step is asynchronous because only so can it have a time limit; one at a time, so that this reads top down.
  const auto deadline = std::chrono::steady_clock::now() + request.patience;
  const auto step = [&](auto start) {
    beast::error_code failure;
    context.restart();
    stream.expires_at(deadline);
    start([&failure](beast::error_code code, auto&&...) { failure = code; });
    context.run();
    return failure;
  };
  const auto failed = [&](beast::error_code code) -> std::unexpected<Error> {
    if (code == beast::error::timeout)
      return fail(Errc::timed_out, operation, "control did not answer in time",
                  "see `pgrid up`'s output, or whether the machine is overloaded");
    if (code == http::error::end_of_stream || code == asio::error::eof || code == asio::error::connection_reset ||
        code == http::error::partial_message || code == asio::error::broken_pipe)
      return fail(Errc::unavailable, operation, "control went away before it answered",
                  "`pgrid up` restarts it; try again");
    return fail(Errc::io, operation, code.message());
  };

  beast::error_code code = step([&](auto done) { stream.async_connect(Local::endpoint(socket_.string()), done); });
  if (code == beast::errc::no_such_file_or_directory || code == beast::errc::connection_refused ||
      code == beast::errc::not_a_directory)
    return std::unexpected(no_node(socket_));
  if (code == beast::errc::permission_denied)
    return fail(Errc::not_permitted, "open " + socket_.string(), "permission denied",
                "run as the user that runs the node, or pass --node DIR");
  if (code) return failed(code);

  http::request<http::string_body> message{http::string_to_verb(request.method), target_of(request), 11};
  message.set(http::field::host, "pgrid");
  message.set(http::field::connection, "close");
  if (!request.body.empty()) message.set(http::field::content_type, request.content_type);
  message.body() = request.body;
  message.prepare_payload();
  code = step([&](auto done) { http::async_write(stream, message, done); });
  // A server that refuses early may close before it has read all; its answer is worth more than our broken pipe.
  if (code && code != asio::error::broken_pipe && code != asio::error::connection_reset) return failed(code);

  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kApiAnswerMax);
  code = step([&](auto done) { http::async_read(stream, buffer, parser, done); });
  if (code) return failed(code);
  const auto& response = parser.get();
  nlohmann::json body = nlohmann::json::parse(response.body(), nullptr, false);
  if (response.result_int() >= 300) return std::unexpected(error_of(body, response.result_int()));
  if (body.is_discarded())
    return fail(Errc::protocol, operation, "control's answer is not JSON", "are pgrid and the node of one version?");
  return body;
}

}  // namespace pgrid::tools
