// What `pgrid` tells the shell. Part of its interface: listed in --help and docs/OPERATING.md.
#pragma once

namespace pgrid::tools {

enum class ExitCode : int {
  ok = 0,
  refused = 1,    // the node said no, or what came back was a non-commitment
  usage = 2,      // wrong arguments or configuration; nothing was done
  no_node = 3,    // no node runs there
  timed_out = 4,  // asked, and heard nothing in time
};

}  // namespace pgrid::tools
