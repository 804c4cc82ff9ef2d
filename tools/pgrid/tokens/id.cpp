// pgrid id: who the node is, who a process is, and keys of one's own.
#include "control/identity/key_file.hpp"
#include "tools/pgrid/tokens/commands.hpp"

namespace pgrid::tools {
namespace {

class Id : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("id", "Print the DID of the node or of a process, or make a key of your own. A token is "
                                             "made out to a DID.");
    const Option process = own.add_option("NAME", process_, "name or index of a process").type_name(kProcessWord);
    const Option made = own.add_option("--new", new_, "make a key in this file (mode 0600) and print its DID").type_name(kFileWord);
    const Option key = own.add_option("--key", key_, "print the DID of the key in this file").type_name(kFileWord);
    made.excludes(process).excludes(key);
    key.excludes(process);
    own.footer("\nExamples:\n  pgrid id\n  pgrid id echo\n  pgrid id --new alice.key");
    return own;
  }

  ExitCode run(Context& context) override {
    if (!new_.empty() || !key_.empty()) {
      const auto seed = new_.empty() ? identity::read_key_file(key_) : identity::make_key_file(new_);
      if (!seed) return context.printer.report(exit_code_of(seed.error().code), seed.error());
      return say(context, identity::SigningKey(*seed).did());
    }
    ApiRequest request{.path = "/v1/identity"};
    if (!process_.empty()) request.query.emplace_back("process", process_);
    const auto answer = context.api.call(request);
    if (!answer) return context.report(answer.error());
    return say(context, text_of(*answer, "did"));
  }

 private:
  static ExitCode say(const Context& context, const std::string& did) {
    if (context.printer.json()) context.printer.print(nlohmann::json{{"did", did}});
    context.printer.say(did);
    return ExitCode::ok;
  }

  std::string process_;
  std::string new_;
  std::string key_;
};

}  // namespace

std::unique_ptr<Command> make_id() { return std::make_unique<Id>(); }

}  // namespace pgrid::tools
