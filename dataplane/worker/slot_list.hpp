// Processes in a row: those to be served, those left alone, those with something to tell. Intrusive, so that nothing is
// allocated when one of them changes its row.
#pragma once

#include "dataplane/worker/instance_slot.hpp"

namespace pgrid::worker {

/// First in, first out. `kNext` is the member that links this row. Owned by the worker thread.
template <InstanceSlot* InstanceSlot::*kNext>
class SlotList {
 public:
  [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
  [[nodiscard]] InstanceSlot* first() const noexcept { return first_; }
  [[nodiscard]] InstanceSlot* last() const noexcept { return last_; }

  void push(InstanceSlot& slot) noexcept {
    slot.*kNext = nullptr;
    (first_ == nullptr ? first_ : last_->*kNext) = &slot;
    last_ = &slot;
  }
  /// REQUIRES: not empty.
  InstanceSlot& pop() noexcept {
    InstanceSlot& slot = *first_;
    first_ = slot.*kNext;
    if (first_ == nullptr) last_ = nullptr;
    return slot;
  }
  /// Takes out those for which `is_due` holds, and hands each to `take` after it is out.
  template <typename IsDue, typename Take>
  void take_if(IsDue is_due, Take take) noexcept {
    InstanceSlot* before = nullptr;
    for (InstanceSlot* at = first_; at != nullptr;) {
      InstanceSlot* const next = at->*kNext;
      if (is_due(*at)) {
        (before == nullptr ? first_ : before->*kNext) = next;
        if (last_ == at) last_ = before;
        take(*at);
      } else {
        before = at;
      }
      at = next;
    }
  }
  void remove(const InstanceSlot& slot) noexcept {
    take_if([&slot](const InstanceSlot& at) { return &at == &slot; }, [](InstanceSlot&) {});
  }

 private:
  InstanceSlot* first_ = nullptr;
  InstanceSlot* last_ = nullptr;
};

}  // namespace pgrid::worker
