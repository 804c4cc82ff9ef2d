#include "control/log/log_book.hpp"

#include <algorithm>

#include "control/clock.hpp"

namespace pgrid::control {

// Begins at the time in thousandths of a millisecond: a control that starts later begins higher, unless it
// wrote more than a million lines a second all the time. Stays below 2^53, so that JavaScript reads it
// exactly.
LogBook::LogBook(EventLoop& loop) : loop_(loop), next_seq_(static_cast<std::uint64_t>(unix_ms()) * 1000) {}

void LogBook::add(std::uint32_t process, bool is_event, std::string text) {
  std::deque<LogLine>& lines = lines_[process];
  lines.push_back({next_seq_++, unix_ms(), is_event, std::move(text)});
  ++all_;
  if (lines.size() > kLogLines) {
    lines.pop_front();
    --all_;
  }
  if (all_ > kLogLinesAll) make_room();
  std::vector<std::uint64_t> woken;
  for (const auto& [number, waiter] : waiters_)
    if (waiter.process == process) woken.push_back(number);
  for (const std::uint64_t number : woken) answer(number);
}

/// The older half of what the most talkative process said goes: quiet ones keep their last words, and looking
/// for it costs little for each line.
void LogBook::make_room() {
  const auto most = std::max_element(lines_.begin(), lines_.end(), [](const auto& a, const auto& b) {
    return a.second.size() < b.second.size();
  });
  const std::size_t half = (most->second.size() + 1) / 2;
  most->second.erase(most->second.begin(), most->second.begin() + static_cast<std::ptrdiff_t>(half));
  all_ -= half;
}

std::vector<LogLine> LogBook::after(std::uint32_t process, std::uint64_t seq) const {
  std::vector<LogLine> found;
  const auto lines = lines_.find(process);
  if (lines == lines_.end()) return found;
  for (const LogLine& line : lines->second)
    if (line.seq > seq) found.push_back(line);
  return found;
}

void LogBook::when_lines(std::uint32_t process, std::uint64_t seq, std::chrono::milliseconds wait,
                         OnLines on_lines) {
  std::vector<LogLine> there = after(process, seq);
  if (!there.empty() || wait.count() == 0 || waiters_.size() >= kLogWaitersMax)
    return on_lines(std::move(there));
  const std::uint64_t number = next_waiter_++;
  waiters_.emplace(number, Waiter{process, seq, std::move(on_lines),
                                  loop_.after(wait, [this, number] { answer(number); })});
}

void LogBook::forget(std::uint32_t process) {
  if (const auto lines = lines_.find(process); lines != lines_.end()) {
    all_ -= lines->second.size();
    lines_.erase(lines);
  }
  std::vector<std::uint64_t> woken;
  for (const auto& [number, waiter] : waiters_)
    if (waiter.process == process) woken.push_back(number);
  for (const std::uint64_t number : woken) answer(number);
}

void LogBook::answer(std::uint64_t number) {
  const auto found = waiters_.find(number);
  if (found == waiters_.end()) return;
  const Waiter waiter = std::move(found->second);
  waiters_.erase(found);
  waiter.on_lines(after(waiter.process, waiter.seq));
}

}  // namespace pgrid::control
