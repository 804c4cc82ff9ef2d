// The helper thread's dealings with workers: how one comes, loads, serves, dies and leaves.
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "dataplane/handover.hpp"
#include "dataplane/welcome.hpp"

namespace pgrid::dataplane {
namespace {

constexpr int kStatesPerStep = 64;  // of one worker, before the others and the clock have their turn: it may never stop

/// What a worker measured of itself, if it was built to. Numbers only: nothing here depends on them.
void copy_stages(const abi::StageFigures& from, abi::StageFigures& to) {
  constexpr auto relaxed = std::memory_order_relaxed;
  if (from.built.load(relaxed) == 0) return;
  to.turns.store(from.turns.load(relaxed), relaxed);
  to.empty_turns.store(from.empty_turns.load(relaxed), relaxed);
  to.empty_ticks.store(from.empty_ticks.load(relaxed), relaxed);
  to.stamp_ticks.store(from.stamp_ticks.load(relaxed), relaxed);
  for (std::uint32_t i = 0; i < abi::kWorkerStages; ++i) {
    to.stages[i].ticks.store(from.stages[i].ticks.load(relaxed), relaxed);
    to.stages[i].messages.store(from.stages[i].messages.load(relaxed), relaxed);
    to.stages[i].bursts.store(from.stages[i].bursts.load(relaxed), relaxed);
  }
  to.built.store(1, relaxed);
}

}  // namespace

Result<void> Handover::seat_worker(HandoverSocket& guest, std::uint32_t worker, pid_t pid) {
  WorkerSeat& seat = workers_[worker];
  auto pidfd = open_pidfd(pid);
  if (!pidfd) return std::unexpected(pidfd.error());
  auto segment = create_segment(wiring_.plan, abi::SegmentKind::worker_rings,
                                "pgrid-worker-" + std::to_string(worker), abi::worker_rings_size(geometry_));
  if (!segment) return std::unexpected(segment.error());

  abi::Welcome welcome = make_welcome(wiring_.plan);
  welcome.worker = worker;
  welcome.segments = 1;
  welcome.sizes[0] = segment->size();
  const int fds[] = {segment->fd()};
  if (!guest.send(welcome, fds))
    return fail(Errc::unavailable, "welcome worker " + std::to_string(worker), "it is gone");

  seat.segment = std::move(*segment);
  seat.socket = std::move(guest);
  guest = HandoverSocket();
  seat.pidfd = std::move(*pidfd);
  seat.pid = pid;
  ++seat.incarnation;
  seat.serving = false;
  seat.heartbeat_seen = 0;
  seat.cpu_ns_at_heartbeat = cpu_time_ns(pid);
  watch(seat.socket.fd());
  watch(seat.pidfd.get());
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    wiring_.cells.worker(core, worker).offer(worker_rings(seat.segment, geometry_, core, seat.incarnation));
  set_worker_state(worker, abi::WorkerState::starting);
  book_.for_each(worker, [&](KeptProcess& kept) { start_loading(kept); });
  serve_if_ready(worker);
  return {};
}

void Handover::read_worker(std::uint32_t worker) {
  WorkerSeat& seat = workers_[worker];
  for (int nb = 0; nb < kStatesPerStep; ++nb) {
    Datagram datagram;
    switch (seat.socket.receive(datagram)) {
      case HandoverSocket::Received::closed:
        return lose_worker(worker, abi::WorkerLoss::ended);
      case HandoverSocket::Received::nothing:
        if (!seat.socket.flush()) return lose_worker(worker, abi::WorkerLoss::ended);
        return update_interest(seat.socket);
      case HandoverSocket::Received::datagram:
        break;
    }
    const auto state = datagram.as<abi::ProcessState>(abi::HandoverType::process_state);
    if (!state) return lose_worker(worker, abi::WorkerLoss::nonsense);
    KeptProcess* kept = book_.find(state->process);
    if (kept == nullptr || kept->load.worker != worker || kept->load.generation != state->generation) {
      continue;  // of a generation that was replaced, or one that went to another worker
    }
    if (!take_state(*kept, *state)) return lose_worker(worker, abi::WorkerLoss::nonsense);
    serve_if_ready(worker);
  }
}

/// A worker is believed where it was asked, and asked once. What crossed the opposite wish says nothing any more. That a process
/// gave up it says by itself, once until control has it restarted. False: nonsense.
bool Handover::take_state(KeptProcess& kept, const abi::ProcessState& state) {
  const bool unloads = state.status == abi::ProcessStatus::unloaded;
  if (kept.status == (unloads ? LoadStatus::loading : LoadStatus::unloading)) return true;
  const bool answers_restart = kept.status != LoadStatus::loading && kept.restarts_asked != 0 &&
                               (state.status == abi::ProcessStatus::loaded || state.status == abi::ProcessStatus::failed);
  abi::ProcessState told = state;
  switch (state.status) {
    case abi::ProcessStatus::loaded:
      if (answers_restart)
        --kept.restarts_asked;
      else if (kept.status != LoadStatus::loading)
        return false;
      kept.status = LoadStatus::loaded;
      if (kept.load.gave_up == 0) {
        kept.text.clear();
        break;
      }
      kept.status = LoadStatus::gave_up;  // as it was when it was loaded
      told.status = abi::ProcessStatus::gave_up;
      std::memset(told.text, 0, sizeof told.text);
      kept.text.copy(told.text, sizeof told.text - 1);
      break;
    case abi::ProcessStatus::failed:
      if (answers_restart) {  // it was not there any more: what became of it was told
        --kept.restarts_asked;
        return true;
      }
      if (kept.status != LoadStatus::loading) return false;
      kept.status = LoadStatus::failed;
      kept.text.assign(state.text, strnlen(state.text, sizeof state.text));
      break;
    case abi::ProcessStatus::unloaded:
      if (kept.status != LoadStatus::unloading) return false;
      book_.forget(state.process);
      break;
    case abi::ProcessStatus::gave_up:
      if (kept.status != LoadStatus::loaded) return false;
      kept.status = LoadStatus::gave_up;
      kept.load.gave_up = kept.restarts_asked == 0 ? 1 : 0;  // else it is of before the restart, whose answer follows
      kept.text.assign(state.text, strnlen(state.text, sizeof state.text));
      break;
    default:
      return false;
  }
  report(told);
  return true;
}

/// To control, in our words: the worker named process and status, everything else is what we know.
void Handover::report(const abi::ProcessState& state) {
  abi::ProcessState checked = state;
  checked.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
  checked.text[sizeof checked.text - 1] = 0;
  send_to_control(checked);
}

void Handover::start_loading(KeptProcess& kept) {
  wiring_.handles.forget_carried(kept.load.process);  // they were an earlier instance's; no poll core has its rings any more
  kept.status = LoadStatus::loading;
  if (kept.load.gave_up == 0) kept.text.clear();
  const int fds[] = {kept.code.get()};
  send_to_worker(kept.load.worker, kept.load, fds);
}

/// A worker serves once each of its processes was reported, loaded or failed.
void Handover::serve_if_ready(std::uint32_t worker) {
  WorkerSeat& seat = workers_[worker];
  const std::uint32_t loaded = book_.count(worker, LoadStatus::loaded);
  stats_.worker(worker).processes.store(loaded, std::memory_order_relaxed);
  if (!seat.is_taken() || seat.serving || book_.count(worker, LoadStatus::loading) != 0) return;
  seat.serving = true;
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    wiring_.cells.worker(core, worker).serving.store(true, std::memory_order_release);
  set_worker_state(worker, abi::WorkerState::serving);
}

void Handover::lose_worker(std::uint32_t worker, abi::WorkerLoss why) {
  WorkerSeat& seat = workers_[worker];
  if (!seat.is_taken()) return;
  if (seat.pid != ::getpid())
    kill_process(seat.pidfd);  // one that closed its socket, or wrote nonsense, may live on
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    wiring_.cells.worker(core, worker).retire();
  seat.socket.close();
  seat.pidfd.reset();
  seat.serving = false;
  ++seat.deaths;
  stats_.worker(worker).loss.store(static_cast<std::uint32_t>(why), std::memory_order_relaxed);
  std::vector<abi::ProcessState> unloaded;  // what it was about to unload is gone with it
  book_.for_each(worker, [&](KeptProcess& kept) {
    if (kept.status == LoadStatus::unloading)
      unloaded.push_back({.process = kept.load.process,
                          .generation = kept.load.generation,
                          .worker = worker,
                          .status = abi::ProcessStatus::unloaded});
    kept.status = LoadStatus::waiting;
    kept.restarts_asked = 0;
  });
  for (const abi::ProcessState& state : unloaded) book_.forget(state.process);
  set_worker_state(worker, abi::WorkerState::lost);
  for (const abi::ProcessState& state : unloaded) report(state);
}

void Handover::set_worker_state(std::uint32_t worker, abi::WorkerState state) {
  const WorkerSeat& seat = workers_[worker];
  abi::WorkerStatus& status = stats_.worker(worker);
  constexpr auto relaxed = std::memory_order_relaxed;
  status.state.store(static_cast<std::uint32_t>(state), relaxed);
  status.pid.store(seat.is_taken() ? static_cast<std::uint32_t>(seat.pid) : 0, relaxed);
  status.incarnation.store(seat.incarnation, relaxed);
  status.deaths.store(seat.deaths, relaxed);
  tell_worker_change(worker);
}

void Handover::tell_worker_change(std::uint32_t worker) {
  const abi::WorkerStatus& status = stats_.worker(worker);
  abi::WorkerChange change{};
  change.header = abi::handover_header<abi::WorkerChange>(abi::HandoverType::worker_change);
  change.worker = worker;
  change.state = status.state.load(std::memory_order_relaxed);
  change.pid = status.pid.load(std::memory_order_relaxed);
  change.deaths = workers_[worker].deaths;
  send_to_control(change);
}

/// A worker that burns CPU without a sign of life is stuck where its own ticker cannot stop it: DESIGN
/// section 2. CPU time, not wall time: a machine that runs others meanwhile is nobody's fault.
void Handover::check_heartbeat(std::uint32_t worker) {
  WorkerSeat& seat = workers_[worker];
  const auto* line =
      reinterpret_cast<const abi::WorkerLine*>(seat.segment.data() + sizeof(abi::SegmentHeader));
  constexpr auto relaxed = std::memory_order_relaxed;
  const std::uint64_t heartbeat = line->heartbeat.load(relaxed);
  abi::WorkerStatus& status = stats_.worker(worker);
  status.heartbeat.store(heartbeat, relaxed);
  status.handled.store(line->handled.load(relaxed), relaxed);
  status.rebuilds.store(line->rebuilds.load(relaxed), relaxed);
  status.instances.store(line->instances.load(relaxed), relaxed);
  copy_stages(*reinterpret_cast<const abi::StageFigures*>(seat.segment.data() + abi::worker_stages_offset(geometry_)),
              stats_.worker_stages(worker));
  const std::uint64_t cpu_ns = cpu_time_ns(seat.pid);
  if (heartbeat != seat.heartbeat_seen || !seat.serving) {
    seat.heartbeat_seen = heartbeat;
    seat.cpu_ns_at_heartbeat = cpu_ns;
    return;
  }
  std::uint64_t limit_us =
      25'000;  // at the least 100 ms: ticks are 20 ms apart and loading a process costs CPU time too
  book_.for_each(worker, [&](const KeptProcess& kept) {
    limit_us = std::max<std::uint64_t>(limit_us, kept.load.limits.time_limit_us);
  });
  if (cpu_ns > seat.cpu_ns_at_heartbeat + 4 * limit_us * 1000) lose_worker(worker, abi::WorkerLoss::hung);
}

}  // namespace pgrid::dataplane
