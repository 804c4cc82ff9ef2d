#include "tools/pgrid/commands/right_options.hpp"

#include "tools/pgrid/command.hpp"

namespace pgrid::tools {

void RightOptions::add(Subcommand own, const std::string& otherwise) {
  own.add_option(
         "--can", can,
         "what its holder may do: some of send, derive, carry, with commas (default: all that is possible)")
      .type_name("WORDS");
  add_number(own, "--label", label, "number that the function sees with every message through this right");
  add_number(own, "--rate", rate, "messages per second (default: " + otherwise + "; 0: no limit)");
  add_number(own, "--burst", burst, "messages at once, beyond the rate");
  add_number(own, "--in-flight", in_flight, "messages that may wait for an answer at once");
  add_size(own, "--body-max", body_max, "largest body, as in 1KiB");
  add_duration(own, "--deadline", deadline_us, "longest time to wait for an answer, as in 100ms");
  add_duration(own, "--expires", expires_us, "how long the right lives, as in 1h (default: for ever)");
}

void RightOptions::put(nlohmann::json& body) const {
  const auto put_number = [&body](const char* key, const std::optional<std::uint64_t>& value) {
    if (value) body[key] = *value;
  };
  if (!can.empty()) body["can"] = can;
  put_number("label", label);
  put_number("rate", rate);
  put_number("burst", burst);
  put_number("in_flight_max", in_flight);
  if (body_max != 0) body["body_max"] = body_max;
  if (deadline_us != 0) body["deadline_max_us"] = deadline_us;
  if (expires_us != 0) body["expires_in_s"] = (expires_us + 999'999) / 1'000'000;
}

}  // namespace pgrid::tools
