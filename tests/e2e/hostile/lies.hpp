// What the hostile worker tries. Each lie says beforehand what must become of the liar.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/e2e/hostile/seat.hpp"

namespace pgrid::tests {

struct Lie {
  std::string name;
  /// "lives": it harms nobody, and the data plane goes on with this worker. "dies": the data plane replaces it. A counter's
  /// name: it is replaced, and that counter says why, once. "SIGSYS": its own sandbox ends it.
  std::string end;
  std::function<void(Seat&)> tell;
};
using Lies = std::vector<Lie>;

// Made before the first of them is told, with a seat that has its process.
[[nodiscard]] Lies reply_tail_lies(Seat& seat);
[[nodiscard]] Lies reply_length_lies(Seat& seat);
[[nodiscard]] Lies request_head_lies(Seat& seat);
[[nodiscard]] Lies foreign_word_lies(Seat& seat);
[[nodiscard]] Lies answer_lies(Seat& seat);
[[nodiscard]] Lies send_lies(Seat& seat);
[[nodiscard]] Lies event_lies(Seat& seat);
[[nodiscard]] Lies carried_send_lies(Seat& seat);
[[nodiscard]] Lies carried_answer_lies(Seat& seat);
[[nodiscard]] Lies drop_lies(Seat& seat);
[[nodiscard]] Lies conduct_lies(Seat& seat);
[[nodiscard]] Lies socket_lies(Seat& seat);
[[nodiscard]] Lies system_call_lies(Seat& seat);

}  // namespace pgrid::tests
