#include "drivers/dpdk/lcore.hpp"

#include <pthread.h>
#include <rte_errno.h>
#include <rte_launch.h>

#include <cstring>
#include <string>

namespace pgrid::dpdk {

int LcoreGroup::run(void* task) noexcept {
  static_cast<Task*>(task)->body();
  return 0;
}

Result<void> LcoreGroup::start(Lcore lcore, std::unique_ptr<Task> task) {
  const int failed = rte_eal_remote_launch(&LcoreGroup::run, task.get(), lcore.id);
  if (failed != 0)
    return fail(failed == -EBUSY ? Errc::busy : Errc::internal,
                "rte_eal_remote_launch on lcore " + std::to_string(lcore.id) + " (CPU " +
                    std::to_string(lcore.cpu) + ")",
                failed == -EBUSY ? "it is running something already" : rte_strerror(-failed));
  tasks_.push_back(std::move(task));
  return {};
}

void LcoreGroup::join() {
  for (const std::unique_ptr<Task>& task : tasks_) (void)rte_eal_wait_lcore(task->lcore_id);
  tasks_.clear();
}

void set_thread_name(const char* name) noexcept {
  char cut[16] = {};
  std::strncpy(cut, name, sizeof cut - 1);
  (void)pthread_setname_np(pthread_self(), cut);
}

}  // namespace pgrid::dpdk
