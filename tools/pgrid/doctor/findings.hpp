// What this machine has and lacks for a node.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace pgrid::tools {

enum class Level {
  fine,
  advice,   // slower, or a kind of port that cannot be used
  missing,  // a node on a TAP port cannot run
};

struct Finding {
  std::string subject;  // "huge pages"
  Level level = Level::fine;
  std::string text;     // what was found
  std::string mend;     // a command or what to change; empty when nothing needs to be done
};

/// Where to look: "/" for this machine, a folder with sys, proc and dev for a test.
struct Machine {
  std::filesystem::path root = "/";
};

[[nodiscard]] Finding look_at_privileges(const Machine& machine);
[[nodiscard]] Finding look_at_tun(const Machine& machine);
[[nodiscard]] Finding look_at_huge_pages(const Machine& machine);
[[nodiscard]] Finding look_at_cores(const Machine& machine);
[[nodiscard]] Finding look_at_isolation(const Machine& machine);
[[nodiscard]] Finding look_at_iommu(const Machine& machine);
[[nodiscard]] Finding look_at_vfio(const Machine& machine);
[[nodiscard]] std::vector<Finding> look_at_nics(const Machine& machine);
[[nodiscard]] Finding look_at_memlock(const Machine& machine);
[[nodiscard]] Finding look_at_programs();
[[nodiscard]] Finding look_at_run_dir(const std::filesystem::path& run_dir);

[[nodiscard]] std::vector<Finding> examine(const Machine& machine, const std::filesystem::path& run_dir);

}  // namespace pgrid::tools
