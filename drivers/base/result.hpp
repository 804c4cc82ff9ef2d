// Result of an operation that may fail at set-up or in the control plane. Never used per packet: there a small enum
// with a counter stands for every failure.
#pragma once

#include <cstring>
#include <expected>
#include <string>
#include <utility>

namespace pgrid {

/// What kind of failure this is, for code that must decide; people read the sentence.
enum class Errc {
  invalid_argument,  // the caller's or the user's input is wrong
  not_found,
  already_exists,
  busy,               // somebody else owns it, or try again later
  out_of_resources,   // memory, slots, descriptors, huge pages
  not_permitted,      // the operating system or a right forbids it
  unavailable,        // the other side is not there
  timed_out,
  protocol,  // the other side sent what it must not send
  corrupt,   // stored or shared bytes failed their check
  unsupported,
  io,
  internal,  // a bug here
};

/// A failure a person can act on: what was tried, why it failed, what to do about it.
struct Error {
  Errc code = Errc::internal;
  std::string operation;  // "open /run/pgrid/control.sock"
  std::string cause;      // "Permission denied"
  std::string remedy;     // "run as root, or pass --node DIR"; may be empty

  /// One sentence: "operation: cause; remedy".
  [[nodiscard]] std::string sentence() const {
    std::string text = operation;
    if (!cause.empty()) text += (text.empty() ? "" : ": ") + cause;
    if (!remedy.empty()) text += "; " + remedy;
    return text;
  }
};

template <typename T>
using Result = std::expected<T, Error>;

[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string operation, std::string cause,
                                                 std::string remedy = {}) {
  return std::unexpected(Error{code, std::move(operation), std::move(cause), std::move(remedy)});
}

/// Failure of a system call; `error_number` is the value of errno that it left.
[[nodiscard]] inline std::unexpected<Error> fail_errno(std::string operation, int error_number,
                                                       std::string remedy = {}) {
  Errc code = Errc::io;
  switch (error_number) {
    case ENOENT: code = Errc::not_found; break;
    case EEXIST: code = Errc::already_exists; break;
    case EACCES:
    case EPERM: code = Errc::not_permitted; break;
    case EBUSY:
    case EADDRINUSE: code = Errc::busy; break;
    case ENOMEM:
    case ENOSPC:
    case EMFILE:
    case ENFILE: code = Errc::out_of_resources; break;
    case EINVAL: code = Errc::invalid_argument; break;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE: code = Errc::unavailable; break;
    case ETIMEDOUT: code = Errc::timed_out; break;
    default: break;
  }
  return fail(code, std::move(operation), std::strerror(error_number), std::move(remedy));
}

}  // namespace pgrid
