// The helper thread's dealings with control: what it is handed, and what it has loaded.
#include <algorithm>
#include <string>

#include "dataplane/handover.hpp"
#include "dataplane/welcome.hpp"

namespace pgrid::dataplane {

Result<void> Handover::seat_control(HandoverSocket& guest, pid_t pid) {
  auto pidfd = open_pidfd(pid);
  if (!pidfd) return std::unexpected(pidfd.error());
  auto segment = create_segment(wiring_.plan, abi::SegmentKind::control_rings, "pgrid-control",
                                abi::control_rings_size(geometry_));
  if (!segment) return std::unexpected(segment.error());
  const auto stats = wiring_.stats.read_only_fd();
  if (!stats) return std::unexpected(stats.error());

  abi::Welcome welcome = make_welcome(wiring_.plan);
  welcome.segments = 3;
  welcome.sizes[0] = wiring_.rights.size();
  welcome.sizes[1] = wiring_.stats.size();
  welcome.sizes[2] = segment->size();
  const int fds[] = {wiring_.rights.fd(), stats->get(), segment->fd()};
  if (!guest.send(welcome, fds)) return fail(Errc::unavailable, "welcome control", "it is gone");

  control_.segment = std::move(*segment);
  control_.socket = std::move(guest);
  guest = HandoverSocket();
  control_.pidfd = std::move(*pidfd);
  control_.pid = pid;
  ++control_.incarnation;
  watch(control_.socket.fd());
  watch(control_.pidfd.get());
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    wiring_.cells.control(core).offer(control_rings(control_.segment, geometry_, core, control_.incarnation));
  stats_.gauges().control_attached.store(1, std::memory_order_relaxed);
  for (std::uint32_t worker = 0; worker < workers_.size(); ++worker) tell_worker_change(worker);
  return {};
}

void Handover::read_control() {
  for (;;) {
    Datagram datagram;
    switch (control_.socket.receive(datagram)) {
      case HandoverSocket::Received::closed:
        return lose_control();
      case HandoverSocket::Received::nothing:
        if (!control_.socket.flush()) return lose_control();
        return update_interest(control_.socket);
      case HandoverSocket::Received::datagram:
        break;
    }
    if (const auto message = datagram.as<abi::LoadProcess>(abi::HandoverType::load_process);
        message && datagram.nb_fds == 1)
      load(*message, std::move(datagram.fds[0]));
    else if (const auto gone = datagram.as<abi::UnloadProcess>(abi::HandoverType::unload_process))
      unload(*gone);
    else if (const auto again = datagram.as<abi::RestartProcess>(abi::HandoverType::restart_process))
      restart(*again);
    else if (const auto set = datagram.as<abi::SetHandle>(abi::HandoverType::set_handle); !set || !set_handle(*set))
      return lose_control();
    if (!control_.is_taken()) return;  // it stopped reading
  }
}

void Handover::load(const abi::LoadProcess& load, UniqueFd code) {
  abi::ProcessState state{};
  state.process = load.process;
  state.generation = load.generation;
  state.worker = load.worker;
  state.status = abi::ProcessStatus::failed;
  const auto refuse = [&](const std::string& sentence) {
    sentence.copy(state.text, sizeof state.text - 1);
    report(state);
  };
  if (load.worker >= workers_.size()) return refuse("there is no worker " + std::to_string(load.worker));
  if (load.process >= abi::kProcessesMax) return refuse("process index out of range");
  if (load.name[sizeof load.name - 1] != 0) return refuse("the name does not end");

  KeptProcess* kept = book_.find(load.process);
  // A control that came back: nothing is loaded twice.
  if (kept != nullptr && kept->is_same_as(load) && kept->status != LoadStatus::unloading) {
    if (kept->status == LoadStatus::failed) return refuse(kept->text);
    if (kept->status == LoadStatus::gave_up) {
      state.status = abi::ProcessStatus::gave_up;
      return refuse(kept->text);
    }
    if (kept->status != LoadStatus::loaded) return;  // reported when it is
    state.status = abi::ProcessStatus::loaded;
    return report(state);
  }
  const bool moves_in = kept == nullptr || kept->load.worker != load.worker;
  if (moves_in && book_.count(load.worker) >= geometry_.processes)
    return refuse("worker " + std::to_string(load.worker) + " has its " +
                  std::to_string(geometry_.processes) + " processes (limits.processes_per_worker)");
  if (kept != nullptr && kept->load.worker != load.worker) {
    abi::UnloadProcess old{};
    old.header = abi::handover_header<abi::UnloadProcess>(abi::HandoverType::unload_process);
    old.process = kept->load.process;
    old.generation = kept->load.generation;
    old.worker = kept->load.worker;
    send_to_worker(old.worker, old);
  }
  KeptProcess& fresh = book_.keep(load, std::move(code));
  fresh.load.handles = 0;
  fresh.load.gave_up = load.gave_up != 0 ? 1 : 0;
  wiring_.handles.begin(load.process, load.generation, load.worker);
  if (workers_[load.worker].is_taken()) start_loading(fresh);
}

void Handover::unload(const abi::UnloadProcess& unload) {
  KeptProcess* kept = book_.find(unload.process);
  const bool known = kept != nullptr && kept->load.generation == unload.generation;
  if (known) wiring_.handles.end(unload.process);  // what it sends before it is gone leads nowhere
  if (known && workers_[kept->load.worker].is_taken()) {
    kept->status = LoadStatus::unloading;
    return send_to_worker(kept->load.worker, unload);  // it reports when it is done
  }
  if (known) book_.forget(unload.process);
  abi::ProcessState state{};
  state.process = unload.process;
  state.generation = unload.generation;
  state.worker = unload.worker;
  state.status = abi::ProcessStatus::unloaded;
  report(state);
}

/// What gave up, or could not be loaded, is tried again. One whose worker is away is made anew when that comes anyway.
void Handover::restart(const abi::RestartProcess& restart) {
  KeptProcess* kept = book_.find(restart.process);
  if (kept == nullptr || kept->load.generation != restart.generation || kept->status == LoadStatus::unloading) return;
  kept->load.gave_up = 0;
  if (kept->status == LoadStatus::waiting) return;
  if (kept->status == LoadStatus::failed) return start_loading(*kept);
  ++kept->restarts_asked;
  abi::RestartProcess told = restart;
  told.header = abi::handover_header<abi::RestartProcess>(abi::HandoverType::restart_process);
  told.worker = kept->load.worker;
  told.reserved = 0;
  send_to_worker(told.worker, told);
}

/// Poll cores first, then the worker: a handle that a function may use is one that leads somewhere. False: nonsense.
bool Handover::set_handle(const abi::SetHandle& set) {
  const bool held = set.right_generation != 0;
  if (!abi::is_grant(set.handle) || (held && set.slot >= geometry_.rights)) return false;
  KeptProcess* kept = book_.find(set.process);
  const bool present =
      kept != nullptr && kept->load.generation == set.generation && kept->status != LoadStatus::unloading;
  if (!present) return true;  // it is gone, or not there yet
  wiring_.handles.set(set.process, set.handle, set.slot, set.right_generation);
  const std::uint32_t bit = 1u << set.handle;
  if (((kept->load.handles & bit) != 0) == held) return true;  // said again, or the handle leads elsewhere now
  kept->load.handles ^= bit;
  if (kept->status == LoadStatus::waiting) return true;  // it is told with LoadProcess
  abi::SetHandle told{};
  told.header = abi::handover_header<abi::SetHandle>(abi::HandoverType::set_handle);
  told.process = set.process;
  told.generation = set.generation;
  told.worker = kept->load.worker;
  told.handle = set.handle;
  told.right_generation = 0;
  told.held = held ? 1 : 0;
  send_to_worker(told.worker, told);
  return true;
}

void Handover::lose_control() {
  if (!control_.is_taken()) return;
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core) wiring_.cells.control(core).retire();
  control_.socket.close();
  control_.pidfd.reset();
  stats_.gauges().control_attached.store(0, std::memory_order_relaxed);
}

}  // namespace pgrid::dataplane
