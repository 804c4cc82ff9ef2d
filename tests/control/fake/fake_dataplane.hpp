// A data plane small enough to read: serves RUN/dataplane.sock, makes the segments, turns, and answers what
// control sends. It plays poll cores and workers on one thread: a request through a valid right is echoed,
// any other is refused.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "abi/shared/handover.hpp"
#include "abi/shared/records.hpp"
#include "abi/shared/segment.hpp"
#include "abi/shared/stats.hpp"
#include "drivers/base/unique_fd.hpp"
#include "drivers/shm/segment.hpp"

namespace pgrid::control::fake {

struct Loaded {
  abi::LoadProcess load{};
  std::string code;
  bool sealed = false;  // against writing
};

/// What control said to functions: an answer or a notice.
struct Said {
  abi::ControlRequest header{};
  std::vector<abi::RightRef> rights;
  std::string body;
};

/// Starts when made, dies when destroyed (all connections close at once), like a real one that is killed.
class FakeDataplane {
 public:
  explicit FakeDataplane(std::filesystem::path socket, std::uint32_t poll_cores = 2,
                         std::uint32_t workers = 2);
  ~FakeDataplane();
  FakeDataplane(const FakeDataplane&) = delete;
  FakeDataplane& operator=(const FakeDataplane&) = delete;

  // What it does wrong, when asked.
  std::atomic<bool> turning{true};
  std::atomic<bool> loads{true};          // else it answers every load with `failed`
  std::atomic<bool> answers_loads{true};  // else it says nothing
  std::atomic<bool> answers_restarts{true};  // the same of RestartProcess
  std::atomic<bool> answers{true};        // else requests vanish

  [[nodiscard]] abi::RightFields right(std::uint32_t slot) const;
  [[nodiscard]] abi::RightSlot& slot(std::uint32_t slot) const;
  [[nodiscard]] abi::PollCoreStats& poll_core(std::uint32_t core) const;
  [[nodiscard]] abi::RightAccount& account(std::uint32_t core, std::uint32_t slot) const;
  [[nodiscard]] std::map<std::uint32_t, Loaded> loaded() const;
  /// Processes that control had restarted, in order.
  [[nodiscard]] std::vector<std::uint32_t> restarts() const;
  /// What processes hold now: by holder and handle, slot and generation of the right. As a real one, it
  /// forgets them when the process is loaded anew, and takes none for a process or generation that is not
  /// there.
  [[nodiscard]] std::map<std::pair<std::uint32_t, std::uint32_t>, abi::SetHandle> handles() const;
  [[nodiscard]] abi::WorkerStatus& worker(std::uint32_t worker) const;
  [[nodiscard]] std::uint32_t hellos() const { return hellos_; }

  /// As a poll core would: an event for control.
  void post(const abi::ControlEvent& event, const std::string& body, const std::vector<abi::RightRef>& rights = {});
  /// Answers and notices since the last call.
  [[nodiscard]] std::vector<Said> take_said();
  std::atomic<bool> listens{true};  // else it leaves what control says in its ring
  /// Writes nonsense over the event rings' indices.
  void corrupt_event_rings();
  void send_to_control(const void* bytes, std::size_t size);
  /// Closes control's connection, as a reset would; the segments live on.
  void drop_control();

 private:
  void run();
  void greet();
  void read_control();
  void drop_handles(std::uint32_t process);
  void serve_requests();
  void answer(const abi::ControlRequest& request, std::uint32_t core, const std::byte* body,
              std::size_t size);

  std::filesystem::path path_;
  abi::Geometry geometry_{};
  std::uint8_t boot_id_[16];
  shm::Segment rights_;
  shm::Segment stats_;
  shm::Segment rings_;
  std::vector<abi::ControlRingConsumer> requests_;
  std::vector<abi::RingProducer> events_;
  UniqueFd listener_;
  UniqueFd control_;
  mutable std::mutex mutex_;  // of everything above and below
  std::vector<Said> said_;
  std::map<std::uint32_t, Loaded> loaded_;
  std::vector<std::uint32_t> restarts_;
  std::map<std::pair<std::uint32_t, std::uint32_t>, abi::SetHandle> handles_;
  std::atomic<std::uint32_t> hellos_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace pgrid::control::fake
