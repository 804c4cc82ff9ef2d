// Keeps net_tap from asking for a signal per packet. For eth_port.cpp.
#pragma once

#include <csignal>
#include <vector>

namespace pgrid::dpdk {

/// While this object lives, every real-time signal that has no handler is ignored, so that net_tap finds none
/// to take
/// ("in use" is a signal that is not SIG_DFL) and goes without. With one, the kernel signals this process for
/// every frame: helper threads wake with EINTR, and when the queue of signals is full it sends SIGIO, which
/// ends the process. Without, each receive call is one readv, which says at once that nothing waits.
class RtSignalsIgnored {
 public:
  RtSignalsIgnored() {
    for (int signal = SIGRTMIN + 1; signal < SIGRTMAX; ++signal) {
      struct sigaction old{};
      if (::sigaction(signal, nullptr, &old) != 0 || old.sa_handler != SIG_DFL) continue;
      struct sigaction ignore{};
      ignore.sa_handler = SIG_IGN;
      if (::sigaction(signal, &ignore, nullptr) == 0) changed_.push_back(signal);
    }
  }
  RtSignalsIgnored(const RtSignalsIgnored&) = delete;
  RtSignalsIgnored& operator=(const RtSignalsIgnored&) = delete;
  ~RtSignalsIgnored() {
    struct sigaction standard{};
    standard.sa_handler = SIG_DFL;
    for (const int signal : changed_) (void)::sigaction(signal, &standard, nullptr);
  }

 private:
  std::vector<int> changed_;
};

}  // namespace pgrid::dpdk
