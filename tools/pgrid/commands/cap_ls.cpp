// pgrid cap ls: the rights of the node.
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/commands/rights_table.hpp"
#include "tools/pgrid/tokens/commands.hpp"

namespace pgrid::tools {
namespace {

class CapLs : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("ls", "List send rights and what became of the messages through each.");
    own.add_option("NAME", process_, "only the rights to this process").type_name(kProcessWord);
    own.add_option("--holder", holder_, "only the rights that this process holds").type_name(kProcessWord);
    own.add_flag("--show-secret", secret_, "print the rights themselves, as grid:// URIs; not those that processes hold");
    own.add_flag("--tokens", tokens_, "list the tokens that were made for rights, and what was redeemed with them");
    own.add_flag("--tree", tree_, "derived rights below the one that they came from");
    own.footer("\nExample:\n  pgrid cap ls echo --show-secret");
    return own;
  }

  ExitCode run(Context& context) override {
    if (tokens_) return list_tokens(context);
    ApiRequest request{.path = "/v1/rights"};
    if (!process_.empty()) request.query.emplace_back("process", process_);
    if (!holder_.empty()) request.query.emplace_back("holder", holder_);
    if (secret_) request.query.emplace_back("secrets", "1");
    const auto answer = context.api.call(request);
    if (!answer) return context.report(answer.error());
    if (context.printer.json()) {
      context.printer.print(*answer);
      return ExitCode::ok;
    }
    const Table table = rights_table(answer->value("rights", nlohmann::json::array()), secret_, tree_);
    if (table.empty() && !holder_.empty())
      context.printer.say(holder_ + " holds no such right; grant it one: pgrid cap create NAME --holder " + holder_ +
                          context.node_option());
    else if (table.empty())
      context.printer.say("no right yet; create one: pgrid cap create " + (process_.empty() ? "NAME" : process_) +
                          context.node_option());
    else
      context.printer.print(table);
    return ExitCode::ok;
  }

 private:
  std::string process_;
  std::string holder_;
  bool secret_ = false;
  bool tree_ = false;
  bool tokens_ = false;
};

}  // namespace

std::unique_ptr<Command> make_cap_ls() { return std::make_unique<CapLs>(); }

}  // namespace pgrid::tools
