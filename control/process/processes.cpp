// Loading, bringing back and removing.
#include "control/process/processes.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "control/log/log.hpp"
#include "drivers/shm/segment.hpp"

namespace pgrid::control {
namespace {

constexpr std::chrono::milliseconds kUnloadWithin{
    2'000};  // an activation that runs now is bounded by its time limit
constexpr std::chrono::milliseconds kRestartWithin{5'000};  // the same, and its worker may be on its way back

}  // namespace

LoadView Processes::load_view(std::uint32_t index) const {
  const auto found = runtime_.find(index);
  return found == runtime_.end() ? LoadView{} : found->second.view;
}

void Processes::place_all(std::function<void()> done) {
  const Segments* segments = link_.segments();
  if (segments == nullptr) return done();
  const std::uint32_t workers = segments->geometry().workers;
  std::vector<Change> moves;
  for (const auto& [index, process] : store_.state().processes()) {
    if (process.worker < workers) continue;
    ProcessRecord moved = process;
    moved.worker = index % workers;  // the worker is gone from node.toml: spread what it had
    moves.emplace_back(moved);
  }
  if (moves.empty()) return done();
  const std::size_t nb_moves = moves.size();
  store_.commit(std::move(moves), [nb_moves, done = std::move(done)](const Result<void>& committed) {
    if (!committed)
      log_error("processes of workers that are gone stay unplaced: " + committed.error().sentence());
    else
      log_warning(std::to_string(nb_moves) + " processes moved: node.toml has fewer workers than before");
    done();
  });
}

void Processes::on_attached() {
  for (const ProcessRecord& process : std::exchange(forgotten_, {})) send_unload(process);
  std::vector<ProcessRecord> all;
  for (const auto& [index, process] : store_.state().processes()) all.push_back(process);
  for (const ProcessRecord& process : all) {
    Runtime& runtime = runtime_[process.index];
    runtime.view = {};
    if (runtime.removing) {
      send_unload(process);
    } else if (store_.state().internal_right_of(process.index) == nullptr) {
      // A removal that a crash or a full disk interrupted: its rights are gone already.
      log_info("finishing the removal of " + process.name);
      runtime.removing = true;
      finish_removal(process, [](const Result<void>&) {});
    } else {
      load(process.index);
    }
  }
}

void Processes::on_lost() {
  std::vector<std::uint32_t> waiting;
  for (auto& [index, runtime] : runtime_) {
    runtime.view = {};
    if (runtime.on_settled) waiting.push_back(index);
  }
  for (const std::uint32_t index : waiting)
    settle(index, fail(Errc::unavailable, "load the process", "the data plane went away",
                       "try again when it is back"));
}

void Processes::load(std::uint32_t index) {
  const ProcessRecord* process = store_.state().process(index);
  if (process == nullptr) return;
  const std::uint64_t attachment = link_.attachment();
  runtime_[index].asked_at = attachment;
  with_image(process->cid, nullptr, process->memory_bytes,
             [this, index, generation = process->generation, attachment](Result<Bytes> image) {
               const ProcessRecord* now = store_.state().process(index);
               if (now == nullptr || now->generation != generation || link_.attachment() != attachment)
                 return;
               if (image) return send_load(*now, *image);
               runtime_[index].view = {LoadState::failed, image.error().sentence()};
               log_error("process " + now->name + " cannot be loaded: " + image.error().sentence());
               settle(index, std::unexpected(image.error()));
             });
}

void Processes::send_load(const ProcessRecord& process, std::span<const std::uint8_t> image) {
  Result<UniqueFd> code = shm::sealed_copy("pgrid-code-" + process.name, std::as_bytes(image));
  if (!code) {
    runtime_[process.index].view = {LoadState::failed, code.error().sentence()};
    log_error("process " + process.name + " cannot be loaded: " + code.error().sentence());
    return settle(process.index, std::unexpected(code.error()));
  }
  abi::LoadProcess message{};
  message.header = abi::handover_header<abi::LoadProcess>(abi::HandoverType::load_process);
  message.process = process.index;
  message.generation = process.generation;
  message.worker = process.worker;
  message.limits = {.memory_bytes = process.memory_bytes,
                    .time_limit_us = process.time_limit_us,
                    .mailbox = kMailbox,
                    .restarts_max = process.restarts_max,
                    .restart_period_ms = process.restart_period_ms,
                    .strategy = process.strategy,
                    .backoff_min_ms = process.backoff_min_ms,
                    .backoff_max_ms = process.backoff_max_ms,
                    .give_up_after = process.give_up_after};
  message.gave_up = process.gave_up.empty() ? 0 : 1;
  message.code_size = image.size();
  const Digest digest = digest_of(process.cid);
  std::memcpy(message.code_hash, digest.data(), sizeof message.code_hash);
  std::memcpy(message.name, process.name.data(), std::min(process.name.size(), sizeof message.name - 1));
  link_.send(message, std::move(*code));
  rights_.hand_over(process.index);
}

void Processes::send_unload(const ProcessRecord& process) {
  abi::UnloadProcess message{};
  message.header = abi::handover_header<abi::UnloadProcess>(abi::HandoverType::unload_process);
  message.process = process.index;
  message.generation = process.generation;
  message.worker = process.worker;
  link_.send(message);
}

void Processes::on_process_state(const abi::ProcessState& state, const std::string& text) {
  const ProcessRecord* process = store_.state().process(state.process);
  if (process == nullptr || process->generation != state.generation)
    return;  // of an earlier use of the index
  Runtime& runtime = runtime_[state.process];
  switch (state.status) {
    case abi::ProcessStatus::loaded:
      if (runtime.removing) return;
      runtime.view = {LoadState::loaded, {}};
      supervision_.on_serves(*process);
      return settle(state.process, {});
    case abi::ProcessStatus::failed:
      if (runtime.removing) return settle(state.process, {});  // not there, which is what was wanted
      runtime.view = {LoadState::failed, text};
      logs_.add(state.process, /*is_event=*/true, "the worker cannot load it: " + text);
      if (!runtime.on_settled) log_error("process " + process->name + " failed to load: " + text);
      return settle(state.process, fail(Errc::unsupported, "load " + process->name, text));
    case abi::ProcessStatus::unloaded:
      if (runtime.removing) settle(state.process, {});
      return;
    case abi::ProcessStatus::gave_up:
      // Nobody is told of it who waits: a restart that it crossed is answered by `loaded`, and what was said before that is
      // not remembered, or it would be on disk again behind what the restart wrote there.
      if (runtime.removing) return;
      runtime.view = {LoadState::gave_up, text};
      if (runtime.restarting) return;
      return supervision_.on_gave_up(*process, text);
  }
}

void Processes::on_worker_change(const abi::WorkerChange& change) {
  if (change.state == static_cast<std::uint32_t>(abi::WorkerState::serving)) return;
  // The data plane loads its processes again by itself and tells of each.
  for (const auto& [index, process] : store_.state().processes())
    if (process.worker == change.worker && load_view(index).state == LoadState::loaded)
      runtime_[index].view = {};
}

void Processes::restart(const std::string& name, OnRestarted done) {
  const std::string operation = "restart " + name;
  const ProcessRecord* found = store_.state().process(name);
  if (found == nullptr || runtime_[found->index].removing)
    return done(fail(Errc::not_found, operation, "there is no process of that name", "see pgrid ls"));
  if (link_.segments() == nullptr)
    return done(fail(Errc::unavailable, operation, "the data plane is away", "try again when it is back"));
  if (runtime_[found->index].on_settled || runtime_[found->index].restarting)
    return done(fail(Errc::busy, operation, "it is being loaded or restarted", "try again in a moment"));
  ProcessRecord process = *found;
  const bool had_given_up = !std::exchange(process.gave_up, {}).empty();
  std::vector<Change> changes{Happened{.what = "restart",
                                       .process = process.index,
                                       .generation = process.generation,
                                       .text = "asked for over the API"}};
  if (had_given_up) changes.emplace_back(process);
  runtime_[process.index].restarting = true;
  store_.commit(std::move(changes), [this, process, operation, had_given_up,
                                     done = std::move(done)](const Result<void>& committed) {
    const ProcessRecord* now = store_.state().process(process.index);
    if (now == nullptr || now->generation != process.generation)
      return done(fail(Errc::not_found, operation, "it was removed meanwhile"));
    Runtime& runtime = runtime_[process.index];
    if (!committed || runtime.removing || runtime.on_settled) {
      runtime.restarting = false;
      if (!committed) return done(std::unexpected(committed.error()));
      return done(runtime.removing ? fail(Errc::not_found, operation, "it was removed meanwhile")
                                   : fail(Errc::busy, operation, "it is being restarted", "try again in a moment"));
    }
    runtime.view = {};
    wait_settled(process.index, kRestartWithin, [this, process, had_given_up, done](const Result<void>& settled) {
      const ProcessRecord* record = store_.state().process(process.index);
      if (record != nullptr && record->generation == process.generation) {
        const LoadView view = std::exchange(runtime_[process.index].restarting, false) ? load_view(process.index) : LoadView{};
        if (!settled && view.state == LoadState::gave_up) supervision_.on_gave_up(*record, view.text);
      }
      if (!settled) return done(std::unexpected(settled.error()));
      log_info("restarted " + process.name);
      supervision_.on_restarted(process, had_given_up);
      done(process.index);
    });
    supervision_.send_restart(*now);
  });
}

void Processes::remove(const std::string& name, OnRemoved done) {
  const ProcessRecord* found = store_.state().process(name);
  if (found == nullptr || runtime_[found->index].removing)
    return done(fail(Errc::not_found, "remove " + name, "there is no process of that name", "see pgrid ls"));
  const ProcessRecord process = *found;
  runtime_[process.index].removing = true;
  settle(process.index, fail(Errc::not_found, "deploy " + name, "it was removed meanwhile"));
  // What leads to it, and what it holds.
  std::vector<RightRecord> rights = store_.state().rights_of(process.index);
  for (RightRecord& held : store_.state().held_by(process.index))
    if (held.process != process.index) rights.push_back(std::move(held));
  rights_.revoke(std::move(rights), [this, process, done = std::move(done)](const Result<Passed>& revoked) {
    if (!revoked) {
      runtime_[process.index].removing = false;
      return done(std::unexpected(revoked.error()));
    }
    if (*revoked == Passed::stuck)
      log_warning("a poll core does not turn; " + process.name + " is unloaded all the same");
    finish_removal(process, done);
  });
}

void Processes::finish_removal(ProcessRecord process, OnRemoved done) {
  const auto forget = [this, process, done = std::move(done)](const Result<void>&) {
    store_.commit(DropProcess{process.index}, [this, process, done](const Result<void>& committed) {
      if (!committed) {
        runtime_[process.index].removing = false;  // its rights are gone; another remove goes on from here
        return done(std::unexpected(committed.error()));
      }
      runtime_.erase(process.index);
      logs_.forget(process.index);
      supervision_.on_removed(process.index);
      remove_unused_code(process.cid);
      log_info("removed " + process.name);
      done({});
    });
  };
  if (link_.segments() == nullptr) {
    forgotten_.push_back(process);
    return forget({});
  }
  wait_settled(process.index, kUnloadWithin, forget);
  send_unload(process);
}

void Processes::wait_settled(std::uint32_t index, std::chrono::milliseconds limit, OnSettled done) {
  Runtime& runtime = runtime_[index];
  // Failed before anybody could wait: loading is asynchronous, but its first steps may fail at once.
  if (!runtime.removing && runtime.view.state == LoadState::failed)
    return done(fail(Errc::unsupported, "load the process", runtime.view.text));
  if (!runtime.removing && runtime.view.state == LoadState::loaded) return done({});
  runtime.on_settled = std::move(done);
  runtime.limit = loop_.after(limit, [this, index] {
    settle(index,
           fail(Errc::timed_out, "load the process", "its worker does not answer", "see the worker's log"));
  });
}

void Processes::settle(std::uint32_t index, Result<void> result) {
  const auto found = runtime_.find(index);
  if (found == runtime_.end() || !found->second.on_settled) return;
  const OnSettled on_settled = std::move(found->second.on_settled);
  found->second.on_settled = nullptr;
  found->second.limit.reset();
  on_settled(std::move(result));
}

void Processes::remove_unused_code(const std::string& cid) {
  for (const auto& [index, process] : store_.state().processes())
    if (process.cid == cid) return;
  if (!deploying_cids_.contains(cid)) code_.remove(cid);
}

}  // namespace pgrid::control
