#include "tools/pgrid/command.hpp"
namespace pgrid::tools {
struct Stub : Command { CLI::App* declare(CLI::App& app) override { return app.add_subcommand("doctor", "-"); } ExitCode run(Context&) override { return ExitCode::usage; } };
std::unique_ptr<Command> make_doctor() { return std::make_unique<Stub>(); }
}
