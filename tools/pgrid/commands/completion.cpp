// pgrid completion: the script that teaches a shell to complete pgrid's words.
#include "tools/pgrid/command.hpp"
#include "tools/pgrid/templates.hpp"  // generated; has usage/pgrid.bash and usage/pgrid.zsh

namespace pgrid::tools {
namespace {

class Completion : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own =
        app.add_subcommand("completion",
                           "Print a script with which bash or zsh completes commands, options and the "
                           "names of processes.");
    own.add_option("SHELL", shell_, "bash or zsh").required().one_of({"bash", "zsh"});
    own.footer(
        "\nExamples:\n  source <(pgrid completion bash)\n"
        "  pgrid completion zsh > ~/.zfunc/_pgrid    # a folder of $fpath");
    return own;
  }

  ExitCode run(Context& context) override {
    const std::string script = shell_ == "bash" ? kCompletionBash : kCompletionZsh;
    if (context.printer.json())
      context.printer.print(nlohmann::json{{"shell", shell_}, {"script", script}});
    else
      context.printer.out() << script << std::flush;
    return ExitCode::ok;
  }

 private:
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> make_completion() { return std::make_unique<Completion>(); }

}  // namespace pgrid::tools
