#include "tests/control/fake/fake_dataplane.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <random>

#include "drivers/base/check.hpp"
#include "drivers/shm/unix_packet.hpp"

namespace pgrid::control::fake {
namespace {

shm::Segment make_segment(abi::SegmentKind kind, std::size_t size, const abi::Geometry& geometry,
                          const std::uint8_t* boot_id) {
  auto segment = shm::Segment::create("fake", size);
  PG_CHECK(segment.has_value());
  abi::SegmentHeader header{};
  header.magic = abi::kSegmentMagic;
  header.version = abi::kSharedVersion;
  header.kind = kind;
  header.size = size;
  header.geometry = geometry;
  header.tsc_hz = 1'000'000'000;
  std::memcpy(header.boot_id, boot_id, sizeof header.boot_id);
  std::memcpy(segment->data(), &header, sizeof header);
  return std::move(*segment);
}

}  // namespace

FakeDataplane::FakeDataplane(std::filesystem::path socket, std::uint32_t poll_cores, std::uint32_t workers)
    : path_(std::move(socket)) {
  geometry_ = {.poll_cores = poll_cores,
               .workers = workers,
               .rights = 256,
               .in_flight = 64,
               .request_ring = 1u << 16,
               .reply_ring = 1u << 16,
               .control_ring = 1u << 16,
               .processes = 64};
  PG_CHECK(abi::is_valid(geometry_));
  std::random_device random;
  for (std::uint8_t& byte : boot_id_) byte = static_cast<std::uint8_t>(random());
  rights_ = make_segment(abi::SegmentKind::rights, abi::rights_size(geometry_), geometry_, boot_id_);
  stats_ = make_segment(abi::SegmentKind::stats, abi::stats_size(geometry_), geometry_, boot_id_);
  for (std::uint32_t i = 0; i < workers; ++i) {
    worker(i).state.store(static_cast<std::uint32_t>(abi::WorkerState::serving));
    worker(i).pid.store(4000 + i);
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  PG_CHECK(path_.native().size() < sizeof address.sun_path);
  std::memcpy(address.sun_path, path_.c_str(), path_.native().size());
  ::unlink(path_.c_str());
  listener_ = UniqueFd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  PG_CHECK(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  PG_CHECK(::listen(listener_.get(), 8) == 0);
  thread_ = std::thread([this] { run(); });
}

FakeDataplane::~FakeDataplane() {
  stop_ = true;
  thread_.join();
  ::unlink(path_.c_str());
}

void FakeDataplane::run() {
  while (!stop_) {
    pollfd fds[2] = {{listener_.get(), POLLIN, 0}, {-1, POLLIN, 0}};
    {
      const std::lock_guard lock(mutex_);
      fds[1].fd = control_.get();
    }
    (void)::poll(fds, 2, 1);
    const std::lock_guard lock(mutex_);
    if (fds[0].revents != 0) greet();
    if (control_ && fds[1].revents != 0 && fds[1].fd == control_.get()) read_control();
    serve_requests();
    if (turning)
      for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core) abi::bump(poll_core(core).turns);
  }
}

void FakeDataplane::greet() {
  UniqueFd fresh(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  abi::Hello hello{};
  if (!fresh || ::recv(fresh.get(), &hello, sizeof hello, 0) != sizeof hello) return;
  PG_CHECK(hello.header.magic == abi::kHandoverMagic && hello.role == abi::Role::control);
  ++hellos_;
  rings_ =
      make_segment(abi::SegmentKind::control_rings, abi::control_rings_size(geometry_), geometry_, boot_id_);
  requests_.clear();
  events_.clear();
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core) {
    requests_.emplace_back(rings_.data() + abi::control_request_ring_offset(geometry_, core),
                           geometry_.control_ring);
    events_.emplace_back(rings_.data() + abi::control_event_ring_offset(geometry_, core),
                         geometry_.control_ring);
  }
  abi::Welcome welcome{};
  welcome.header = abi::handover_header<abi::Welcome>(abi::HandoverType::welcome);
  welcome.geometry = geometry_;
  std::memcpy(welcome.boot_id, boot_id_, sizeof boot_id_);
  welcome.tsc_hz = 1'000'000'000;
  welcome.segments = 3;
  welcome.sizes[0] = rights_.size();
  welcome.sizes[1] = stats_.size();
  welcome.sizes[2] = rings_.size();
  auto stats = stats_.read_only_fd();
  PG_CHECK(stats.has_value());
  const int fds[3] = {rights_.fd(), stats->get(), rings_.fd()};
  const auto sent = shm::send_packet(fresh.get(), std::as_bytes(std::span(&welcome, 1)), fds);
  if (sent.status != shm::PacketOutcome::Status::done) return;
  control_ = std::move(fresh);
}

void FakeDataplane::read_control() {
  std::byte bytes[512];
  UniqueFd code;
  const auto received = shm::receive_packet(control_.get(), bytes, std::span(&code, 1));
  if (received.status != shm::PacketOutcome::Status::done) return control_.reset();
  const std::size_t n = received.length;
  abi::HandoverHeader type{};
  std::memcpy(&type, bytes, sizeof type);
  abi::ProcessState state{};
  state.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
  if (type.type == abi::HandoverType::load_process && n == sizeof(abi::LoadProcess)) {
    Loaded one;
    std::memcpy(&one.load, bytes, sizeof one.load);
    one.sealed = (::fcntl(code.get(), F_GET_SEALS) & F_SEAL_WRITE) != 0;
    one.code.resize(one.load.code_size);
    PG_CHECK(::pread(code.get(), one.code.data(), one.code.size(), 0) ==
             static_cast<ssize_t>(one.code.size()));
    state.process = one.load.process;
    state.generation = one.load.generation;
    state.worker = one.load.worker;
    state.status = !loads                ? abi::ProcessStatus::failed
                   : one.load.gave_up != 0 ? abi::ProcessStatus::gave_up
                                           : abi::ProcessStatus::loaded;
    if (!loads) std::strcpy(state.text, "the fake worker refuses it");
    if (loads) {
      drop_handles(one.load.process);
      loaded_[one.load.process] = std::move(one);
    }
    if (!answers_loads) return;
  } else if (type.type == abi::HandoverType::unload_process && n == sizeof(abi::UnloadProcess)) {
    abi::UnloadProcess unload{};
    std::memcpy(&unload, bytes, sizeof unload);
    loaded_.erase(unload.process);
    drop_handles(unload.process);
    state.process = unload.process;
    state.generation = unload.generation;
    state.worker = unload.worker;
    state.status = abi::ProcessStatus::unloaded;
  } else if (type.type == abi::HandoverType::restart_process && n == sizeof(abi::RestartProcess)) {
    abi::RestartProcess restart{};
    std::memcpy(&restart, bytes, sizeof restart);
    restarts_.push_back(restart.process);
    const auto found = loaded_.find(restart.process);
    if (found == loaded_.end() || found->second.load.generation != restart.generation) return;
    found->second.load.gave_up = 0;
    if (!answers_restarts) return;
    state.process = restart.process;
    state.generation = restart.generation;
    state.worker = found->second.load.worker;
    state.status = abi::ProcessStatus::loaded;
  } else if (type.type == abi::HandoverType::set_handle && n == sizeof(abi::SetHandle)) {
    abi::SetHandle handle{};
    std::memcpy(&handle, bytes, sizeof handle);
    const auto holder = loaded_.find(handle.process);
    if (!abi::is_grant(handle.handle)) return control_.reset();
    if (holder == loaded_.end() || holder->second.load.generation != handle.generation) return;
    PG_CHECK(handle.worker == holder->second.load.worker);
    if (handle.right_generation != 0)
      handles_[{handle.process, handle.handle}] = handle;
    else
      handles_.erase({handle.process, handle.handle});
    return;
  } else {
    return control_.reset();
  }
  (void)::send(control_.get(), &state, sizeof state, MSG_NOSIGNAL);
}

void FakeDataplane::drop_handles(std::uint32_t process) {
  std::erase_if(handles_, [&](const auto& one) { return one.first.first == process; });
}

void FakeDataplane::serve_requests() {
  for (std::uint32_t core = 0; core < requests_.size(); ++core) {
    while (const abi::RingRecord record = listens ? requests_[core].front() : abi::RingRecord{}) {
      abi::ControlRequest request{};
      std::memcpy(&request, record.data, sizeof request);
      if (request.type != static_cast<std::uint8_t>(abi::ControlRequestType::message)) {
        Said& said = said_.emplace_back();
        said.header = request;
        said.rights.resize(request.nb_rights);
        const std::size_t before = abi::kRecordHeader + request.nb_rights * sizeof(abi::RightRef);
        PG_CHECK(record.length >= before);
        if (request.nb_rights != 0)
          std::memcpy(said.rights.data(), record.data + abi::kRecordHeader, before - abi::kRecordHeader);
        said.body.assign(reinterpret_cast<const char*>(record.data) + before, record.length - before);
      } else if (answers)
        answer(request, core, record.data + abi::kRecordHeader, record.length - abi::kRecordHeader);
      requests_[core].pop();
      requests_[core].release();
    }
  }
}

void FakeDataplane::answer(const abi::ControlRequest& request, std::uint32_t core, const std::byte* body,
                           std::size_t size) {
  abi::RightFields fields{};
  const bool valid = request.slot < geometry_.rights && abi::read_right(slot(request.slot), fields) &&
                     fields.target_kind == abi::Target::process && fields.generation == request.generation &&
                     std::memcmp(fields.key, request.key, sizeof fields.key) == 0;
  abi::ControlEvent event{};
  event.type = static_cast<std::uint8_t>(abi::ControlEventType::answer);
  event.kind = static_cast<std::uint8_t>(valid ? abi::Kind::answer : abi::Kind::non_commitment);
  event.reason = static_cast<std::uint16_t>(valid ? abi::Reason::none : abi::Reason::no_such_right);
  event.elapsed_ns = 1234;
  std::memcpy(event.id, request.id, sizeof event.id);
  const std::size_t answered = valid ? size : 0;
  event.length = static_cast<std::uint32_t>(abi::kRecordHeader + answered);
  std::byte* record = events_[core].reserve(event.length);
  if (record == nullptr) return;
  std::memcpy(record, &event, sizeof event);
  std::memcpy(record + abi::kRecordHeader, body, answered);
  events_[core].commit();
  events_[core].publish();
}

std::vector<Said> FakeDataplane::take_said() {
  const std::lock_guard lock(mutex_);
  return std::exchange(said_, {});
}

void FakeDataplane::post(const abi::ControlEvent& header, const std::string& body,
                         const std::vector<abi::RightRef>& rights) {
  const std::lock_guard lock(mutex_);
  if (events_.empty()) return;
  const std::size_t before = abi::kRecordHeader + rights.size() * sizeof(abi::RightRef);
  abi::ControlEvent event = header;
  event.length = static_cast<std::uint32_t>(before + body.size());
  std::byte* record = events_[0].reserve(event.length);
  if (record == nullptr) return;
  std::memcpy(record, &event, sizeof event);
  if (!rights.empty()) std::memcpy(record + abi::kRecordHeader, rights.data(), before - abi::kRecordHeader);
  std::memcpy(record + before, body.data(), body.size());
  events_[0].commit();
  events_[0].publish();
}

void FakeDataplane::corrupt_event_rings() {
  const std::lock_guard lock(mutex_);
  for (std::uint32_t core = 0; core < geometry_.poll_cores; ++core)
    reinterpret_cast<abi::RingHeader*>(rings_.data() + abi::control_event_ring_offset(geometry_, core))
        ->tail.value.store(0x1234'5678'9abc'def1);
}

void FakeDataplane::send_to_control(const void* bytes, std::size_t size) {
  const std::lock_guard lock(mutex_);
  (void)::send(control_.get(), bytes, size, MSG_NOSIGNAL);
}

void FakeDataplane::drop_control() {
  const std::lock_guard lock(mutex_);
  control_.reset();
}

abi::RightFields FakeDataplane::right(std::uint32_t slot_number) const {
  abi::RightFields fields{};
  PG_CHECK(abi::read_right(slot(slot_number), fields));
  return fields;
}

abi::RightSlot& FakeDataplane::slot(std::uint32_t slot) const {
  PG_CHECK(slot < geometry_.rights);
  return reinterpret_cast<abi::RightSlot*>(rights_.data() + sizeof(abi::SegmentHeader))[slot];
}

abi::PollCoreStats& FakeDataplane::poll_core(std::uint32_t core) const {
  return reinterpret_cast<abi::PollCoreStats*>(stats_.data() + abi::poll_core_stats_offset(geometry_))[core];
}

abi::RightAccount& FakeDataplane::account(std::uint32_t core, std::uint32_t slot) const {
  return reinterpret_cast<abi::RightAccount*>(
      stats_.data() + abi::right_account_offset(geometry_))[std::size_t{core} * geometry_.rights + slot];
}

abi::WorkerStatus& FakeDataplane::worker(std::uint32_t worker) const {
  return reinterpret_cast<abi::WorkerStatus*>(stats_.data() + abi::worker_status_offset())[worker];
}

std::map<std::pair<std::uint32_t, std::uint32_t>, abi::SetHandle> FakeDataplane::handles() const {
  const std::lock_guard lock(mutex_);
  return handles_;
}

std::vector<std::uint32_t> FakeDataplane::restarts() const {
  const std::lock_guard lock(mutex_);
  return restarts_;
}

std::map<std::uint32_t, Loaded> FakeDataplane::loaded() const {
  const std::lock_guard lock(mutex_);
  return loaded_;
}

}  // namespace pgrid::control::fake
