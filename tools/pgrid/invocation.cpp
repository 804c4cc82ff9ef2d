#include "tools/pgrid/invocation.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <nlohmann/json.hpp>
#include <random>

#include "tools/wire_client/datagram.hpp"

namespace pgrid::tools {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::uint64_t nanoseconds_since(Clock::time_point start) {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
}

class ApiInvocation : public Invocation {
 public:
  ApiInvocation(const ApiClient& api, std::string target, std::uint32_t deadline_us, std::string carry)
      : api_(api), target_(std::move(target)), deadline_us_(deadline_us), carry_(std::move(carry)) {}

  Result<Outcome> once(const std::string& body) override {
    nlohmann::json json{{"target", target_}, {"body_base64", base64(body)}};
    if (deadline_us_ != 0) json["deadline_us"] = deadline_us_;
    if (!carry_.empty()) json["carry"] = carry_;
    const auto answer = api_.call({.method = "POST",
                                   .path = "/v1/invoke",
                                   .body = json.dump(),
                                   .patience = std::chrono::milliseconds(deadline_us_ / 1000 + 10'000)});
    if (!answer) return std::unexpected(answer.error());
    const auto text = [&](const char* key) {
      return answer->contains(key) && (*answer)[key].is_string() ? (*answer)[key].get<std::string>() : std::string();
    };
    const auto bytes = base64_decode(text("body_base64"));
    if (!bytes) return fail(Errc::protocol, "read the answer", "its body is not base64");
    Outcome outcome{text("kind"), text("reason"), *bytes, 0, {}};
    for (const auto& right : answer->value("rights", nlohmann::json::array()))
      if (right.is_object() && right.contains("uri") && right["uri"].is_string()) outcome.rights.push_back(right["uri"]);
    if (answer->contains("round_trip_ns") && (*answer)["round_trip_ns"].is_number())
      outcome.round_trip_ns = (*answer)["round_trip_ns"].get<std::uint64_t>();
    return outcome;
  }

 private:
  const ApiClient& api_;
  std::string target_;
  std::uint32_t deadline_us_;
  std::string carry_;
};

class UdpInvocation : public Invocation {
 public:
  UdpInvocation(UniqueFd socket, const wire::RightRef& right, std::uint32_t deadline_us)
      : socket_(std::move(socket)), right_(right), deadline_us_(deadline_us) {
    std::random_device random;
    next_id_ = std::uint64_t{random()} << 32 | random();
  }

  Result<Outcome> once(const std::string& body) override {
    const std::uint64_t id = next_id_++;
    auto request = RequestDatagram::build(right_, std::as_bytes(std::span(body)), id, deadline_us_);
    if (!request) return std::unexpected(request.error());
    const auto start = Clock::now();
    const auto bytes = request->bytes();
    if (::send(socket_.get(), bytes.data(), bytes.size(), 0) < 0) return fail_errno("send a datagram", errno);
    const auto patience = deadline_us_ != 0 ? std::chrono::microseconds(deadline_us_) + std::chrono::seconds(1)
                                            : std::chrono::microseconds(2'000'000);
    ReceiveBuffer buffer;
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(start + patience - Clock::now());
      pollfd waiting{socket_.get(), POLLIN, 0};
      if (left.count() <= 0 || ::poll(&waiting, 1, static_cast<int>(left.count())) == 0)
        return fail(Errc::timed_out, "no answer came back in " + std::to_string(patience.count() / 1000) + " ms", "",
                    "check the address and that UDP reaches the node; `pgrid stat` there tells what it dropped");
      const auto room = buffer.room();
      const ssize_t n = ::recv(socket_.get(), room.data(), room.size(), 0);
      if (n < 0 && errno == ECONNREFUSED)
        return fail(Errc::unavailable, "send a datagram", "nobody serves that UDP port there", "is the node up?");
      if (n < 0) continue;
      const auto answer = read_answer(room.first(static_cast<std::size_t>(n)));
      if (!answer || answer->id != id) continue;  // not ours, or late
      return Outcome{std::string(abi::name_of(answer->kind)), std::string(abi::name_of(answer->reason)),
                     std::string(reinterpret_cast<const char*>(answer->body.data()), answer->body.size()),
                     nanoseconds_since(start), {}};
    }
  }

 private:
  UniqueFd socket_;
  wire::RightRef right_;
  std::uint32_t deadline_us_;
  std::uint64_t next_id_;
};

}  // namespace

std::unique_ptr<Invocation> invoke_by_api(const ApiClient& api, std::string target, std::uint32_t deadline_us, std::string carry) {
  return std::make_unique<ApiInvocation>(api, std::move(target), deadline_us, std::move(carry));
}

Result<std::unique_ptr<Invocation>> invoke_by_udp(const HostPort& to, const wire::RightRef& right,
                                                  std::uint32_t deadline_us) {
  auto socket = connect_udp(to);
  if (!socket) return std::unexpected(socket.error());
  return std::make_unique<UdpInvocation>(std::move(*socket), right, deadline_us);
}

std::string base64(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

Result<std::string> base64_decode(std::string_view text) {
  const auto bad = [] { return fail(Errc::protocol, "decode base64", "it is not base64"); };
  if (text.size() % 4 != 0) return bad();
  std::string bytes;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const std::string_view digits(kDigits);
      const std::size_t digit = i + j >= text.size() - padding ? 0 : digits.find(text[i + j]);
      if (digit == std::string_view::npos) return bad();
      group = group << 6 | static_cast<std::uint32_t>(digit);
    }
    for (std::size_t j = 0; j < 3; ++j) bytes += static_cast<char>(group >> (16 - 8 * j) & 0xff);
  }
  bytes.resize(bytes.size() - padding);
  if (base64(bytes) != text) return bad();  // bits set behind the last byte
  return bytes;
}

}  // namespace pgrid::tools
