#include "control/capability/right_spec.hpp"
#include "tools/pgrid/tokens/commands.hpp"

namespace pgrid::tools {

void TermOptions::declare(Subcommand own) {
  own.add_option("--can", can, "what it allows: some of send,derive,carry (default: what the right allows)").type_name("WORDS");
  add_number(own, "--rate", rate, "messages per second, at most");
  add_number(own, "--burst", burst, "messages at once, beyond the rate");
  add_number(own, "--in-flight", in_flight, "messages that may wait for an answer at once");
  add_size(own, "--body-max", body_max, "largest body, as in 256B");
  add_duration(own, "--deadline", deadline_us, "longest time to wait for an answer, as in 100ms");
}

Result<token::Terms> TermOptions::terms() const {
  token::Terms terms;
  if (!can.empty()) {
    terms.can = control::parse_permissions(can);
    if (!terms.can) return fail(Errc::invalid_argument, "--can " + can, "is unknown", "give some of send,derive,carry");
  }
  const auto put = [](std::optional<std::uint32_t>& term, const std::optional<std::uint64_t>& value) {
    if (!value) return true;
    term = static_cast<std::uint32_t>(*value);
    return *value >= 1 && *value <= INT32_MAX;
  };
  if (!put(terms.rate, rate) || !put(terms.burst, burst) || !put(terms.in_flight, in_flight))
    return fail(Errc::invalid_argument, "a limit", "is out of range", "give a number from 1 to 2147483647");
  if (body_max != 0) terms.body_max = static_cast<std::uint32_t>(std::min<std::uint64_t>(body_max, INT32_MAX));
  if (deadline_us != 0) terms.deadline_us = static_cast<std::uint32_t>(std::min<std::uint64_t>(deadline_us, INT32_MAX));
  return terms;
}

}  // namespace pgrid::tools
