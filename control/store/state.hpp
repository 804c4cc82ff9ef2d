// What control must not forget, as values in memory. Pure: no file, no clock. The journal holds the changes
// that made it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "abi/shared/geometry.hpp"
#include "abi/shared/handover.hpp"
#include "abi/shared/right_table.hpp"

namespace pgrid::control {

using Key = std::array<std::uint8_t, 16>;

inline constexpr std::uint32_t kRestartsDefault =
    100;  // a guest that traps at every message still serves others
inline constexpr std::uint32_t kRestartPeriodDefaultMs = 1'000;
inline constexpr std::uint32_t kBackOffMinDefaultMs = 10;  // a thousand times what a rebuild takes
inline constexpr std::uint32_t kBackOffMaxDefaultMs =
    1'000;  // one that mends itself (its peer came back) is soon seen again
inline constexpr std::uint32_t kGiveUpAfterDefault =
    8;  // pauses: with those two 10 + 20 + ... + 640 + 1000 ms, 2.3 s

/// A process: one function, deployed under a name.
struct ProcessRecord {
  std::uint32_t index = 0;       // on this node
  std::uint32_t generation = 0;  // rises whenever the index is used again
  std::string name;
  std::string cid;  // of the module, base32
  std::uint64_t module_bytes = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t time_limit_us = 0;
  std::uint32_t rate = 0;  // messages per second; 0: no limit
  std::uint32_t worker = 0;
  std::int64_t deployed_unix = 0;
  std::uint32_t restarts_max = kRestartsDefault;  // instances rebuilt within a period; 0: no bound
  std::uint32_t restart_period_ms = kRestartPeriodDefaultMs;
  abi::RestartStrategy strategy = abi::RestartStrategy::always;
  std::uint32_t backoff_min_ms = kBackOffMinDefaultMs;
  std::uint32_t backoff_max_ms = kBackOffMaxDefaultMs;
  std::uint32_t give_up_after = kGiveUpAfterDefault;
  std::string group;          // of supervision: empty, or processes that are restarted together
  bool rest_for_one = false;  // a restart takes those of the group with it that were deployed later
  std::string gave_up;        // why it is not served any more, a sentence; empty: it is
  std::string
      verdict;  // what was found out about its code before it ran: JSON (control/code); empty: nothing
  bool operator==(const ProcessRecord&) const = default;
};

/// Which process holds a right, so that its function can send through it.
struct Holding {
  std::uint32_t process = 0;     // index of the holder
  std::uint32_t generation = 0;  // of the holder
  std::uint32_t handle = 0;      // abi::kFirstGrant and up
  std::string name;              // what people call it; unique within the holder
  bool operator==(const Holding&) const = default;
};

/// The function that had a right made at run time, through handle 2. Such a right lasts as long as that
/// instance, whose memory alone knows what its label means.
struct Maker {
  std::uint32_t process = 0;
  std::uint32_t generation = 0;
  std::uint32_t instance = 0;
  std::uint64_t life = 0;  // of its worker: another start of it or of the data plane has another number
  bool operator==(const Maker&) const = default;
};

/// A send right: one slot of the right table.
struct RightRecord {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  Key key{};
  std::uint64_t label = 0;
  std::uint64_t expires_unix_ns = 0;  // 0: never
  std::uint32_t process = 0;
  std::uint32_t deadline_max_us = 0;
  std::uint16_t in_flight_max = 0;
  std::uint16_t body_max = 0;
  std::uint32_t rate = 0;
  std::uint32_t burst = 0;
  std::int64_t created_unix = 0;
  bool internal = false;  // the one that `pgrid invoke NAME` uses; lives as long as its process
  std::uint8_t permissions = abi::kPermissionsAll;
  std::optional<abi::RightRef> parent;  // derived from that one, and revoked with it
  std::optional<Maker> maker;           // a function; its handles are the data plane's affair
  std::string token;                    // CID of the token it was redeemed from; empty: none
  std::string name;                     // by which people call it; unique; empty: none
  std::optional<Holding>
      holding;  // else people hold it, by its key, or functions under handles of the moment
  bool operator==(const RightRecord&) const = default;
};

struct DropProcess {
  std::uint32_t index = 0;
};
struct DropRight {
  std::uint32_t slot = 0;
};
/// What a function says of itself, so that others find it. It lasts as long as that instance; one for each
/// process.
struct AdvertRecord {
  Maker who;
  std::string text;
  std::vector<std::string> tags;
  std::optional<abi::RightRef> open;  // from which anybody may have a right derived
  std::uint8_t can = 0;               // what those may do; 0: what that one may
  bool operator==(const AdvertRecord&) const = default;
};
struct DropAdvert {
  std::uint32_t process = 0;
};
/// An instance that wants to be told when a right dies. One for each right and process.
struct WatchRecord {
  abi::RightRef right{};
  Maker who;
  std::uint64_t number = 0;  // the asker's own
  bool operator==(const WatchRecord&) const = default;
};
struct DropWatch {
  abi::RightRef right{};
  std::uint32_t process = 0;
};
/// A slot or index that is free now but was used before: the generation that its next use gets. The last key
/// stays, so that poll cores can tell a revoked right from a guess.
struct FreeSlot {
  std::uint32_t slot = 0;
  std::uint32_t next_generation = 0;
  Key last_key{};
  bool operator==(const FreeSlot&) const = default;
};
struct FreeIndex {
  std::uint32_t index = 0;
  std::uint32_t next_generation = 0;
};
/// Something that happened and changes nothing here: a violation, a restart, a notice. For the log and who
/// asks it.
struct Happened {
  std::string what;  // one word: violation, restart, gave_up, ...
  std::uint32_t process = 0;
  std::uint32_t generation = 0;  // of the process; 0: no process
  std::string text;              // evidence, in words
  bool operator==(const Happened&) const = default;
};
/// A delegation that this node signed for a right of its own: what an invocation of it becomes a child of.
/// Digests are SHA-256, 32 bytes.
struct IssuedToken {
  std::string cid;      // digest of the token: what its CID holds
  std::string payload;  // digest of what was signed
  std::uint64_t expires_unix = 0;
  abi::RightRef right{};
  std::uint32_t process = 0;     // whose key signed it: it is issuer and subject
  std::uint32_t generation = 0;  // of that process
  std::string audience;          // DID
  bool has_label = false;        // else the right's own
  std::uint64_t label = 0;
  bool operator==(const IssuedToken&) const = default;
};
/// No token with this digest, of itself or of what was signed, is accepted any more.
struct RevokedToken {
  std::string digest;
  std::uint64_t until_unix = 0;  // when it has expired anyway; 0: nobody knows, so for ever
  bool operator==(const RevokedToken&) const = default;
};
/// An invocation that became a right, whose `token` is its CID: it is not taken again, and when one of its
/// chain is revoked the right goes too.
struct SpentInvocation {
  std::string cid;               // digest
  std::uint64_t until_unix = 0;  // when both it and the right have expired
  std::vector<std::string>
      links;  // digests of the delegations that led to it, root first, each with its payload's behind it
  bool operator==(const SpentInvocation&) const = default;
};
/// Of the kind that `kind` says, 0 issued, 1 revoked, 2 spent: it has expired and need not be known any more.
struct DropToken {
  std::uint32_t kind = 0;
  std::string digest;
  bool operator==(const DropToken&) const = default;
};
/// ProcessRecord and RightRecord put: they replace what stood under the same index or slot.
using Change = std::variant<ProcessRecord, RightRecord, DropProcess, DropRight, FreeSlot, FreeIndex, Happened,
                            AdvertRecord, DropAdvert, WatchRecord, DropWatch, IssuedToken, RevokedToken,
                            SpentInvocation, DropToken>;

/// What stood under a slot or an index, or nothing: what puts it there again takes a change back.
struct SlotBefore {
  std::uint32_t slot = 0;
  std::optional<RightRecord> right;
  std::optional<FreeSlot> free;
};
struct IndexBefore {
  std::uint32_t index = 0;
  std::optional<ProcessRecord> process;
  std::optional<std::uint32_t> next_generation;
};
struct AdvertBefore {
  std::uint32_t process = 0;
  std::optional<AdvertRecord> advert;
};
struct WatchBefore {
  DropWatch key;
  std::optional<WatchRecord> watch;
};
struct TokenBefore {
  DropToken key;
  std::variant<std::monostate, IssuedToken, RevokedToken, SpentInvocation> token;
};
using Before = std::variant<std::monostate, SlotBefore, IndexBefore, AdvertBefore, WatchBefore, TokenBefore>;

/// Where something new goes.
struct Place {
  std::uint32_t number = 0;  // slot or index
  std::uint32_t generation = 0;
};

/// The whole state. Every change goes through `apply`, at run time and at recovery alike.
class State {
 public:
  void apply(const Change& change);

  /// What is there before `change` is applied. `take_back`, the last one first, makes the state what it was.
  [[nodiscard]] Before before(const Change& change) const;
  void take_back(const Before& before);

  [[nodiscard]] const std::map<std::uint32_t, ProcessRecord>& processes() const { return processes_; }
  [[nodiscard]] const std::map<std::uint32_t, RightRecord>& rights() const { return rights_; }
  [[nodiscard]] const ProcessRecord* process(std::uint32_t index) const;
  [[nodiscard]] const ProcessRecord* process(std::string_view name) const;
  [[nodiscard]] const RightRecord* right(std::uint32_t slot) const;
  [[nodiscard]] std::vector<RightRecord> rights_of(std::uint32_t process) const;
  [[nodiscard]] const RightRecord* internal_right_of(std::uint32_t process) const;
  /// The rights that a process holds, by handle.
  [[nodiscard]] std::vector<RightRecord> held_by(std::uint32_t process) const;

  /// The right and everything derived from it, whoever derived it; parents come before children. Empty: no
  /// such right.
  [[nodiscard]] std::vector<RightRecord> tree_of(std::uint32_t slot) const;
  /// What a function had made for it, by any of its instances.
  [[nodiscard]] std::vector<RightRecord> made_by(std::uint32_t process) const;

  /// The one that people call so; null: none.
  [[nodiscard]] const RightRecord* right_named(std::string_view name) const;

  /// By process.
  [[nodiscard]] const std::map<std::uint32_t, AdvertRecord>& adverts() const { return adverts_; }
  [[nodiscard]] const AdvertRecord* advert(std::uint32_t process) const;
  /// Who wants to be told of this right, and of what a process wants to be told.
  [[nodiscard]] std::vector<WatchRecord> watches_on(const abi::RightRef& right) const;
  [[nodiscard]] std::vector<WatchRecord> watches_of(std::uint32_t process) const;
  [[nodiscard]] const WatchRecord* watch(const abi::RightRef& right, std::uint32_t process) const;
  [[nodiscard]] std::size_t nb_watches_of(std::uint32_t process) const;
  [[nodiscard]] std::size_t nb_made_by(std::uint32_t process) const;
  /// Processes that have any.
  [[nodiscard]] std::vector<std::uint32_t> watchers() const;
  [[nodiscard]] std::vector<std::uint32_t> makers() const;

  /// Tokens by digest.
  [[nodiscard]] const std::map<std::string, IssuedToken>& issued_tokens() const { return issued_; }
  [[nodiscard]] const std::map<std::string, RevokedToken>& revoked_tokens() const { return revoked_; }
  [[nodiscard]] const std::map<std::string, SpentInvocation>& spent_invocations() const { return spent_; }

  /// Null: the slot is in use, or was never used.
  [[nodiscard]] const FreeSlot* freed(std::uint32_t slot) const;

  /// A free slot among `slots`; with `skip`, the one that comes after so many others. Slot 0 is never given
  /// out: zero means "none" in records. A slot whose generations are used up (2^32 - 1) is never used again.
  [[nodiscard]] std::optional<Place> free_slot(std::uint32_t slots, std::uint32_t skip = 0) const;
  /// The first `count` of them, fewer when there are not as many.
  [[nodiscard]] std::vector<Place> free_slots(std::uint32_t slots, std::uint32_t count) const;
  [[nodiscard]] std::optional<Place> free_index(std::uint32_t indices) const;

  /// Changes that make this state out of an empty one: what compaction writes.
  [[nodiscard]] std::vector<Change> as_changes() const;
  bool operator==(const State&) const = default;

 private:
  void put_right(const RightRecord& right);
  void drop_right(std::uint32_t slot);
  void put_watch(const WatchRecord& watch);
  void drop_watch(const DropWatch& key);
  void drop_token(const DropToken& key);

  using RightKey = std::pair<std::uint32_t, std::uint32_t>;  // slot and generation
  std::map<std::uint32_t, ProcessRecord> processes_;
  std::map<std::uint32_t, RightRecord> rights_;
  std::map<std::uint32_t, std::map<std::uint32_t, std::uint32_t>>
      held_;                                                     // holder -> handle -> slot, of rights_
  std::map<std::uint32_t, std::set<std::uint32_t>> leading_to_;  // process -> slots of its rights
  std::map<std::uint32_t, std::uint32_t> internal_;              // process -> slot of its own right
  std::map<std::uint32_t, std::set<std::uint32_t>> children_;    // slot -> slots derived from it
  std::map<std::uint32_t, std::set<std::uint32_t>> made_;    // process -> slots that its function had made
  std::map<std::string, std::uint32_t, std::less<>> named_;  // name -> slot
  std::map<std::uint32_t, AdvertRecord> adverts_;
  std::map<RightKey, std::map<std::uint32_t, WatchRecord>> watches_;  // by right, then by process
  std::map<std::uint32_t, std::set<RightKey>> watching_;              // process -> rights, of watches_
  std::map<std::string, IssuedToken> issued_;
  std::map<std::string, RevokedToken> revoked_;
  std::map<std::string, SpentInvocation> spent_;
  std::map<std::uint32_t, FreeSlot> free_slots_;
  std::map<std::uint32_t, std::uint32_t> free_indices_;  // index -> next generation
};

}  // namespace pgrid::control
