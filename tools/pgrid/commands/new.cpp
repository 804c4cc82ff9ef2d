#include "tools/pgrid/command.hpp"
namespace pgrid::tools {
struct Stub2 : Command { CLI::App* declare(CLI::App& app) override { return app.add_subcommand("new", "-"); } ExitCode run(Context&) override { return ExitCode::usage; } };
std::unique_ptr<Command> make_new() { return std::make_unique<Stub2>(); }
}
