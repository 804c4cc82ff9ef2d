// pgrid cap create and derive: a new send right, to a process or out of another right.
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/commands/right_options.hpp"

namespace pgrid::tools {
namespace {

class CapCreate : public Command {
 public:
  explicit CapCreate(bool derives) : derives_(derives) {}

  Subcommand declare(Subcommand app) override {
    Subcommand own =
        derives_ ? app.add_subcommand(
                       "derive",
                       "Make a narrower right out of one: never more than that allows, and gone when that "
                       "is revoked.")
                 : app.add_subcommand(
                       "create",
                       "Create a right to send to a process. Who holds its secret can call it; with --holder "
                       "another process can, and there is no secret.");
    if (derives_)
      own.add_option("RIGHT", of_, "the right to derive from: its name or SLOT.GENERATION")
          .required()
          .type_name(kRightWord);
    else
      own.add_option("NAME", of_, "name or index of the process").required().type_name(kProcessWord);
    const Option holder = own.add_option("--holder", holder_,
                                   "name or index of the process that is to hold it, under its next handle")
                       .type_name(kProcessWord);
    own.add_option("--as", as_, "what the new right is called, here or by its holder").type_name("WORD");
    options_.add(own, derives_ ? "that right's" : "the process's");
    add_number(
        own, "--count", count_,
        "so many alike, made with one request (at most 10000); nobody holds them and they have no name");
    own.add_flag("--show-secret", secret_, "print the right itself, as a grid:// URI").excludes(holder);
    own.footer(
        derives_ ? "\nExamples:\n  pgrid cap derive desk --as intern --rate 10 --can send --expires 1h\n"
                   "  pgrid cap derive desk --holder twice --as words"
                 : "\nExamples:\n  pgrid cap create echo --as desk --rate 1000 --expires 1h --show-secret\n"
                   "  pgrid cap create wordcount --holder twice --as words");
    return own;
  }

  ExitCode run(Context& context) override {
    nlohmann::json body = nlohmann::json::object();
    if (!derives_) body["process"] = of_;
    if (!holder_.empty()) body["holder"] = holder_;
    if (!as_.empty()) body["as"] = as_;
    if (count_) body["count"] = *count_;
    options_.put(body);
    ApiRequest request{.method = "POST",
                       .path = derives_ ? "/v1/rights/" + path_part(of_) + "/derive" : "/v1/rights",
                       .body = body.dump()};
    if (secret_) request.query.emplace_back("secrets", "1");
    const auto right = context.api.call(request);
    if (!right) return context.report(right.error());
    if (context.printer.json())
      context.printer.print(*right);
    else if (count_)
      tell_many(context, *right);
    else
      tell(context, *right);
    return ExitCode::ok;
  }

 private:
  void tell_many(const Context& context, const nlohmann::json& answer) const {
    const auto rights = answer.value("rights", nlohmann::json::array());
    if (!secret_)
      return context.printer.say(grouped(rights.size()) + " rights are made; see them with: pgrid cap ls" +
                                 context.node_option());
    for (const auto& right : rights) context.printer.say(text_of(right, "uri"));
  }

  void tell(const Context& context, const nlohmann::json& right) const {
    const std::string id = text_of(right, "slot") + '.' + text_of(right, "generation");
    const std::string name = holder_.empty() ? text_of(right, "name", "") : "";
    const std::string take_back =
        "; take it back with: pgrid cap revoke " + (name.empty() ? id : name) + context.node_option();
    const std::string what = "right " + id + (name.empty() ? "" : ", " + name + ',') + " to " +
                             text_of(right, "process") + (derives_ ? ", derived from " + of_ : "");
    if (!holder_.empty())
      return context.printer.say(what + ", held by " + text_of(right, "holder") + " as " +
                                 text_of(right, "name") + ", handle " + text_of(right, "handle") + take_back);
    context.printer.say(what + take_back);
    context.printer.say(secret_ ? text_of(right, "uri")
                                : "see the right itself with: pgrid cap ls " + text_of(right, "process") +
                                      " --show-secret" + context.node_option());
  }

  const bool derives_;
  std::string of_;
  std::string holder_;
  std::string as_;
  RightOptions options_;
  std::optional<std::uint64_t> count_;
  bool secret_ = false;
};

}  // namespace

std::unique_ptr<Command> make_cap_create() { return std::make_unique<CapCreate>(false); }
std::unique_ptr<Command> make_cap_derive() { return std::make_unique<CapCreate>(true); }

}  // namespace pgrid::tools
