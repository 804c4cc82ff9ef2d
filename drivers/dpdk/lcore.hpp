// Running our code on EAL worker lcores.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "drivers/base/result.hpp"
#include "drivers/dpdk/eal.hpp"

namespace pgrid::dpdk {

/// Bodies running on lcores. Used by the main lcore only; its destructor waits for all of them, so whatever
/// tells the bodies to end must have been said by then.
class LcoreGroup {
 public:
  LcoreGroup() = default;
  LcoreGroup(LcoreGroup&&) noexcept = default;
  LcoreGroup& operator=(LcoreGroup&&) = delete;
  ~LcoreGroup() { join(); }

  /// Starts `body()` on an idle lcore. The body must be noexcept: nothing may unwind into the EAL.
  template <typename Body>
    requires std::is_nothrow_invocable_v<Body&>
  [[nodiscard]] Result<void> launch(Lcore lcore, Body body) {
    return start(lcore, std::make_unique<Task>(
                            Task{[body = std::move(body)]() mutable noexcept { body(); }, lcore.id}));
  }

  /// Waits until every body has returned.
  void join();

 private:
  struct Task {
    std::move_only_function<void() noexcept> body;
    unsigned lcore_id;
  };
  [[nodiscard]] Result<void> start(Lcore lcore, std::unique_ptr<Task> task);
  static int run(void* task) noexcept;

  std::vector<std::unique_ptr<Task>> tasks_;
};

/// Gives the calling thread a name that `top` and /proc show; at most 15 bytes of it.
void set_thread_name(const char* name) noexcept;

}  // namespace pgrid::dpdk
