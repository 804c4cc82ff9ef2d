#include "control/process/happenings.hpp"

#include <algorithm>

namespace pgrid::control {

void Happenings::note(const ProcessRecord& process, const std::string& what, std::string text) {
  const Kind kind{process.index, what};
  Row& row = rows_[kind];
  if (row.generation != process.generation) {  // the index is another's now
    row = {};
    row.generation = process.generation;
  }
  const auto now = Clock::now();
  if (now >= row.next) {
    if (now >= row.next + row.every) row.every = kHappeningEvery;  // it was quiet
    return write(kind, row, std::move(text));
  }
  ++row.left_out;
  row.newest = std::move(text);
  if (row.timer) return;
  const auto wait = std::chrono::ceil<std::chrono::microseconds>(row.next - now);
  row.timer = loop_.after(wait, [this, kind] { end_of_silence(kind); });
}

void Happenings::end_of_silence(const Kind& kind) {
  const auto found = rows_.find(kind);
  if (found == rows_.end()) return;
  Row& row = found->second;
  row.timer.reset();
  if (row.left_out == 0) return;
  row.every = std::min(row.every * 2, kHappeningEveryMax);
  if (--row.left_out != 0) row.newest += " (and " + std::to_string(row.left_out) + " more since the line before)";
  write(kind, row, std::move(row.newest));
}

void Happenings::write(const Kind& kind, Row& row, std::string text) {
  row.next = Clock::now() + row.every;
  row.left_out = 0;
  row.newest.clear();
  write_({.what = kind.second, .process = kind.first, .generation = row.generation, .text = std::move(text)});
}

void Happenings::forget(std::uint32_t process) {
  rows_.erase(rows_.lower_bound({process, ""}), rows_.lower_bound({process + 1, ""}));
}

}  // namespace pgrid::control
