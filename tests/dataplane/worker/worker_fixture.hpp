// A worker core over rings in this process's memory, with the other ends in the test's hands.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/worker/worker_core.hpp"
#include "drivers/wasm/module.hpp"
#include "tests/guests/guests.hpp"

namespace pgrid::worker {

inline constexpr abi::Geometry kGeometry{.poll_cores = 2,
                                         .workers = 1,
                                         .rights = 64,
                                         .in_flight = 256,
                                         .request_ring = 1u << 18,
                                         .reply_ring = 1u << 19,
                                         .control_ring = 1u << 16,
                                         .processes = 8};

/// Of the clock: so fast that 1 ms of it takes this machine minutes, so that a deadline or a back-off passes only when a test
/// lets it (Clock::skip_us).
inline constexpr std::uint64_t kTscHz = 1'000'000'000'000'000;

/// What a worker wrote.
struct Reply {
  abi::WorkerReply header;
  std::string body;
  [[nodiscard]] abi::ReplyType type() const { return static_cast<abi::ReplyType>(header.type); }
  [[nodiscard]] abi::Kind kind() const { return static_cast<abi::Kind>(header.kind); }
  [[nodiscard]] abi::Reason reason() const { return static_cast<abi::Reason>(header.reason); }
};

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    ticker_.watch(::pthread_self());
    EXPECT_TRUE(linker_.define<&say>("test", "say", this));
    for (std::uint32_t core = 0; core < kGeometry.poll_cores; ++core) {
      requests_[core] = abi::RingProducer(segment_ + abi::request_ring_offset(kGeometry, core), kGeometry.request_ring);
      replies_[core] = abi::RingConsumer(segment_ + abi::reply_ring_offset(kGeometry, core), kGeometry.reply_ring);
    }
  }

  static std::byte* make_segment() {
    const std::size_t size = abi::round_up_64(abi::worker_rings_size(kGeometry));
    auto* memory = static_cast<std::byte*>(std::aligned_alloc(64, size));
    std::memset(memory, 0, size);
    return memory;
  }

  /// What guests hear from the test: an import that only tests' guests have.
  static std::int32_t say(void* test, std::uint32_t, std::uint32_t) noexcept {
    auto& self = *static_cast<WorkerTest*>(test);
    ++self.asked_;
    return self.said_;
  }

  std::unique_ptr<InstanceSlot> slot(const std::string& guest, std::uint32_t process, std::uint32_t generation = 1) {
    const auto wasm = tests::guest(guest);
    auto module = wasm::Module::compile(engine_, wasm);
    EXPECT_TRUE(module) << module.error().sentence();
    auto bound = linker_.bind(*module);
    EXPECT_TRUE(bound) << bound.error().sentence();
    auto made = std::make_unique<InstanceSlot>();
    made->process = process;
    made->generation = generation;
    made->limits = {.memory_bytes = 1u << 20,
                    .time_limit_us = 2000,
                    .mailbox = 64,
                    .backoff_min_ms = 10,
                    .backoff_max_ms = 1000};
    made->code = std::move(*bound);
    return made;
  }
  void load(const std::string& guest, std::uint32_t process, std::uint32_t generation = 1) {
    auto attached = core_.attach(slot(guest, process, generation));
    ASSERT_TRUE(attached.ok) << attached.text;
  }

  /// With handles (bits) and restart limits.
  void load(const std::string& guest, std::uint32_t process, std::uint32_t handles, std::uint32_t restarts_max,
            std::uint32_t restart_period_ms) {
    auto made = slot(guest, process);
    made->handles = handles;
    made->limits.restarts_max = restarts_max;
    made->limits.restart_period_ms = restart_period_ms;
    const auto attached = core_.attach(std::move(made));
    ASSERT_TRUE(attached.ok) << attached.text;
  }

  /// Puts a request into a ring; its send-once right is (core, entry) with generation 7.
  void request(std::uint32_t process, const std::string& body, std::uint32_t entry, std::uint32_t core = 0,
               std::uint32_t generation = 7) {
    abi::WorkerRequest header{};
    header.kind = static_cast<std::uint8_t>(abi::Kind::request);
    header.process = process;
    header.reply_slot = abi::send_once_slot(core, entry);
    header.reply_generation = generation;
    header.deadline_us = 100'000;
    header.dispatched_tsc = core_.clock().now();
    header.label = 42;
    write(header, body, core);
  }
  void write(abi::WorkerRequest header, const std::string& body, std::uint32_t core) {
    std::byte* record = requests_[core].reserve(abi::kRecordHeader + static_cast<std::uint32_t>(body.size()));
    ASSERT_NE(record, nullptr);
    std::memcpy(record + 4, reinterpret_cast<std::byte*>(&header) + 4, sizeof header - 4);
    std::memcpy(record + sizeof header, body.data(), body.size());
    requests_[core].commit();
    requests_[core].publish();
  }

  std::optional<Reply> reply(std::uint32_t core = 0) {
    const abi::RingRecord record = replies_[core].front();
    if (!record) return std::nullopt;
    Reply found;
    std::memcpy(&found.header, record.data, sizeof found.header);
    found.body.assign(reinterpret_cast<const char*>(record.data) + sizeof found.header,
                      record.length - sizeof found.header);
    replies_[core].pop();
    replies_[core].release();
    return found;
  }
  /// The next answer, passing log lines and events.
  std::optional<Reply> answer(std::uint32_t core = 0) {
    for (;;) {
      auto found = reply(core);
      if (!found || found->type() == abi::ReplyType::answer) return found;
      told_.push_back(*found);
    }
  }
  /// Turns until there is nothing left to do.
  void run() {
    for (int i = 0; i < 1000 && core_.turn(); ++i) {
    }
  }
  /// One request and its answer.
  Reply call(std::uint32_t process, const std::string& body, std::uint32_t entry = 1) {
    request(process, body, entry);
    run();
    auto found = answer();
    EXPECT_TRUE(found) << "no answer";
    return found.value_or(Reply{});
  }
  /// Of what was told: those of one type, which are then gone, as are answers that were not looked at.
  std::vector<Reply> take_told(abi::ReplyType type) {
    while (answer()) {
    }
    std::vector<Reply> found;
    std::erase_if(told_, [&](const Reply& one) {
      if (one.type() == type) found.push_back(one);
      return one.type() == type;
    });
    return found;
  }
  [[nodiscard]] const abi::WorkerLine& line() const {
    return *reinterpret_cast<abi::WorkerLine*>(segment_ + sizeof(abi::SegmentHeader));
  }

  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> memory_{make_segment()};
  std::byte* segment_ = memory_.get();
  wasm::Engine engine_ = *wasm::Engine::create({.instances = 8, .memory_max = 1u << 20});
  Ticker ticker_{engine_};
  WorkerCore core_{segment_, kGeometry, 0, kTscHz, engine_, ticker_};
  wasm::Linker linker_ = *make_guest_linker(engine_, core_);
  abi::RingProducer requests_[abi::kPollCoresMax];
  abi::RingConsumer replies_[abi::kPollCoresMax];
  std::vector<Reply> told_;   // log lines, events and guests' requests that `answer` passed
  std::int32_t said_ = 0;     // see `say`
  std::uint32_t asked_ = 0;
};

}  // namespace pgrid::worker
