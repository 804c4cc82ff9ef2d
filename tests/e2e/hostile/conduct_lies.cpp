// Misbehaving with well-formed records, on the hand-over socket, and against the kernel.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "dataplane/worker/sandbox.hpp"
#include "tests/e2e/hostile/lies.hpp"

namespace pgrid::tests {
namespace {

constexpr char kMalformed[] = "reply_malformed";
constexpr int kFloods = 200'000;

void publish_when_full(Seat& seat) {
  seat.replies.publish();
  while (seat.replies.free_bytes() < 2 * abi::kRecordMax) sched_yield();
}

/// As fast as the data plane takes them.
void flood(Seat& seat, const abi::WorkerReply& reply, std::uint32_t length, bool reads_answers) {
  for (int i = 0; i < kFloods; ++i) {
    if (seat.replies.free_bytes() < 2 * abi::kRecordMax) publish_when_full(seat);
    seat.put(reply, length);
    if (i % 256 != 0) continue;
    publish_when_full(seat);
    seat.pump();
    if (!reads_answers) continue;
    while (seat.requests.front()) seat.requests.pop();
    seat.requests.release();
  }
  seat.replies.publish();
}

abi::WorkerReply request_of_ours(const Seat& seat) {
  abi::WorkerReply reply{};
  reply.type = static_cast<std::uint8_t>(abi::ReplyType::send);
  reply.process = seat.process;
  reply.process_generation = seat.process_generation;
  reply.to_slot = abi::kFirstGrant;
  reply.hops = 1;
  return reply;
}

template <typename T>
void say(Seat& seat, const T& message) {
  (void)::send(seat.socket.fd(), &message, sizeof message, MSG_NOSIGNAL);
}
abi::ProcessState state_of(const Seat& seat, std::uint32_t status) {
  abi::ProcessState state{};
  state.header = abi::handover_header<abi::ProcessState>(abi::HandoverType::process_state);
  state.process = seat.process;
  state.generation = seat.process_generation;
  state.worker = 1;
  state.status = static_cast<abi::ProcessStatus>(status);
  std::memset(state.text, 'x', sizeof state.text);
  return state;
}

}  // namespace

Lies conduct_lies(Seat&) {
  Lies lies;
  lies.push_back({"one message answered twice", "lives", [](Seat& seat) {
                    const Given given = seat.take();
                    seat.answer(given);
                    seat.answer(given);
                  }});
  lies.push_back({"answers held back until nobody waits for them", "lives", [](Seat& seat) {
                    std::vector<Given> held;
                    for (int i = 0; i < 64; ++i) held.push_back(seat.take());
                    idle(seat, 200);
                    for (const Given& given : held) seat.answer(given);
                  }});
  lies.push_back({"a message of another worker answered", kMalformed, [](Seat& seat) {
                    // Entries are used last in, first out: what we answered is soon somebody else's, with the next
                    // generation. (Too late, and the answer is late; too early, and nobody has it yet: nonsense as well.)
                    for (;;) {
                      const Given given = seat.take();
                      seat.answer(given);
                      abi::WorkerReply reply = seat.answer_to(given);
                      if (!seat.wait_until_read()) return;
                      ++reply.to_generation;
                      seat.put(reply);
                      seat.replies.publish();
                      if (!seat.wait_until_read()) return;
                    }
                  }});
  lies.push_back({"a flood of late answers", "lives", [](Seat& seat) {
                    const Given given = seat.take();
                    seat.answer(given);
                    flood(seat, seat.answer_to(given), abi::kRecordHeader, true);
                  }});
  lies.push_back({"a flood of log lines", "lives",
                  [](Seat& seat) { flood(seat, seat.log_line(seat.process), abi::kRecordMax, true); }});
  lies.push_back({"a flood of events", "lives", [](Seat& seat) {
                    abi::WorkerReply event = seat.log_line(seat.process);
                    event.type = static_cast<std::uint8_t>(abi::ReplyType::event);
                    flood(seat, event, abi::kRecordHeader, true);
                  }});
  lies.push_back({"a flood of handles given back", "lives", [](Seat& seat) {
                    abi::WorkerReply drop{};
                    drop.type = static_cast<std::uint8_t>(abi::ReplyType::drop);
                    drop.process = seat.process;
                    drop.process_generation = seat.process_generation;
                    const std::uint64_t all = ~std::uint64_t{0} << abi::kFirstCarried;
                    for (int i = 0; i < kFloods; ++i) {
                      if (seat.replies.free_bytes() < 2 * abi::kRecordMax) publish_when_full(seat);
                      seat.put_body(drop, &all, sizeof all, sizeof all);
                      if (i % 256 == 0) seat.pump();
                    }
                    seat.replies.publish();
                  }});
  lies.push_back({"a flood of requests, their answers unread", kMalformed, [](Seat& seat) {
                    flood(seat, request_of_ours(seat), abi::kRecordHeader, false);
                  }});
  return lies;
}

Lies socket_lies(Seat&) {
  Lies lies;
  const auto states = [&lies](const std::string& name, const std::string& end, std::uint32_t status,
                              const std::function<void(abi::ProcessState&)>& change, int times = 1) {
    lies.push_back({name, end, [=](Seat& seat) {
                      abi::ProcessState state = state_of(seat, status);
                      change(state);
                      for (int i = 0; i < times; ++i) say(seat, state);
                      idle(seat, 50);
                    }});
  };
  const auto as_it_is = [](abi::ProcessState&) {};
  for (const std::uint32_t status : {0u, 5u, 63u, 1u << 31, ~0u})
    states("a process in state " + std::to_string(status), "dies", status, as_it_is);
  states("a loaded process loaded again", "dies", 1, as_it_is);
  states("a loaded process failed", "dies", 2, as_it_is);
  states("a process unloaded that nobody unloads", "dies", 3, as_it_is);
  states("another worker's process failed", "lives", 2, [](abi::ProcessState& s) { s.process = s.process == 0 ? 1 : 0; });
  states("a process that there is not", "lives", 1, [](abi::ProcessState& s) { s.process = ~0u; });
  states("a generation that there is not", "lives", 2, [](abi::ProcessState& s) { ++s.generation; });
  states("a flood of states", "lives", 1, [](abi::ProcessState& s) { ++s.generation; }, 20'000);
  states("another magic number", "dies", 1, [](abi::ProcessState& s) { ++s.header.magic; });
  states("another version", "dies", 1, [](abi::ProcessState& s) { ++s.header.version; });
  for (const std::uint32_t type : {0u, 1u, 2u, 3u, 4u, 5u, 7u, 8u, 9u, ~0u})
    states("a message of type " + std::to_string(type), "dies", 1,
           [type](abi::ProcessState& s) { s.header.type = static_cast<abi::HandoverType>(type); });
  for (const std::uint32_t length : {0u, 1u, 255u, 257u, 1u << 31, ~0u})
    states("a message that calls itself " + std::to_string(length) + " bytes long", "dies", 1,
           [length](abi::ProcessState& s) { s.header.length = length; });
  for (const std::size_t length : {std::size_t{1}, std::size_t{15}, std::size_t{255}, std::size_t{257}, std::size_t{4096}})
    lies.push_back({"a message of " + std::to_string(length) + " bytes", "dies", [length](Seat& seat) {
                      const std::string bytes(length, 'x');
                      (void)::send(seat.socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
                    }});
  lies.push_back({"hello again", "dies", [](Seat& seat) {
                    abi::Hello hello{};
                    hello.header = abi::handover_header<abi::Hello>(abi::HandoverType::hello);
                    hello.role = abi::Role::control;
                    say(seat, hello);
                  }});
  lies.push_back({"a process for the data plane to load", "dies", [](Seat& seat) {
                    abi::LoadProcess load{};
                    load.header = abi::handover_header<abi::LoadProcess>(abi::HandoverType::load_process);
                    say(seat, load);
                  }});
  lies.push_back({"descriptors nobody asked for", "lives", [](Seat& seat) {
                    abi::ProcessState state = state_of(seat, 1);
                    state.process = ~0u;
                    const int fds[] = {seat.segment.fd(), seat.segment.fd(), seat.segment.fd(), seat.segment.fd()};
                    for (int i = 0; i < 100; ++i) (void)seat.socket.send(state, fds);
                    idle(seat, 50);
                  }});
  lies.push_back({"a closed socket", "dies", [](Seat& seat) { (void)::shutdown(seat.socket.fd(), SHUT_RDWR); }});
  return lies;
}

Lies system_call_lies(Seat& seat) {
  Lies lies;
  const auto peer = seat.socket.peer();
  const long dataplane = peer ? peer->pid : 0;
  const auto tries = [&lies](const std::string& name, const std::function<void()>& what) {
    lies.push_back({name, "SIGSYS", [what](Seat& s) {
                      const int kept[] = {s.socket.fd(), s.segment.fd()};
                      if (!worker::drop_privileges(kept) || !worker::enter_sandbox(s.socket.fd())) std::_Exit(4);
                      what();
                      std::_Exit(9);
                    }});
  };
  tries("reads a file", [] { (void)::open("/etc/passwd", O_RDONLY); });
  tries("writes a file", [] { (void)::open("/tmp/escaped", O_WRONLY | O_CREAT, 0600); });
  tries("opens a socket", [] { (void)::socket(AF_INET, SOCK_DGRAM, 0); });
  tries("runs a program", [] { (void)::execl("/bin/sh", "sh", nullptr); });
  tries("forks", [] { (void)::syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0); });
  tries("traces the data plane", [=] { (void)::syscall(SYS_ptrace, 16 /* PTRACE_ATTACH */, dataplane, 0, 0); });
  tries("reads the data plane's memory", [=] { (void)::syscall(SYS_process_vm_readv, dataplane, nullptr, 0, nullptr, 0, 0); });
  tries("ends the data plane", [=] { (void)::kill(static_cast<pid_t>(dataplane), SIGKILL); });
  tries("watches the data plane", [=] { (void)::syscall(SYS_pidfd_open, dataplane, 0); });
  tries("goes to the poll core's CPU", [] {
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    (void)::sched_setaffinity(0, sizeof first, &first);
  });
  tries("makes memory that is born executable", [] { (void)::mmap(nullptr, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); });
  tries("makes its stack executable", [] {
    char here = 0;
    (void)::mprotect(reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(&here) & ~4095ul), 4096, PROT_READ | PROT_WRITE | PROT_EXEC);
  });
  tries("becomes traceable", [] { (void)::prctl(PR_SET_DUMPABLE, 1); });
  for (const auto& [name, number] : std::initializer_list<std::pair<const char*, long>>{
           {"io_uring", SYS_io_uring_setup}, {"bpf", SYS_bpf}, {"userfaultfd", SYS_userfaultfd}, {"keyctl", SYS_keyctl},
           {"perf_event_open", SYS_perf_event_open}, {"unshare", SYS_unshare}, {"setns", SYS_setns}, {"mount", SYS_mount},
           {"memfd_create", SYS_memfd_create}, {"shmget", SYS_shmget}, {"setuid", SYS_setuid}, {"reboot", SYS_reboot}})
    tries(std::string("calls ") + name, [n = number] { (void)::syscall(n, 0, 0, 0, 0, 0, 0); });
  return lies;
}

}  // namespace pgrid::tests
