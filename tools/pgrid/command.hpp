// What every command of `pgrid` is.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "tools/pgrid/api_client.hpp"
#include "tools/pgrid/exit_code.hpp"
#include "tools/pgrid/printer.hpp"
#include "tools/pgrid/subcommand.hpp"

namespace pgrid::tools {

/// What a command works with. Lives in main().
struct Context {
  std::filesystem::path node_dir;  // of --node or $PGRID_NODE; empty: the machine's own node
  std::filesystem::path run_dir;   // where its sockets are
  Printer printer;
  ApiClient api;

  /// " --node DIR" when that was given: for sentences that tell what to type next.
  [[nodiscard]] std::string node_option() const;

  /// Reports a failed call of the API: exit code 3 when no node runs there.
  ExitCode report(const Error& error) const;
};

class Command {
 public:
  virtual ~Command() = default;
  /// Adds itself to `app`, its options bound to its members.
  virtual Subcommand declare(Subcommand app) = 0;
  virtual ExitCode run(Context& context) = 0;
};

std::unique_ptr<Command> make_up();
std::unique_ptr<Command> make_doctor();
std::unique_ptr<Command> make_new();
std::unique_ptr<Command> make_verify();
std::unique_ptr<Command> make_deploy();
std::unique_ptr<Command> make_ls();
std::unique_ptr<Command> make_inspect();
std::unique_ptr<Command> make_rm();
std::unique_ptr<Command> make_restart();
std::unique_ptr<Command> make_logs();
std::unique_ptr<Command> make_log();
std::unique_ptr<Command> make_log_verify();
std::unique_ptr<Command> make_log_rebuild();
std::unique_ptr<Command> make_invoke();
std::unique_ptr<Command> make_cap_create();
std::unique_ptr<Command> make_cap_derive();
std::unique_ptr<Command> make_cap_revoke();
std::unique_ptr<Command> make_cap_ls();
std::unique_ptr<Command> make_stat();
std::unique_ptr<Command> make_completion();
std::unique_ptr<Command> make_man();

/// What is written for a value in help, and by which completion knows what can stand there.
inline constexpr char kProcessWord[] = "PROCESS";  // name or index of a process
inline constexpr char kRightWord[] = "RIGHT";      // name or SLOT.GENERATION of a right
inline constexpr char kFileWord[] = "FILE";

/// Fields of an answer that may be missing or of another type in another version: `fallback` then.
[[nodiscard]] std::string text_of(const nlohmann::json& object, const char* key, const std::string& fallback = "-");
[[nodiscard]] std::uint64_t number_of(const nlohmann::json& object, const char* key);

}  // namespace pgrid::tools
