#include "control/promise/outbox.hpp"

namespace pgrid::control {
namespace {

constexpr std::chrono::microseconds kTryAgain{500};  // a poll core empties its ring every few turns

}  // namespace

bool Outbox::add(Letter letter) {
  if (!is_attached_ || letters_.size() >= kOutboxMax) return false;
  if (letters_.empty() && put(letter)) return true;
  letters_.push_back(std::move(letter));
  if (!timer_) timer_ = loop_.after(kTryAgain, [this] { flush(); });
  return true;
}

bool Outbox::put(const Letter& letter) {
  if (const auto* answer = std::get_if<GuestAnswer>(&letter)) return rings_.answer(*answer);
  return rings_.notify(std::get<GuestNotice>(letter));
}

void Outbox::flush() {
  timer_.reset();
  while (!letters_.empty() && put(letters_.front())) letters_.pop_front();
  if (!letters_.empty()) timer_ = loop_.after(kTryAgain, [this] { flush(); });
}

void Outbox::detach() {
  is_attached_ = false;
  letters_.clear();
  timer_.reset();
}

}  // namespace pgrid::control
