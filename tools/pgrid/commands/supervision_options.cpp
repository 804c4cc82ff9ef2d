#include "tools/pgrid/commands/supervision_options.hpp"

#include "drivers/config/units.hpp"

namespace pgrid::tools {
namespace {

std::string ms_of(std::uint64_t us) { return std::to_string((us + 999) / 1000); }

/// "10ms..1s"; or what is wrong with it.
std::optional<std::string> parse_range(const std::string& text, std::pair<std::uint64_t, std::uint64_t>& range) {
  const auto wrong = [&](const std::string& why) { return '"' + text + "\" is not MIN..MAX, as in 10ms..1s: " + why; };
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) return wrong("there are no two dots");
  const auto least = config::parse_duration_us(text.substr(0, dots));
  const auto most = config::parse_duration_us(text.substr(dots + 2));
  if (!least) return wrong(least.error().sentence());
  if (!most) return wrong(most.error().sentence());
  if (*least == 0 || *least > *most) return wrong("MIN is at least 1ms, and at most MAX");
  range = {*least, *most};
  return std::nullopt;
}

}  // namespace

void SupervisionOptions::declare(Subcommand command) {
  command.add_option("--restart", strategy_,
                 "what to do when it stops by itself: always (the default), on-failure (give up after some pauses), or never")
      .one_of({"always", "on-failure", "never"})
      .type_name("STRATEGY");
  add_number(command, "--restarts", restarts_, "how often it may be restarted within the period before it is left alone "
                                            "for a while (default: 100; 0: no bound)");
  add_duration(command, "--restart-period", restart_period_us_, "that period, as in 1s (the default)");
  command.add_parsed(
         "--backoff", [this](const std::string& text) { return parse_range(text, backoff_us_); },
         "how long it is left alone: MIN at first, each time twice as long, at most MAX (default: 10ms..1s)")
      .type_name("MIN..MAX");
  add_number(command, "--give-up", give_up_, "with --restart on-failure: after so many pauses without a message handled in "
                                          "between it is given up (default: 8)");
  command.add_option("--group", group_, "name of the processes that it is supervised with").type_name("GROUP");
  command.add_flag("--rest-for-one", rest_for_one_,
               "when it stops, those of its group that were deployed later are restarted too");
}

void SupervisionOptions::add_to(ApiRequest& request) const {
  const auto add = [&](const char* name, const std::string& value) { request.query.emplace_back(name, value); };
  if (!strategy_.empty()) add("strategy", strategy_);
  if (restarts_) add("restarts_max", std::to_string(*restarts_));
  if (restart_period_us_ != 0) add("restart_period_ms", ms_of(restart_period_us_));
  if (backoff_us_.first != 0) {
    add("backoff_min_ms", ms_of(backoff_us_.first));
    add("backoff_max_ms", ms_of(backoff_us_.second));
  }
  if (give_up_) add("give_up_after", std::to_string(*give_up_));
  if (!group_.empty()) add("group", group_);
  if (rest_for_one_) add("rest_for_one", "1");
}

}  // namespace pgrid::tools
