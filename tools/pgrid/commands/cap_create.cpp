// pgrid cap create: a new send right.
#include "tools/pgrid/command.hpp"

namespace pgrid::tools {
namespace {

class CapCreate : public Command {
 public:
  CLI::App* declare(CLI::App& app) override {
    CLI::App* own = app.add_subcommand("create", "Create a right to send to a process. Who holds its secret can call it; "
                                                      "with --holder another process can, and there is no secret.");
    own->add_option("NAME", process_, "name or index of the process")->required()->type_name(kProcessWord);
    auto* holder = own->add_option("--holder", holder_, "name or index of the process that is to hold it, under its next handle")
                       ->type_name(kProcessWord);
    own->add_option("--as", as_, "what the holder's operators call it (default: NAME)")->needs(holder)->type_name("TEXT");
    add_number(own, "--label", label_, "number that the function sees with every message through this right");
    add_number(own, "--rate", rate_, "messages per second (default: the process's; 0: no limit)");
    add_number(own, "--burst", burst_, "messages at once, beyond the rate");
    add_number(own, "--in-flight", in_flight_, "messages that may wait for an answer at once");
    add_size(own, "--body-max", body_max_, "largest body, as in 1KiB");
    add_duration(own, "--deadline", deadline_us_, "longest time to wait for an answer, as in 100ms");
    add_duration(own, "--expires", expires_us_, "how long the right lives, as in 1h (default: for ever)");
    own->add_flag("--show-secret", secret_, "print the right itself, as a grid:// URI")->excludes(holder);
    own->footer("\nExamples:\n  pgrid cap create echo --rate 1000 --expires 1h --show-secret\n"
                "  pgrid cap create wordcount --holder twice --as words");
    return own;
  }

  ExitCode run(Context& context) override {
    nlohmann::json body{{"process", process_}};
    const auto put = [&body](const char* key, const std::optional<std::uint64_t>& value) {
      if (value) body[key] = *value;
    };
    if (!holder_.empty()) body["holder"] = holder_;
    if (!as_.empty()) body["as"] = as_;
    put("label", label_);
    put("rate", rate_);
    put("burst", burst_);
    put("in_flight_max", in_flight_);
    if (body_max_ != 0) body["body_max"] = body_max_;
    if (deadline_us_ != 0) body["deadline_max_us"] = deadline_us_;
    if (expires_us_ != 0) body["expires_in_s"] = (expires_us_ + 999'999) / 1'000'000;
    ApiRequest request{.method = "POST", .path = "/v1/rights", .body = body.dump()};
    if (secret_) request.query.emplace_back("secrets", "1");
    const auto right = context.api.call(request);
    if (!right) return context.report(right.error());
    if (context.printer.json()) {
      context.printer.print(*right);
      return ExitCode::ok;
    }
    const std::string id = text_of(*right, "slot") + '.' + text_of(*right, "generation");
    if (!holder_.empty()) {
      context.printer.say("right " + id + " to " + text_of(*right, "process") + ", held by " + text_of(*right, "holder") +
                          " as " + text_of(*right, "name") + ", handle " + text_of(*right, "handle") +
                          "; take it back with: pgrid cap revoke " + id + context.node_option());
      return ExitCode::ok;
    }
    context.printer.say("right " + id + " to " + process_ + "; take it back with: pgrid cap revoke " + id +
                        context.node_option());
    if (secret_)
      context.printer.say(text_of(*right, "uri"));
    else
      context.printer.say("see the right itself with: pgrid cap ls " + process_ + " --show-secret" + context.node_option());
    return ExitCode::ok;
  }

 private:
  std::string process_;
  std::string holder_;
  std::string as_;
  std::optional<std::uint64_t> label_, rate_, burst_, in_flight_;
  std::uint64_t body_max_ = 0;
  std::uint64_t deadline_us_ = 0;
  std::uint64_t expires_us_ = 0;
  bool secret_ = false;
};

}  // namespace

std::unique_ptr<Command> make_cap_create() { return std::make_unique<CapCreate>(); }

}  // namespace pgrid::tools
