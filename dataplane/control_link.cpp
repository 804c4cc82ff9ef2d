#include "dataplane/control_link.hpp"

namespace pgrid::dataplane {

void ControlLink::attach() noexcept {
  LinkState expected = LinkState::offered;
  if (!cell_->state.compare_exchange_strong(expected, LinkState::attached, std::memory_order_acq_rel)) return;
  const LinkRings& rings = cell_->rings;
  events_ = abi::RingProducer(rings.to_peer, rings.to_capacity);
  requests_ = abi::ControlRingConsumer(rings.from_peer, rings.from_capacity);
  incarnation_ = rings.incarnation;
  attached_ = true;
  taken_ = unpublished_ = false;
}

void ControlLink::close() noexcept {
  requests_ = {};
  events_ = {};
  attached_ = taken_ = unpublished_ = false;
  cell_->state.store(LinkState::empty, std::memory_order_release);
}

/// Stop reading and writing; the helper closes its connection, and control connects again with fresh rings.
void ControlLink::mark_faulty() noexcept {
  attached_ = taken_ = unpublished_ = false;
  cell_->faulty.store(true, std::memory_order_release);
}

}  // namespace pgrid::dataplane
