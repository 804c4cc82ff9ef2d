#include "tools/pgrid/tokens/token_input.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "control/token/bundle.hpp"
#include "drivers/base/unique_fd.hpp"

namespace pgrid::tools {
namespace {

Result<std::string> read_all(int fd, const std::string& name, std::size_t size_max) {
  std::string content;
  char buffer[4096];
  while (true) {
    const ssize_t got = ::read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read " + name, errno);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    if (content.size() > size_max)
      return fail(Errc::invalid_argument, name, "is longer than " + std::to_string(size_max) + " bytes");
  }
}

/// Long, and made of nothing but what base64 and multibase use.
bool reads_like_a_token(const std::string& text) {
  return text.size() > 100 && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '/' ||
                  c == '-' || c == '_' || c == '=';
         });
}

}  // namespace

Result<std::string> read_text(const std::string& path, std::size_t size_max) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return fail_errno("open " + path, errno);
  return read_all(file.get(), path, size_max);
}

Result<std::string> read_tokens(const std::string& argument) {
  const Result<std::string> content =
      argument == "-" ? read_all(STDIN_FILENO, "stdin", kTokenFileMax) : read_text(argument, kTokenFileMax);
  if (content) return token::bundle_bytes(*content);
  if (reads_like_a_token(argument)) return token::bundle_bytes(argument);
  return fail(content.error().code, content.error().operation, content.error().cause,
              "name a file that holds a token, or write the token itself");
}

Result<void> write_line(const std::string& path, const std::string& line) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return fail_errno("write " + path, errno);
  const std::string text = line + "\n";
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail_errno("write " + path, errno);
  return {};
}

}  // namespace pgrid::tools
