// pgrid invoke: calls a function.
#include <algorithm>
#include <iostream>
#include <iterator>
#include <map>

#include "control/cbor/utf8.hpp"
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/invocation.hpp"

namespace pgrid::tools {
namespace {

constexpr std::uint64_t kCountMax = 1'000'000'000;

nlohmann::json json_of(const Outcome& outcome) {
  nlohmann::json json{{"kind", outcome.kind}, {"reason", outcome.reason}, {"round_trip_ns", outcome.round_trip_ns}};
  if (control::is_utf8(outcome.body))
    json["body"] = outcome.body;
  else
    json["body_base64"] = base64(outcome.body);
  if (!outcome.rights.empty()) json["rights"] = outcome.rights;
  return json;
}

class Invoke : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("invoke", "Send one request to a function and print its answer.");
    own.add_option("TARGET", target_, "name of a process, or a right (grid://...)").required().type_name(kProcessWord);
    own.add_option("BODY", body_, "what to send; - reads it from standard input (default: nothing)");
    add_number(own, "--count", count_, "so many requests, one after the other (default: 1)");
    add_duration(own, "--deadline", deadline_us_, "how long the answer may take, as in 50ms (default: the right's)");
    own.add_option("--udp", udp_, "send a datagram to this address instead of asking control; TARGET is a grid:// URI")
        .type_name("HOST[:PORT]");
    own.add_option("--carry", carry_, "rights that go along, by name or SLOT.GENERATION, at most four with commas between them")
        .type_name(kRightWord);
    own.footer("\nExamples:\n  pgrid invoke echo 'hello'\n  pgrid invoke --udp 192.0.2.1 grid://192.0.2.1:4646/aaaa... hello\n"
                "Exit status 0 when every request was answered, 1 when one was refused or broken, 4 when one was lost.");
    return own;
  }

  ExitCode run(Context& context) override {
    if (deadline_us_ > UINT32_MAX)
      return context.printer.report(ExitCode::usage,
                                    Error{Errc::invalid_argument, "--deadline", "is more than any right allows", "give at most 60s"});
    if (count_ < 1u || count_ > kCountMax)
      return context.printer.report(ExitCode::usage, Error{Errc::invalid_argument, "--count", "is not possible", "give 1 up to 1000000000"});
    if (body_ == "-") body_.assign(std::istreambuf_iterator<char>(std::cin), {});
    if (body_.size() > 1024)
      return context.printer.report(
          ExitCode::usage, Error{Errc::invalid_argument, "a body of " + std::to_string(body_.size()) + " bytes",
                                 "messages carry at most 1024", "send less, or larger data by its CID"});
    auto invocation = open(context);
    if (!invocation) return context.printer.report(ExitCode::usage, invocation.error());
    return *count_ == 1 ? once(context, **invocation) : many(context, **invocation);
  }

 private:
  [[nodiscard]] Result<std::unique_ptr<Invocation>> open(const Context& context) const {
    const auto deadline = static_cast<std::uint32_t>(deadline_us_);
    if (udp_.empty()) return invoke_by_api(context.api, target_, deadline, carry_);
    if (!carry_.empty())
      return fail(Errc::invalid_argument, "--carry", "datagrams carry no rights", "leave out --udp");
    const auto uri = wire::grid_uri_from_text(target_);
    if (!uri)
      return fail(Errc::invalid_argument, '"' + target_ + '"', "is not a right; a datagram needs one",
                  "create one with: pgrid cap create " + target_ + " --show-secret" + context.node_option());
    const auto to = parse_host_port(udp_, uri->port);
    if (!to) return std::unexpected(to.error());
    return invoke_by_udp(*to, uri->right, deadline);
  }

  ExitCode once(const Context& context, Invocation& invocation) const {
    const auto outcome = invocation.once(body_);
    if (!outcome) return context.report(outcome.error());
    if (context.printer.json())
      context.printer.print(json_of(*outcome));
    else if (outcome->answered())
      context.printer.out() << outcome->body << (outcome->body.ends_with('\n') ? "" : "\n") << std::flush;
    else
      context.printer.err() << "pgrid: " << outcome->kind << ": " << outcome->reason << why(outcome->reason) << std::endl;
    // Rights that the answer brought: whoever asked holds them by their URIs.
    if (!context.printer.json())
      for (const std::string& right : outcome->rights) context.printer.say(right);
    return outcome->answered() ? ExitCode::ok : ExitCode::refused;
  }

  ExitCode many(const Context& context, Invocation& invocation) const {
    std::uint64_t answered = 0, lost = 0;
    std::map<std::string, std::uint64_t> refused;
    std::vector<std::uint64_t> times;
    for (std::uint64_t i = 0; i < *count_; ++i) {
      const auto outcome = invocation.once(body_);
      if (!outcome && outcome.error().code == Errc::timed_out) {
        ++lost;
        continue;
      }
      if (!outcome) return context.report(outcome.error());
      times.push_back(outcome->round_trip_ns);
      if (outcome->answered())
        ++answered;
      else
        ++refused[outcome->reason];
    }
    std::sort(times.begin(), times.end());
    const auto at = [&times](double part) {
      return times.empty() ? 0 : times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
    };
    if (context.printer.json()) {
      context.printer.print(nlohmann::json{{"sent", *count_}, {"answered", answered}, {"non_commitments", refused},
                                           {"lost", lost},
                                           {"round_trip_ns", {{"min", at(0)}, {"p50", at(0.5)}, {"p99", at(0.99)}, {"max", at(1)}}}});
    } else {
      std::string reasons;
      for (const auto& [reason, n] : refused) reasons += ", " + grouped(n) + ' ' + reason;
      context.printer.say(grouped(*count_) + " sent, " + grouped(answered) + " answered" + reasons +
                          (lost == 0 ? "" : ", " + grouped(lost) + " lost"));
      if (!times.empty())
        context.printer.say("round trip: min " + nanoseconds(at(0)) + ", median " + nanoseconds(at(0.5)) + ", p99 " +
                            nanoseconds(at(0.99)) + ", max " + nanoseconds(at(1)));
    }
    return lost != 0 ? ExitCode::timed_out : refused.empty() ? ExitCode::ok : ExitCode::refused;
  }

  /// What a person can do about a reason.
  static std::string why(const std::string& reason) {
    static const std::map<std::string, std::string> text{
        {"unknown_protocol", "the node does not speak message-1 of this version"},
        {"no_such_right", "the right is unknown, expired or revoked; see pgrid cap ls"},
        {"not_permitted", "the right does not allow this"},
        {"quota_exceeded", "the right's rate is used up; wait, or create one with a higher --rate"},
        {"busy", "the node has no room now; try again"},
        {"too_large", "the body is longer than the right allows"},
        {"broken", "the function trapped, passed a limit or never read the message; see pgrid logs"},
        {"declined", "the function said no"},
        {"no_answer", "the function did not answer in time"},
        {"process_failed", "the process died with the message in hand; see pgrid logs"}};
    const auto found = text.find(reason);
    return found == text.end() ? "" : ": " + found->second;
  }

  std::string target_;
  std::string body_;
  std::string udp_;
  std::string carry_;
  std::optional<std::uint64_t> count_ = 1;
  std::uint64_t deadline_us_ = 0;
};

}  // namespace

std::unique_ptr<Command> make_invoke() { return std::make_unique<Invoke>(); }

}  // namespace pgrid::tools
