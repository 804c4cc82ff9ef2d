#include "dataplane/in_flight_table.hpp"

#include "drivers/base/check.hpp"

namespace pgrid::dataplane {

InFlightTable::InFlightTable(std::uint32_t poll_core, std::uint32_t entries, std::uint32_t first_generation)
    : poll_core_(poll_core), size_(entries), entries_(std::make_unique<InFlight[]>(entries)) {
  PG_CHECK(abi::is_power_of_two(entries) && entries <= abi::kInFlightMax && poll_core < abi::kPollCoresMax);
  for (std::uint32_t i = 0; i < entries; ++i) {
    entries_[i].generation = first_generation != 0 ? first_generation : 1;
    entries_[i].next_free = i + 1 < entries ? i + 1 : kNone;
  }
}

}  // namespace pgrid::dataplane
