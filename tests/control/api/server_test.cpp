// Shows the HTTP server by itself: keep-alive, long and short bodies, clients that are slow, rude or too
// many, and what happens to the socket file.
#include "control/api/server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

#include "tests/control/fake/node_fixture.hpp"

namespace pgrid::control::fake {
namespace {

class ServerTest : public NodeFixture {
 protected:
  ServerTest() { config_.limits.module_max = 1 << 20; }
  void serve(ServerLimits limits = {}) {
    start();
    auto server = Server::open(loop_, *api_, socket(), limits);
    ASSERT_TRUE(server) << server.error().sentence();
    server_ = std::move(*server);
  }
  std::filesystem::path socket() const { return directory_.path() / "control.sock"; }

  UniqueFd connect() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket().c_str());
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  /// Writes what fits while the loop runs, then reads until `enough` or the end.
  std::string talk(const UniqueFd& fd, std::string_view text,
                   const std::function<bool(const std::string&)>& enough) {
    std::string answer;
    bool closed = false;
    loop_.run_until(
        [&] {
          if (!text.empty()) {
            const ssize_t n = ::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
            if (n > 0) text.remove_prefix(static_cast<std::size_t>(n));
          }
          char buffer[4096];
          const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
          if (n > 0) answer.append(buffer, static_cast<std::size_t>(n));
          closed = n == 0;
          return closed || enough(answer);
        },
        10s);
    return answer;
  }
  std::string talk(const UniqueFd& fd, std::string_view text) {
    return talk(fd, text, [](const std::string& answer) {
      const std::size_t head = answer.find("\r\n\r\n");
      return head != std::string::npos && answer.ends_with("}\n");
    });
  }

  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, keep_alive_serves_many_requests) {
  serve();
  const UniqueFd fd = connect();
  for (int i = 0; i < 20; ++i)
    EXPECT_TRUE(talk(fd, "GET /v1/node HTTP/1.1\r\nHost: pgrid\r\n\r\n").starts_with("HTTP/1.1 200")) << i;
}

TEST_F(ServerTest, a_module_travels_whole_also_with_expect_continue) {
  serve();
  const std::string module(900'000, 'm');
  const std::string head =
      "POST /v1/processes?name=large HTTP/1.1\r\nHost: x\r\nContent-Type: application/wasm\r\n";
  const UniqueFd fd = connect();
  const std::string answer =
      talk(fd, head + "Content-Length: " + std::to_string(module.size()) + "\r\n\r\n" + module);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 201")) << answer;
  const UniqueFd other = connect();
  const std::string interim =
      talk(other, "POST /v1/rights HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 20\r\n\r\n",
           [](const std::string& text) { return text.ends_with("\r\n\r\n"); });
  EXPECT_TRUE(interim.starts_with("HTTP/1.1 100")) << interim;
  EXPECT_TRUE(talk(other, R"({"process": "large"})").starts_with("HTTP/1.1 201"));
}

TEST_F(ServerTest, too_large_is_refused_before_it_is_read) {
  serve();
  EXPECT_TRUE(
      talk(connect(), "POST /v1/processes?name=a HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
          .starts_with("HTTP/1.1 400"));
  EXPECT_TRUE(talk(connect(), "POST /v1/rights HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n")
                  .starts_with("HTTP/1.1 400"));
  const std::string chunks = "10000\r\n" + std::string(0x10000, ' ') + "\r\n1\r\n \r\n0\r\n\r\n";
  EXPECT_TRUE(
      talk(connect(), "POST /v1/rights HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)
          .starts_with("HTTP/1.1 400"));
}

TEST_F(ServerTest, what_is_not_http_is_refused_and_closed) {
  serve();
  for (const std::string& text : {std::string("nonsense\r\n\r\n"), std::string("GET / HTTP/3.9\r\n\r\n"),
                                  "GET / HTTP/1.1\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n"}) {
    const std::string answer = talk(connect(), text, [](const std::string&) { return false; });
    EXPECT_TRUE(answer.empty() || answer.starts_with("HTTP/1.1 400")) << answer;
  }
  EXPECT_TRUE(talk(connect(), "GET /v1/node HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, clients_that_say_nothing_cannot_keep_others_out) {
  serve();
  std::vector<UniqueFd> silent;
  for (std::size_t i = 0; i < kConnectionsMax + 20; ++i) {
    silent.push_back(connect());
    loop_.run_until([] { return false; }, 1ms);
  }
  EXPECT_TRUE(talk(connect(), "GET /v1/node HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200"));
}

constexpr char kHalfBody[] = "POST /v1/rights HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\n{";
constexpr char kHalfModule[] =
    "POST /v1/processes?name=a HTTP/1.1\r\nHost: x\r\nContent-Type: application/wasm\r\nContent-Length: 1000\r\n\r\nm";
constexpr char kAsk[] = "GET /v1/node HTTP/1.1\r\nHost: x\r\n\r\n";
const auto kUntilClosed = [](const std::string&) { return false; };

TEST_F(ServerTest, slow_clients_time_out_in_header_and_body) {
  serve({.idle = 300ms, .body = 300ms});
  EXPECT_EQ(talk(connect(), "GET /v1/no", kUntilClosed), "") << "a header that does not end";
  EXPECT_EQ(talk(connect(), kHalfBody, kUntilClosed), "") << "a body that does not come";
  EXPECT_EQ(talk(connect(), "", kUntilClosed), "") << "a client that says nothing";
  // One byte after the other gains no time: the limit is for the whole of it.
  const UniqueFd drips = connect();
  bool closed = false;
  loop_.run_until(
      [&] {
        (void)!::send(drips.get(), "X", 1, MSG_NOSIGNAL);
        char byte;
        closed = ::recv(drips.get(), &byte, 1, 0) == 0;
        return closed;
      },
      5s);
  EXPECT_TRUE(closed);
  EXPECT_TRUE(talk(connect(), kAsk).starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, a_client_that_reads_no_answers_times_out) {
  serve({.write = 300ms});
  const UniqueFd deaf = connect();
  bool closed = false;
  loop_.run_until(
      [&] {
        const ssize_t n = ::send(deaf.get(), kAsk, sizeof kAsk - 1, MSG_NOSIGNAL);
        closed = n < 0 && errno == EPIPE;
        return closed;
      },
      10s);
  EXPECT_TRUE(closed) << "its answers fill the socket, and then nothing takes them";
  EXPECT_TRUE(talk(connect(), kAsk).starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, requests_under_way_are_bounded_and_the_next_is_told) {
  serve({.connections = 3, .body = 500ms});
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(connect());
    ASSERT_GT(::send(slow.back().get(), kHalfBody, sizeof kHalfBody - 1, MSG_NOSIGNAL), 0);
    loop_.run_until([] { return false; }, 5ms);
  }
  const std::string answer = talk(connect(), kAsk);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_NE(answer.find("try again later"), std::string::npos) << answer;
  for (const UniqueFd& fd : slow) EXPECT_EQ(talk(fd, "", kUntilClosed), "");
  EXPECT_TRUE(talk(connect(), kAsk).starts_with("HTTP/1.1 200")) << "their time is up: there is room again";
}

TEST_F(ServerTest, modules_under_way_are_bounded_and_others_are_served) {
  serve({.uploads = 2, .body = 500ms});
  std::vector<UniqueFd> slow;
  for (int i = 0; i < 2; ++i) {
    slow.push_back(connect());
    ASSERT_GT(::send(slow.back().get(), kHalfModule, sizeof kHalfModule - 1, MSG_NOSIGNAL), 0);
    loop_.run_until([] { return false; }, 5ms);
  }
  EXPECT_TRUE(talk(connect(), kHalfModule).starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(talk(connect(), kAsk).starts_with("HTTP/1.1 200"));
  for (const UniqueFd& fd : slow) EXPECT_EQ(talk(fd, "", kUntilClosed), "");
  const std::string whole(1000, 'm');
  const std::string head(kHalfModule, sizeof kHalfModule - 2);
  for (int i = 0; i < 3; ++i)  // none of them is counted any more
    EXPECT_FALSE(talk(connect(), head + whole).starts_with("HTTP/1.1 503"));
}

TEST_F(ServerTest, a_client_that_leaves_while_it_waits) {
  serve();
  ASSERT_EQ(deploy("echo").status, 201);
  {
    const UniqueFd fd = connect();
    talk(fd, "GET /v1/processes/echo/logs?wait_ms=100 HTTP/1.1\r\nHost: x\r\n\r\n",
         [n = 0](const std::string&) mutable { return ++n > 3; });
  }
  loop_.run_until([] { return false; }, 200ms);
  EXPECT_TRUE(talk(connect(), "GET /v1/node HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200"));
}

TEST_F(ServerTest, the_socket_is_ours_alone_replaced_when_stale_and_removed_at_the_end) {
  // Left behind by one that was killed.
  {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket().c_str());
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  serve();
  struct stat status{};
  ASSERT_EQ(::stat(socket().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const auto second = Server::open(loop_, *api_, socket());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Errc::busy);
  EXPECT_TRUE(talk(connect(), "GET /v1/node HTTP/1.1\r\nHost: x\r\n\r\n").starts_with("HTTP/1.1 200"))
      << "still served";
  server_.reset();
  EXPECT_FALSE(std::filesystem::exists(socket()));
}

}  // namespace
}  // namespace pgrid::control::fake
