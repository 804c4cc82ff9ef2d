// Rights: made, derived, narrowed, revoked, and kept equal between the store and the data plane's right
// table.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "abi/shared/right_table.hpp"
#include "control/capability/right_spec.hpp"
#include "control/capability/turn_barrier.hpp"
#include "control/capability/why.hpp"
#include "control/dataplane_link/link.hpp"
#include "control/store/store.hpp"

namespace pgrid::control {

/// For whom a right is made. At most one of them holds it.
struct RightOwner {
  std::optional<Holding> holding;  // a process, as long as it lives
  std::optional<Maker> maker;      // a function, under handles of the moment
  std::string name;                // of a right that people hold, by which they call it; empty: none
  std::string token;               // CID of the token it was redeemed from; empty: none
  std::vector<Change> also;        // committed with the right: all of it or none
};

/// Owned by control's one thread. Every callback is called once, from the loop; at once when nothing was
/// done.
class Rights {
 public:
  using OnCreated = std::function<void(Result<RightRecord>)>;
  using OnManyCreated = std::function<void(Result<std::vector<RightRecord>>)>;
  using OnRevoked = std::function<void(Result<Passed>)>;
  /// Of rights that are dead, on disk and in the table.
  using OnDead = std::function<void(const RightRecord&, Why)>;
  /// Of rights that are made or narrowed, on disk and in the table.
  using OnChanged = std::function<void(const RightRecord&)>;

  /// `slots` is the size of the right table as configured.
  Rights(EventLoop& loop, Store& store, DataplaneLink& link, std::uint32_t slots)
      : store_(store), link_(link), barrier_(loop, link), slots_(slots) {}

  /// Who else hears of them: one of each, for as long as this lives.
  void listen(OnDead on_dead, OnChanged on_changed) {
    on_dead_ = std::move(on_dead);
    on_changed_ = std::move(on_changed);
  }

  /// A new right, with slot, generation and key, committed nowhere yet. `skip`: how many made before it are
  /// not committed either.
  [[nodiscard]] Result<RightRecord> make(const RightSpec& spec, const ProcessRecord& process,
                                         std::uint32_t skip = 0) const;
  /// Makes, commits, publishes, hands it to its holder, if a process is to hold it.
  void create(const RightSpec& spec, const ProcessRecord& process, RightOwner owner, OnCreated done);
  /// So many alike, all or none, for people.
  void create_many(const RightSpec& spec, const ProcessRecord& process, std::uint32_t count,
                   OnManyCreated done);

  /// A narrower one. REQUIRES: whoever asks may derive from `parent`.
  void derive(const abi::RightRef& parent, const RightSpec& spec, RightOwner owner, OnCreated done);

  void derive_many(const abi::RightRef& parent, const RightSpec& spec, std::uint32_t count,
                   OnManyCreated done);

  /// Narrows the right itself and all that was derived from it; done when every poll core has passed the
  /// change. REQUIRES: whoever asks may change it.
  void attenuate(const abi::RightRef& right, const RightSpec& spec, OnRevoked done);

  /// Ends these and all that was derived from them, all or none: commits, publishes, takes handles away, and
  /// calls `done` when every poll core has passed the change. Gives how many there are.
  /// `also`: changes that are committed with it, all or none.
  std::size_t revoke(const std::vector<RightRecord>& roots, OnRevoked done, Why why = Why::revoked,
                     std::vector<Change> also = {});

  /// Null: it is dead.
  [[nodiscard]] const RightRecord* find(const abi::RightRef& right) const;

  /// Tells the data plane what a process holds. Called whenever the process was sent to be loaded: a process
  /// that is loaded anew holds nothing.
  void hand_over(std::uint32_t holder);

  /// Writes what the store says about this slot into the table. Nothing while the data plane is away.
  void publish(std::uint32_t slot);
  /// Compares every slot of the table with the store and repairs it, odd sequences of a crash included. Gives
  /// how many were repaired. REQUIRES: the data plane is attached.
  std::uint32_t reconcile();

 private:
  [[nodiscard]] Result<RightRecord> shape(const RightSpec& spec, const ProcessRecord& process) const;
  [[nodiscard]] Result<std::vector<Place>> places(std::uint32_t count) const;
  void commit_new(RightRecord right, std::vector<Change> also, OnCreated done);
  void commit_many(const RightRecord& like, std::uint32_t count, OnManyCreated done);
  [[nodiscard]] abi::RightFields fields_of(std::uint32_t slot) const;
  void say_handle(const RightRecord& right, bool is_held);

  Store& store_;
  DataplaneLink& link_;
  TurnBarrier barrier_;
  std::uint32_t slots_;
  OnDead on_dead_;
  OnChanged on_changed_;
  // Taken away while the data plane was away, which may still know them: by holder and handle.
  std::map<std::pair<std::uint32_t, std::uint32_t>, abi::SetHandle> taken_;
};

/// Whether the right is past its time.
[[nodiscard]] bool is_expired(const RightRecord& right);

}  // namespace pgrid::control
