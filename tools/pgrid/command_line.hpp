// The whole command line of `pgrid`: every command with its options. What parses it, what completes it and what prints
// the man page look at this one tree, so none of them can lag behind.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tools/pgrid/command.hpp"

namespace pgrid::tools {

/// Lives in main(). The commands' options are bound to the commands, which it owns.
class CommandLine {
 public:
  CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  [[nodiscard]] CLI::App& app() { return app_; }
  /// The command that was parsed; null before.
  [[nodiscard]] Command* chosen() const;

  [[nodiscard]] const std::string& node() const { return node_; }
  [[nodiscard]] bool json() const { return json_; }

 private:
  void add(CLI::App& parent, std::unique_ptr<Command> command);

  struct Line {
    std::unique_ptr<Command> command;
    CLI::App* app;
  };
  CLI::App app_;
  std::string node_;
  bool json_ = false;
  std::vector<Line> lines_;
};

}  // namespace pgrid::tools
