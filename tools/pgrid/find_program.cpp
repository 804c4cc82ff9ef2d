#include "tools/pgrid/find_program.hpp"

#include <unistd.h>

#include <cstdlib>
#include <sstream>
#include <vector>

namespace pgrid::tools {

Result<std::filesystem::path> find_program(const std::string& name) {
  namespace fs = std::filesystem;
  std::vector<fs::path> places;
  if (const char* chosen = std::getenv("PGRID_LIBEXEC"); chosen != nullptr && *chosen != 0) places.emplace_back(chosen);
  std::error_code status;
  const fs::path self = fs::read_symlink("/proc/self/exe", status);
  if (!status) {
    const fs::path beside = self.parent_path();
    const fs::path build = beside.parent_path().parent_path();  // BUILD/tools/pgrid/pgrid
    places.push_back(beside);
    places.push_back(beside.parent_path() / "libexec/pgrid");  // PREFIX/bin/pgrid, as `meson install` lays it
    for (const char* folder : {"dataplane", "dataplane/worker", "control", "control/code", "tools/load"})
      places.push_back(build / folder);
  }
  if (const char* path = std::getenv("PATH"); path != nullptr) {
    std::istringstream list(path);
    for (std::string entry; std::getline(list, entry, ':');)
      if (!entry.empty()) places.emplace_back(entry);
  }
  for (const fs::path& place : places) {
    const fs::path candidate = place / name;
    if (fs::is_regular_file(candidate, status) && ::access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return fail(Errc::not_found, "find " + name, "it is neither beside pgrid nor in $PATH",
              "build it with `ninja`, or name its directory in PGRID_LIBEXEC");
}

}  // namespace pgrid::tools
