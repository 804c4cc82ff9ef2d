#include "control/api/server.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <set>

#include "control/log/log.hpp"
#include "drivers/shm/unix_packet.hpp"

namespace pgrid::control {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using Protocol = asio::local::stream_protocol;

namespace {

constexpr int kPredecessorMs = 2'000;  // for the socket of one that was killed to close
constexpr int kPredecessorStepMs = 10;
constexpr std::uint32_t kHeaderMax = 8u << 10;  // bytes
constexpr std::size_t kBufferMax = 128u << 10;  // bytes read ahead

std::unexpected<Error> listen_error(const std::filesystem::path& path, int error_number) {
  return fail_errno("listen at " + path.string(), error_number, "choose another directory with --node DIR");
}

bool somebody_listens(const sockaddr_un& address) {
  const UniqueFd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EAGAIN;
}

Result<UniqueFd> listen_at(const std::filesystem::path& path) {
  const auto known = shm::unix_address(path.string());
  if (!known) return std::unexpected(known.error());
  const sockaddr_un& address = *known;
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return listen_error(path, errno);
  struct stat status{};
  if (::lstat(path.c_str(), &status) == 0) {
    if (!S_ISSOCK(status.st_mode)) return listen_error(path, EEXIST);
    // A control that was killed listens on for a moment: the kernel takes its io_uring apart after the
    // process is gone.
    for (int waited_ms = 0; waited_ms < kPredecessorMs && somebody_listens(address);
         waited_ms += kPredecessorStepMs)
      (void)::poll(nullptr, 0, kPredecessorStepMs);
    if (somebody_listens(address))
      return fail(Errc::busy, "listen at " + path.string(), "another pgrid-control listens there",
                  "stop it first, or choose another directory with --node DIR");
    (void)::unlink(path.c_str());  // left behind by one that was killed
  }
  const mode_t mask = ::umask(0177);
  const int bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int error = errno;
  ::umask(mask);
  if (bound != 0) return listen_error(path, error);
  if (::listen(fd.get(), SOMAXCONN) != 0) return listen_error(path, errno);
  return fd;
}

}  // namespace

class Connection;

struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(EventLoop& loop, Api& api_in, std::filesystem::path path_in, const ServerLimits& limits_in, int fd)
      : api(api_in), limits(limits_in), path(std::move(path_in)), acceptor(loop.context(), Protocol(), fd) {}
  void accept();

  Api& api;
  const ServerLimits limits;
  std::size_t uploads = 0;
  std::filesystem::path path;
  asio::basic_socket_acceptor<Protocol> acceptor;
  std::set<Connection*> connections;
};

/// One client. Kept alive by the operation that is under way.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Protocol::socket socket, const std::shared_ptr<Server::Impl>& server)
      : stream_(std::move(socket)), server_(server), limits_(server->limits) {}
  ~Connection() {
    end_upload();
    if (const auto server = server_.lock()) server->connections.erase(this);
  }

  void read_header() {
    parser_.emplace();
    parser_->header_limit(kHeaderMax);
    parser_->body_limit(boost::none);  // known when the header is
    idle_ = true;
    stream_.expires_after(limits_.idle);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](error_code error, std::size_t) {
                              self->idle_ = false;
                              if (error) return self->refuse(error);
                              self->on_header();
                            });
  }

  /// Waits for a request at this moment: may be closed to make room for another.
  [[nodiscard]] bool is_idle() const { return idle_; }
  void close() {
    error_code ignored;
    stream_.socket().close(ignored);
  }
  void refuse_as_one_too_many() {
    keep_alive_ = false;
    write(error_response(
        {Errc::unavailable, "connect to control", "too many requests are under way", "try again later"}));
  }

 private:
  void on_header() {
    const auto server = server_.lock();
    if (!server) return;
    const auto& message = parser_->get();
    keep_alive_ = message.keep_alive();
    const auto target = message.target();
    const auto method = message.method_string();
    body_max_ = server->api.body_max({method.data(), method.size()}, {target.data(), target.size()});
    if (parser_->content_length() && *parser_->content_length() > body_max_) return too_large();
    parser_->body_limit(body_max_);
    if (body_max_ > kBodyMax && !begin_upload(*server)) return refuse_as_one_too_many();
    if (beast::iequals(message[http::field::expect], "100-continue")) return write_continue();
    read_body();
  }

  void write_continue() {
    auto interim = std::make_shared<http::response<http::empty_body>>(http::status::continue_, 11);
    stream_.expires_after(limits_.write);
    http::async_write(stream_, *interim, [self = shared_from_this(), interim](error_code error, std::size_t) {
      if (!error) self->read_body();
    });
  }

  void read_body() {
    stream_.expires_after(limits_.body);
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
      if (error == http::error::body_limit) return self->too_large();
      if (error) return self->refuse(error);
      self->answer();
    });
  }

  void answer() {
    const auto server = server_.lock();
    if (!server) return;
    auto message = parser_->release();
    Request request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.content_type = std::string(message[http::field::content_type]);
    request.body = std::make_shared<const Bytes>(std::move(message.body()));
    stream_.expires_never();  // the API bounds its own time
    server->api.handle(request,
                       [self = shared_from_this()](const Response& response) { self->write(response); });
  }

  /// A module has megabytes, which stay until it is deployed: so many at once, and no more.
  bool begin_upload(Server::Impl& server) {
    if (server.uploads >= limits_.uploads) return false;
    ++server.uploads;
    uploads_ = true;
    return true;
  }
  void end_upload() {
    const auto server = server_.lock();
    if (uploads_ && server) --server->uploads;
    uploads_ = false;
  }

  void too_large() {
    keep_alive_ = false;  // what follows of the body is not read
    write(error_response({Errc::invalid_argument, "request body",
                          "more than " + std::to_string(body_max_) + " bytes",
                          "a module may have limits.module_max of node.toml"}));
  }

  void refuse(error_code error) {
    if (error.category() != http::make_error_code(http::error::bad_target).category() ||
        error == http::error::end_of_stream || error == http::error::partial_message)
      return;  // the client is gone, or too slow
    keep_alive_ = false;
    write(error_response({Errc::invalid_argument, "HTTP request", error.message(), "send HTTP/1.1, as docs/API.md shows"}));
  }

  void write(const Response& response) {
    end_upload();
    auto message = std::make_shared<http::response<http::string_body>>(
        static_cast<http::status>(static_cast<unsigned>(response.status)), 11);
    message->set(http::field::content_type, "application/json");
    message->set(http::field::cache_control, "no-store");
    message->body() = response.body + "\n";
    message->keep_alive(keep_alive_);
    message->prepare_payload();
    stream_.expires_after(limits_.write);
    http::async_write(stream_, *message, [self = shared_from_this(), message](error_code error, std::size_t) {
      if (!error && self->keep_alive_) self->read_header();
      // Else this was the last reference: the socket closes.
    });
  }

  beast::basic_stream<Protocol> stream_;
  std::weak_ptr<Server::Impl> server_;
  const ServerLimits limits_;
  beast::flat_buffer buffer_{kBufferMax};
  std::optional<http::request_parser<http::vector_body<std::uint8_t>>> parser_;
  std::uint64_t body_max_ = 0;
  bool keep_alive_ = false;
  bool idle_ = false;
  bool uploads_ = false;
};

void Server::Impl::accept() {
  acceptor.async_accept([self = shared_from_this()](error_code error, Protocol::socket socket) {
    if (error == asio::error::operation_aborted || !self->acceptor.is_open()) return;
    if (!error) {
      if (self->connections.size() >= self->limits.connections)
        for (Connection* one : self->connections)
          if (one->is_idle()) {
            one->close();  // its read ends with an error and drops it
            self->connections.erase(one);
            break;
          }
      const auto connection = std::make_shared<Connection>(std::move(socket), self);
      if (self->connections.size() >= self->limits.connections) {
        connection->refuse_as_one_too_many();
      } else {
        self->connections.insert(connection.get());
        connection->read_header();
      }
    }
    self->accept();
  });
}

Result<std::unique_ptr<Server>> Server::open(EventLoop& loop, Api& api, std::filesystem::path path,
                                             ServerLimits limits) {
  Result<UniqueFd> fd = listen_at(path);
  if (!fd) return std::unexpected(fd.error());
  auto impl = std::make_shared<Impl>(loop, api, std::move(path), limits, fd->release());
  impl->accept();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::~Server() {
  error_code ignored;
  impl_->acceptor.close(ignored);
  (void)::unlink(impl_->path.c_str());
}

}  // namespace pgrid::control
