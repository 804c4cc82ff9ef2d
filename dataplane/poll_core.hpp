// One turn of a poll core, NIC to function and back. `turn` is the whole data plane in
// order; every step is a file.
//
//   rx -> parse -> authorize -> dispatch -> (worker) -> collect -> tx
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "abi/shared/counters.hpp"
#include "abi/shared/stats.hpp"
#include "dataplane/authorize.hpp"
#include "dataplane/collect.hpp"
#include "dataplane/control_link.hpp"
#include "dataplane/handle_table.hpp"
#include "dataplane/idle.hpp"
#include "dataplane/in_flight_table.hpp"
#include "dataplane/link_cells.hpp"
#include "dataplane/node_signals.hpp"
#include "dataplane/packet_io.hpp"
#include "dataplane/parse.hpp"
#include "dataplane/refuse.hpp"
#include "dataplane/relay.hpp"
#include "dataplane/stage_clock.hpp"
#include "dataplane/stats_segment.hpp"
#include "dataplane/ticks.hpp"
#include "dataplane/tx_backlog.hpp"
#include "dataplane/worker_link.hpp"

namespace pgrid::dataplane {

/// What a poll core is wired to. All of it outlives the poll core.
struct PollCoreWiring {
  std::uint32_t index;
  abi::Geometry geometry;
  TickRate rate;
  std::span<const abi::RightSlot> rights;
  const StatsSegment& stats;
  const LinkCells& cells;
  const NodeSignals& signals;
  const HandleTable& handles;
  IdlePolicy idle = IdlePolicy::sleep;
  std::uint64_t random_seed = 1;  // of generations and of the refusal limiter
};

/// Owned by one lcore; never waits, allocates or locks after construction. Packets not handed on are freed
/// when their burst leaves scope.
template <PacketIo Io>
class PollCore {
 public:
  PollCore(const PollCoreWiring& wiring, Io io);

  /// Turns until the signals say stop, then answers what is left.
  void run() noexcept;
  /// One turn. False: there was nothing to do.
  bool turn() noexcept;
  /// Answers everything in flight with process_failed and sends what waits.
  void finish() noexcept;

  [[nodiscard]] Io& io() noexcept { return io_; }
  [[nodiscard]] const InFlightTable& in_flight() const noexcept { return in_flight_; }

 private:
  using Packet = typename Io::Packet;

  /// A request on its way from parse to dispatch; borrows the packet's bytes. Both parts are made where they stay: a
  /// copy would wait for the narrow stores that made them.
  struct Arrival {
    ParsedFrame frame;
    ParsedMessage message;
  };

  void start_turn() noexcept;
  std::uint32_t receive_all() noexcept;
  std::uint32_t receive(std::uint16_t port) noexcept;
  std::uint32_t serve_control() noexcept;
  std::uint32_t collect_replies(WorkerLink& link) noexcept;
  std::uint32_t settle_closing(WorkerLink& link) noexcept;
  std::uint32_t sweep(std::uint32_t budget) noexcept;
  std::uint32_t transmit() noexcept;

  [[nodiscard]] bool parse(Packet& packet, std::uint16_t port, PayloadScratch& scratch,
                           Arrival& arrival) noexcept;
  void answer_locally(Packet& packet, const ParsedFrame& parsed, std::uint16_t port) noexcept;
  [[nodiscard]] std::optional<Refusal> admit(const MessageView& message, const Sender& sender) noexcept;
  [[nodiscard]] std::optional<Refusal> admit_guest(const GuestRequest& request) noexcept;
  [[nodiscard]] std::optional<Refusal> let_in(const AuthorizedMessage& request, const Sender& sender) noexcept;
  void refuse_wire(const Arrival& arrival, std::uint16_t port, const Refusal& refusal) noexcept;
  void refuse_protocol(const Frame& frame, std::uint16_t port) noexcept;
  void refuse_control(const abi::ControlRequest& request, const Refusal& refusal) noexcept;

  void settle_here(InFlight& entry, abi::Counter outcome, const Answer& answer) noexcept;
  void settle(InFlight& entry, abi::Counter outcome, const Answer& answer) noexcept;
  void account_for(const InFlight& entry, abi::Counter outcome) noexcept;
  [[nodiscard]] std::uint32_t latency_bucket(std::uint64_t ticks) noexcept;
  void answer_control(const InFlight& entry, const Answer& answer, std::uint64_t elapsed_ns) noexcept;
  bool relay(WorkerLink& link, const abi::WorkerReply& reply, std::span<const std::byte> body) noexcept;
  // poll_core_carry.hpp: rights in messages, and control as one whom functions ask
  [[nodiscard]] std::optional<Refusal> check_carried(const Carried& carried) noexcept;
  [[nodiscard]] std::optional<Refusal> let_in_carrying(std::span<const abi::RightRef> rights,
                                                       const AuthorizedMessage& request, const Sender& sender) noexcept;
  [[nodiscard]] std::optional<Refusal> ask_control(const GuestRequest& request) noexcept;
  bool settle_carrying(WorkerLink& link, const abi::WorkerReply& reply, const Collected& collected) noexcept;
  void settle_any(InFlight& entry, abi::Counter outcome, const Answer& answer) noexcept;
  bool settle_asked_control(InFlight& entry, abi::Counter outcome, const Answer& answer) noexcept;
  void take_message(const ControlLink::Request& request) noexcept;
  void take_answer(const ControlLink::Request& request) noexcept;
  void take_notice(const ControlLink::Request& request) noexcept;
  void tell_undelivered(const ControlLink::Request& request) noexcept;
  bool answer_guest(const GuestAsker& asker, const GuestAnswer& answer) noexcept;
  [[nodiscard]] std::uint32_t left_us(std::uint64_t deadline_tsc) const noexcept;
  bool lies(WorkerLink& link, abi::Counter counter) noexcept;
  void send_answer(const ReturnPath& path, const AnswerFields& fields,
                   std::span<const std::byte> body) noexcept;
  void post_event(const WorkerLink& link, const abi::WorkerReply& reply, const Collected& collected) noexcept;
  /// `write(out, offload) -> length` fills a fresh packet, which is sent unless the length is 0.
  template <typename Write>
  std::size_t send_fresh(const ReturnPath& path, Write write) noexcept;
  void send(Packet&& packet, std::uint16_t port) noexcept;
  [[nodiscard]] bool make_room(std::uint16_t port) noexcept;

  void count(abi::Counter counter, std::uint64_t n = 1) noexcept { dataplane::count(stats_, counter, n); }

  // Constant after construction.
  std::uint32_t index_;
  TickRate rate_;
  abi::PollCoreStats& stats_;
  const NodeSignals& signals_;
  const HandleTable& handles_;

  // State of this lcore.
  Io io_;
  Authorizer authorizer_;
  InFlightTable in_flight_;
  std::vector<WorkerLink> workers_;
  ControlLink control_;
  RefusalLimiter limiter_;
  std::vector<TxBacklog<Packet>> tx_;
  std::vector<PayloadScratch>
      scratch_;  // for the rare datagram that lies misaligned, one per packet of a burst
  Arrival arrivals_[abi::kBurst];  // of the burst in hand
  Idle idle_;
  std::uint64_t now_tsc_ = 0;  // read once per turn: stale by less than a turn
  std::uint64_t now_unix_ns_ = 0;
  std::uint64_t latency_ticks_ = 0;  // the last one asked for,
  std::uint32_t latency_bucket_ = 0;  // and its bucket
  [[no_unique_address]] StageClock<abi::PollStage> stages_;
  bool draining_ = false;
  bool functions_first_ = false;  // at the next turn: functions asked in this one, behind the ports
};

}  // namespace pgrid::dataplane

#include "dataplane/poll_core_carry.hpp"    // IWYU pragma: export
#include "dataplane/poll_core_collect.hpp"  // IWYU pragma: export
#include "dataplane/poll_core_send.hpp"     // IWYU pragma: export
#include "dataplane/poll_core_turn.hpp"     // IWYU pragma: export
