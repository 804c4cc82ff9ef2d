// What happened, to whom, when: the log as people and functions read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "control/store/state.hpp"

namespace pgrid::control {

struct Event {
  std::uint64_t number = 0;    // from 1; the same whenever the views are made from the same log
  std::uint64_t sequence = 0;  // of its record in the log
  std::uint64_t time_unix_ns = 0;
  std::string what;           // one word: deployed, right_created, right_revoked, violation, ...
  std::uint32_t process = 0;  // whom it is about; nobody when `generation` is 0
  std::uint32_t generation = 0;
  std::string name;        // of that process
  std::uint32_t slot = 0;  // of the right that it is about; none when `right_generation` is 0
  std::uint32_t right_generation = 0;
  std::string text;  // more, for people
};

/// Which process: one life of an index.
struct ProcessKey {
  std::uint32_t process = 0;
  std::uint32_t generation = 0;
};

struct EventQuery {
  std::optional<ProcessKey>
      process;              // also events of rights that it holds or had made; without it: everything
  std::string name;         // or all processes that ever had this name, when it is not empty
  std::uint64_t after = 0;  // only those with a greater number
  std::uint32_t limit = 100;
  bool newest = false;  // the last `limit` of them instead of the first; oldest first all the same
};

}  // namespace pgrid::control
