#include "dataplane/worker_link.hpp"

namespace pgrid::dataplane {

void WorkerLink::attach() noexcept {
  // The exchange comes first: after it the helper cannot withdraw the offer, and the fields are ours to read.
  LinkState expected = LinkState::offered;
  if (!cell_->state.compare_exchange_strong(expected, LinkState::attached, std::memory_order_acq_rel)) return;
  const LinkRings& rings = cell_->rings;
  requests = abi::RingProducer(rings.to_peer, rings.to_capacity);
  replies = abi::RingConsumer(rings.from_peer, rings.from_capacity);
  incarnation_ = rings.incarnation;
  in_flight = 0;
  guest_waiting = 0;
  at_control = 0;
  unpublished = false;
  state_ = State::usable;
}

}  // namespace pgrid::dataplane
