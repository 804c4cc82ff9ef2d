// What must balance: everything that came in has ended in one counter, everything dispatched has one outcome
// or is still in flight. Computed here once, for the data plane at its end, for control's API and for tests.
#pragma once

#include <cstdint>

#include "abi/shared/counters.hpp"

namespace pgrid::abi {

struct Books {
  std::uint64_t received = 0;  // all sources
  std::uint64_t ended = 0;     // all drop, local, punt and refusal, and dispatched
  std::uint64_t dispatched = 0;
  std::uint64_t settled = 0;  // all outcomes, and in flight

  [[nodiscard]] constexpr std::uint64_t unaccounted() const {
    const auto apart = [](std::uint64_t a, std::uint64_t b) { return a > b ? a - b : b - a; };
    return apart(received, ended) + apart(dispatched, settled);
  }
  [[nodiscard]] constexpr bool balanced() const { return unaccounted() == 0; }
};

/// `total_of(Counter) -> std::uint64_t` sums a counter over poll cores; `in_flight` is the sum of theirs.
template <typename TotalOf>
constexpr Books books_of(TotalOf total_of, std::uint64_t in_flight) {
  Books books;
  for (std::size_t i = 0; i < kCounterCount; ++i) {
    const std::uint64_t total = total_of(static_cast<Counter>(i));
    switch (kCounterInfo[i].class_) {
      case CounterClass::source:
        books.received += total;
        break;
      case CounterClass::drop:
      case CounterClass::local:
      case CounterClass::punt:
      case CounterClass::refusal:
        books.ended += total;
        break;
      case CounterClass::outcome:
        books.settled += total;
        break;
      case CounterClass::total:
      case CounterClass::detail:
        break;
    }
  }
  books.dispatched = total_of(Counter::dispatched);
  books.ended += books.dispatched;
  books.settled += in_flight;
  return books;
}

}  // namespace pgrid::abi
