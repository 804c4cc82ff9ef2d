#include "drivers/dpdk/eal_log.hpp"

#include <rte_errno.h>
#include <rte_log.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string_view>

namespace pgrid::dpdk {
namespace {

constexpr std::size_t kLinesKept = 32;  // one failed probe logs about five
constexpr std::size_t kLineMax = 240;   // bytes; longer lines are cut

/// The last warnings, oldest overwritten. Fixed memory: a driver may log on a poll core.
struct Kept {
  std::mutex mutex;
  std::array<std::array<char, kLineMax>, kLinesKept> lines;
  std::array<std::size_t, kLinesKept> lengths{};
  unsigned long count = 0;  // ever
  bool print = false;
};

Kept& kept() {
  static Kept instance;
  return instance;
}

/// Never a cause: what follows from what we do on purpose (rt_signals.hpp), and the headline of rte_panic,
/// whose reason is the next line.
bool is_no_cause(std::string_view line) {
  return line.find("rt-signals are in use") != line.npos || line.find("Rx trigger signal") != line.npos ||
         line.starts_with("PANIC in ");
}

ssize_t write_line(void*, const char* text, std::size_t size) {
  Kept& k = kept();
  if (k.print) std::fwrite(text, 1, size, stderr);
  std::string_view line(text, size);
  while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.remove_suffix(1);
  const int level = rte_log_cur_msg_loglevel();
  if (line.empty() || level < 0 || level > static_cast<int>(RTE_LOG_WARNING) || is_no_cause(line))
    return static_cast<ssize_t>(size);
  const std::lock_guard lock(k.mutex);
  const std::size_t slot = k.count++ % kLinesKept;
  k.lengths[slot] = std::min(line.size(), kLineMax);
  std::copy_n(line.data(), k.lengths[slot], k.lines[slot].data());
  return static_cast<ssize_t>(size);
}

/// "EAL: x" and "rte_pmd_x(): x" become "x".
std::string_view without_prefix(std::string_view line) {
  for (const std::string_view mark : {std::string_view("(): "), std::string_view("EAL: ")}) {
    const auto at = line.find(mark);
    if (at != line.npos && line.substr(0, at).find(' ') == line.npos) line.remove_prefix(at + mark.size());
  }
  return line;
}

}  // namespace

void capture_eal_log() {
  static std::once_flag once;
  std::call_once(once, [] {
    const char* wanted = std::getenv("PGRID_EAL_LOG");
    kept().print = wanted != nullptr && *wanted == '1';
    std::FILE* stream = ::fopencookie(
        nullptr, "w", {.read = nullptr, .write = write_line, .seek = nullptr, .close = nullptr});
    if (stream == nullptr) return;  // the log stays on stderr: noisy, not wrong
    std::setvbuf(stream, nullptr, _IOLBF, 1024);
    rte_openlog_stream(stream);
  });
}

EalLogScope::EalLogScope() {
  const std::lock_guard lock(kept().mutex);
  start_ = kept().count;
}

std::string EalLogScope::cause(const std::string& fallback) const {
  Kept& k = kept();
  const std::lock_guard lock(k.mutex);
  if (k.count == start_) return fallback;
  const unsigned long oldest = k.count > kLinesKept ? k.count - kLinesKept : 0;
  const std::size_t slot = std::max(start_, oldest) % kLinesKept;
  return std::string(without_prefix({k.lines[slot].data(), k.lengths[slot]}));
}

std::string describe(const EalLogScope& scope, int error_number) {
  // Where the log has a reason, the number adds none: drivers return -1 or -EINVAL for whatever went wrong.
  return scope.cause(rte_strerror(error_number < 0 ? -error_number : error_number));
}

}  // namespace pgrid::dpdk
