// Sends requests to a node over kernel UDP sockets and settles what comes back.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "abi/wire/grid_uri.hpp"
#include "drivers/base/result.hpp"
#include "tools/load/request_book.hpp"

namespace pgrid::tools {

struct LoadOptions {
  std::vector<wire::GridUri> rights;                 // used round robin
  std::uint32_t outstanding = 32;                    // closed loop: requests that wait at once
  double rate = 0;                                   // open loop: requests per second; 0: closed loop
  std::uint32_t body = 64;                           // bytes
  std::uint32_t deadline_us = 0;                     // of each request; 0: the right's
  std::optional<std::uint64_t> count;                // stop after so many
  std::chrono::microseconds duration{10'000'000};    // stop after so long, without a count
  std::chrono::microseconds timeout{1'000'000};      // lost after so long
  bool verify_echo = false;
};

struct LoadReport {
  Tallies tallies;
  std::uint64_t wrong_body = 0;   // with verify_echo: answers that are not what was sent (they count as answered)
  std::uint64_t malformed = 0;    // datagrams that are no message-1 answer
  std::uint64_t send_errors = 0;  // times the kernel refused to send; each was tried again
  std::string send_error;         // the last one
  double sending_seconds = 0;     // from the first request to the last
  double seconds = 0;             // to the last answer or time-out
};

/// Runs until done, or until `stop` gives true (asked about a hundred times a second): then it stops sending and waits
/// for what is out. `progress` is called once a second.
[[nodiscard]] Result<LoadReport> generate_load(const LoadOptions& options, const std::function<bool()>& stop,
                                               const std::function<void(const LoadReport&)>& progress);

}  // namespace pgrid::tools
