// What can stand at the cursor: asked by the shell's completion scripts through the hidden `pgrid __complete
// WORD...`.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <span>
#include <string>
#include <vector>

namespace pgrid::tools::usage {

inline constexpr char kCompleteCommand[] = "__complete";

struct Candidate {
  std::string word;
  std::string about;  // one line
};

struct Candidates {
  std::vector<Candidate> words;
  bool files = false;  // the shell's own file names
};

/// Values that only the node knows: `kind` is what help writes for the value ("PROCESS", "SLOT.GENERATION"),
/// `node` what was given to --node ("": nothing). Empty when there is no node.
using Ask = std::function<std::vector<Candidate>(const std::string& kind, const std::string& node)>;

/// `words`: those behind `pgrid`, the last of them (it may be empty) is the one at the cursor.
[[nodiscard]] Candidates complete(const CLI::App& root, std::span<const std::string> words, const Ask& ask);

/// Each candidate on a line of its own, word and description with a tab between them; ":files" where file
/// names may stand.
void print(const Candidates& candidates, std::ostream& out);

/// Asks the node; waits for it a second at most.
[[nodiscard]] std::vector<Candidate> ask_node(const std::string& kind, const std::string& node);

}  // namespace pgrid::tools::usage
