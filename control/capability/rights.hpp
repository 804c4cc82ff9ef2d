// Rights: made, revoked, and kept equal between the store and the data plane's right table.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "abi/shared/right_table.hpp"
#include "control/capability/turn_barrier.hpp"
#include "control/dataplane_link/link.hpp"
#include "control/store/store.hpp"

namespace pgrid::control {

inline constexpr std::uint32_t kDeadlineDefaultUs = 100'000;  // 100 ms (DESIGN section 4)
inline constexpr std::uint32_t kDeadlineMaxUs =
    60'000'000;                                          // a minute: an in-flight entry is held for as long
inline constexpr std::uint16_t kInFlightDefault = 1024;  // per poll core; a quarter of its table by default
inline constexpr std::uint32_t kBurstPart = 10;          // default burst: what the rate gives in 100 ms,
inline constexpr std::uint32_t kBurstDefaultMin = 32;    // but at least one burst of the NIC
inline constexpr std::uint64_t kExpiresMaxS =
    10ull * 365 * 86'400;  // ten years: below 2^64 ns until the year 2544

/// What somebody asks for. What is left out gets its default.
struct RightSpec {
  std::uint64_t label = 0;
  std::optional<std::uint32_t> rate;  // messages per second, 0: no limit; default: the process's
  std::optional<std::uint32_t> burst;
  std::optional<std::uint32_t> in_flight_max;
  std::optional<std::uint32_t> body_max;
  std::optional<std::uint32_t> deadline_max_us;
  std::optional<std::uint64_t> expires_in_s;
};

/// Owned by control's one thread.
class Rights {
 public:
  using OnCreated = std::function<void(Result<RightRecord>)>;
  using OnRevoked = std::function<void(Result<Passed>)>;

  /// `slots` is the size of the right table as configured.
  Rights(EventLoop& loop, Store& store, DataplaneLink& link, std::uint32_t slots)
      : store_(store), link_(link), barrier_(loop, link), slots_(slots) {}

  /// A new right, with slot, generation and key, committed nowhere yet. `skip`: how many made before it are
  /// not committed either.
  [[nodiscard]] Result<RightRecord> make(const RightSpec& spec, const ProcessRecord& process,
                                         std::uint32_t skip = 0) const;
  /// Makes, commits, publishes, hands it to its holder, if a process is to hold it, and calls `done`: at once when
  /// the right cannot be made, else from the loop.
  void create(const RightSpec& spec, const ProcessRecord& process, std::optional<Holding> holding,
              OnCreated done);

  /// Commits, publishes, takes handles away, and calls `done` when every poll core has passed the change. All
  /// of them or none.
  void revoke(std::vector<RightRecord> rights, OnRevoked done);

  /// Tells the data plane what a process holds. Called whenever the process was sent to be loaded: a process
  /// that is loaded anew holds nothing.
  void hand_over(std::uint32_t holder);

  /// Writes what the store says about this slot into the table. Nothing while the data plane is away.
  void publish(std::uint32_t slot);
  /// Compares every slot of the table with the store and repairs it, odd sequences of a crash included. Gives
  /// how many were repaired. REQUIRES: the data plane is attached.
  std::uint32_t reconcile();

 private:
  [[nodiscard]] abi::RightFields fields_of(std::uint32_t slot) const;
  void say_handle(const RightRecord& right, bool is_held);

  Store& store_;
  DataplaneLink& link_;
  TurnBarrier barrier_;
  std::uint32_t slots_;
  // Taken away while the data plane was away, which may still know them: by holder and handle.
  std::map<std::pair<std::uint32_t, std::uint32_t>, abi::SetHandle> taken_;
};

/// Whether the right is past its time. It keeps its slot until it is revoked.
[[nodiscard]] bool is_expired(const RightRecord& right);

}  // namespace pgrid::control
