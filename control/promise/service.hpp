// Control's side of promise-1 (abi/wire/promise-1.md): what functions ask through handle 2, and what control
// tells them.
//
// Who asks is what the ring record says, which the poll core wrote; a body says nothing about it. What a
// request is about is carried by it. Everything that waits is bounded for each process.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "control/capability/instances.hpp"
#include "control/capability/watches.hpp"
#include "control/dataplane_link/rings.hpp"
#include "control/promise/answers.hpp"
#include "control/promise/outbox.hpp"
#include "control/promise/request.hpp"
#include "control/promise/token_service.hpp"

namespace pgrid::control {

inline constexpr std::size_t kMadeMax = 1'024;        // rights that a process has had made
inline constexpr std::size_t kTimersMax = 64;         // of one process
inline constexpr std::uint32_t kAskedMax = 256;       // requests of one process that control works on
inline constexpr std::uint32_t kMalformedLogged = 4;  // malformed requests a second that the log hears of

/// What other parts of control know; each may be left out.
struct PromiseKnowledge {
  using OnEvents = std::function<void(std::expected<std::vector<EventView>, Refusal>)>;

  TokenService* tokens = nullptr;
  std::function<std::string(const ProcessRecord&)> did_of;               // empty: it has none
  std::function<const ProcessRecord*(std::string_view)> process_of_did;  // null: none of this node
  std::function<std::string(const ProcessRecord&)> verdict_of;           // in a few words
  /// Events about a process after number `since`, oldest first, one more than `count` if there are.
  std::function<void(const ProcessRecord&, std::uint64_t since, std::uint64_t count, OnEvents)> events_of;
};

struct PromiseCounts {
  std::uint64_t requests = 0;
  std::uint64_t done = 0;
  std::uint64_t refused = 0;  // malformed ones among them
  std::uint64_t malformed = 0;
  std::uint64_t strangers = 0;    // of a process that is not there, or lives elsewhere: not answered
  std::uint64_t undelivered = 0;  // answers whose rights were taken back
  std::uint64_t unsaid = 0;       // answers and notices for which there was no room
  std::uint64_t notices = 0;
};

/// Owned by control's one thread.
class PromiseService {
 public:
  PromiseService(EventLoop& loop, Store& store, Rights& rights, ControlRings& rings, Instances& instances);
  PromiseService(const PromiseService&) = delete;
  PromiseService& operator=(const PromiseService&) = delete;

  void know(PromiseKnowledge knowledge) { knowledge_ = std::move(knowledge); }

  void on_request(const RingEvent& event);
  /// Rights that an asker never got are nobody's.
  void on_undelivered(const RingEvent& event);
  void on_dead(const RightRecord& right, Why why);
  void on_gave_up(const ProcessRecord& process) { watches_.on_gave_up(process); }
  /// Instances of a process are gone: what they waited for is, too.
  void on_ended(std::uint32_t process, const Maker& but);
  void on_attached();
  void on_lost();

  [[nodiscard]] const PromiseCounts& counts() const { return counts_; }

 private:
  /// Who asks, and where the answer goes.
  struct Asker {
    Maker who;
    std::uint32_t reply_slot = 0;
    std::uint32_t reply_generation = 0;
    std::array<std::uint8_t, 8> id{};
  };
  struct Timer {
    Maker who;
    Pending pending;
  };
  struct Parts {
    Maker who;
    std::vector<std::uint8_t> bytes;
    Pending forget;
  };
  using Carried = std::span<const abi::RightRef>;

  void serve(const Asker& asker, const PromiseRequest& request, Carried carried);
  // right_requests.cpp
  void mint(const Asker& asker, const PromiseRequest& request);
  void derive(const Asker& asker, const PromiseRequest& request, const abi::RightRef& right);
  void grant(const Asker& asker, const PromiseRequest& request, const abi::RightRef& right);
  void attenuate(const Asker& asker, const PromiseRequest& request, const abi::RightRef& right);
  void revoke(const Asker& asker, const abi::RightRef& right);
  void notify(const Asker& asker, const PromiseRequest& request, const abi::RightRef& right);
  /// The right if it lives and is allowed to be derived from (and `also`); else null, and the asker was told.
  const RightRecord* to_derive_from(const Asker& asker, const PromiseRequest& request,
                                    const abi::RightRef& right, std::uint8_t also = 0);
  const RightRecord* to_change(const Asker& asker, const abi::RightRef& right);
  [[nodiscard]] bool may_have_more(const Asker& asker);
  void answer_made(const Asker& asker, const Result<RightRecord>& right);
  void answer_changed(const Asker& asker, const Result<Passed>& passed);
  // function_requests.cpp
  void advertise(const Asker& asker, const PromiseRequest& request);
  void put_advert(const Asker& asker, AdvertRecord advert);
  void discover(const Asker& asker, const PromiseRequest& request);
  void want(const Asker& asker, const PromiseRequest& request);
  [[nodiscard]] FunctionView view_of(const ProcessRecord& process, const AdvertRecord& advert) const;
  // other_requests.cpp
  void timer(const Asker& asker, const PromiseRequest& request);
  void random(const Asker& asker, const PromiseRequest& request);
  void issue_token(const Asker& asker, const PromiseRequest& request, const abi::RightRef& right);
  void redeem_token(const Asker& asker, const PromiseRequest& request);
  void revoke_token(const Asker& asker, const PromiseRequest& request);
  void history(const Asker& asker, const PromiseRequest& request);

  [[nodiscard]] const ProcessRecord* process_of(const Maker& who) const;
  /// The fields 1 to 8 of a request.
  [[nodiscard]] static RightSpec spec_of(const PromiseRequest& request);
  void answer(const Asker& asker, Body body, std::vector<abi::RightRef> rights = {});
  void refuse(const Asker& asker, abi::Reason reason, std::string_view text);
  void refuse(const Asker& asker, const Error& error);
  void say(const Asker& asker, GuestAnswer answer);
  void take_back(std::span<const abi::RightRef> rights);
  void on_malformed(const Asker& asker, const std::string& text);
  [[nodiscard]] bool tell(const WatchRecord& watch, Why why);

  EventLoop& loop_;
  Store& store_;
  Rights& rights_;
  Instances& instances_;
  Outbox outbox_;
  Watches watches_;
  PromiseKnowledge knowledge_;
  PromiseCounts counts_;
  std::map<std::uint32_t, std::uint32_t> asked_;  // by process: requests that wait for their answer
  std::map<std::uint32_t, std::map<std::uint64_t, Timer>> timers_;  // by process
  std::map<std::uint32_t, Parts> parts_;                            // by process: of tokens
  std::uint64_t next_timer_ = 0;
  std::int64_t logged_second_ = 0;
  std::uint32_t logged_ = 0;  // within that second
};

}  // namespace pgrid::control
