// How many events a second the log makes durable, beside what the disk allows: fio writes blocks of the size
// that the log wrote, each flushed with fdatasync, to the same directory, in turns with it. Once the log
// alone, which gets the bytes of a right that is made; once the whole store, where a change is one commit, a
// right made or one revoked, applied and ready to be taken back. `a core second` counts the CPU time that
// control's thread used, which a busy machine changes less. Then how long a start takes with 100,000 rights
// and 1,000 processes, with a snapshot and without.
//
//   ledger_bench [--json] [--seconds N] [--rounds N] [--directory DIR]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "control/clock.hpp"
#include "control/ledger/ledger.hpp"
#include "control/store/fold.hpp"
#include "control/store/log_changes.hpp"
#include "control/store/store.hpp"

namespace pgrid::control {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint32_t kUnderWay = 32'768;  // commits that wait for the disk
constexpr std::uint32_t kSlots = 1u << 17;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::uint64_t log_bytes(const std::filesystem::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(log_directory(directory)))
    if (entry.path().extension() == ".log") bytes += entry.file_size();
  return bytes;
}

double cpu_s() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

RightRecord a_right(std::uint32_t slot) {
  RightRecord right{.slot = slot, .generation = 1};
  right.key.fill(static_cast<std::uint8_t>(slot));
  right.deadline_max_us = 100'000;
  right.in_flight_max = 1024;
  right.body_max = 1024;
  right.created_unix = 1'700'000'000;
  return right;
}

struct Round {
  double changes_per_s = 0;
  double changes_per_core_s = 0;
  double bytes_per_change = 0;
  double bytes_per_flush = 0;
  double fio_bytes_per_s = 0;
};

struct Counter : LedgerListener {
  void on_durable(const LogPoint& point) override { durable = point.sequence; }
  void on_failed(const Error& error) override {
    std::fprintf(stderr, "%s\n", error.sentence().c_str());
    std::exit(1);
  }
  std::uint64_t durable = 0;
};

/// The log alone.
Round append_for(const std::filesystem::path& directory, double seconds) {
  std::filesystem::create_directory(directory);
  EventLoop loop;
  Counter counter;
  auto disk = make_uring_disk(loop);
  if (!disk) std::exit(1);
  auto ledger = Ledger::open(loop, **disk, directory, LogEnd{}, counter);
  if (!ledger) std::exit(1);
  const Change change = a_right(1);
  const Bytes payload = encode_changes({&change, 1});
  const double cpu = cpu_s();
  const Clock::time_point start = Clock::now();
  while (seconds_since(start) < seconds) {
    while ((*ledger)->sequence() - counter.durable < kUnderWay) (*ledger)->append(payload);
    const std::uint64_t seen = counter.durable;
    loop.run_until([&] { return counter.durable != seen; }, std::chrono::seconds(10));
  }
  const auto durable = static_cast<double>(counter.durable);
  const double bytes = static_cast<double>(payload.size() + kLogHeader);
  return {.changes_per_s = durable / seconds_since(start),
          .changes_per_core_s = durable / (cpu_s() - cpu),
          .bytes_per_change = bytes,
          .bytes_per_flush =
              durable * bytes / static_cast<double>(std::max<std::uint64_t>((*ledger)->flushes(), 1)),
          .fio_bytes_per_s = 0};
}

/// The store: one change after another, always so many under way.
Round commit_for(const std::filesystem::path& directory, double seconds) {
  EventLoop loop;
  auto opened = Store::open(loop, directory);
  if (!opened) {
    std::fprintf(stderr, "%s\n", opened.error().sentence().c_str());
    std::exit(1);
  }
  Store& store = **opened;
  std::uint64_t done = 0;
  std::uint64_t under_way = 0;
  std::uint32_t slot = 0;
  std::function<void()> more = [&] {
    while (under_way < kUnderWay) {
      ++under_way;
      slot = slot % (kSlots - 1) + 1;
      Change change = DropRight{slot};
      if (store.state().right(slot) == nullptr) change = a_right(slot);
      store.commit(std::move(change), [&](const Result<void>& committed) {
        if (!committed) {
          std::fprintf(stderr, "%s\n", committed.error().sentence().c_str());
          std::exit(1);
        }
        ++done;
        --under_way;
      });
    }
  };
  const std::uint64_t bytes_before = log_bytes(directory);
  const double cpu = cpu_s();
  const Clock::time_point start = Clock::now();
  std::uint64_t seen = 0;
  while (seconds_since(start) < seconds) {
    more();
    loop.run_until([&] { return done != seen; }, std::chrono::seconds(10));
    seen = done;
  }
  const double took = seconds_since(start);
  const std::uint64_t flushes = store.flushes();
  loop.run_until([&] { return under_way == 0; }, std::chrono::seconds(10));
  const double bytes = static_cast<double>(log_bytes(directory) - bytes_before);
  return {.changes_per_s = static_cast<double>(seen) / took,
          .changes_per_core_s = static_cast<double>(done) / (cpu_s() - cpu),
          .bytes_per_change = bytes / static_cast<double>(done),
          .bytes_per_flush = bytes / static_cast<double>(std::max<std::uint64_t>(flushes, 1)),
          .fio_bytes_per_s = 0};
}

/// Bytes a second of fio with blocks of that size, each flushed.
double fio(const std::filesystem::path& directory, double block, double seconds) {
  const std::uint64_t size = (static_cast<std::uint64_t>(block) + 4095) / 4096 * 4096;
  const std::string command =
      "fio --name=log --rw=write --ioengine=io_uring --iodepth=1 --fdatasync=1 --time_based --size=64m "
      "--bs=" +
      std::to_string(size) + " --runtime=" + std::to_string(static_cast<int>(seconds)) +
      " --filename=" + (directory / "fio").string() + " --output-format=json";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return 0;
  std::string text;
  char part[4096];
  for (std::size_t n = 0; (n = std::fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  ::pclose(pipe);
  const auto json = nlohmann::json::parse(text.substr(std::min(text.find('{'), text.size())), nullptr, false);
  if (!json.is_object()) {
    std::fprintf(stderr, "fio gave no figures: apt install fio\n");
    std::exit(1);
  }
  return json["jobs"][0]["write"]["bw_bytes"].get<double>();
}

double start_s(const std::filesystem::path& directory, std::uint64_t& replayed) {
  EventLoop loop;
  const Clock::time_point start = Clock::now();
  const auto store = Store::open(loop, directory);
  const double took = seconds_since(start);
  if (!store || (*store)->state().rights().size() < 100'000) std::exit(1);
  replayed = (*store)->replayed();
  return took;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int run(bool as_json, double seconds, int rounds, const std::filesystem::path& parent) {
  std::string name = parent / "pgrid-bench-XXXXXX";
  const std::filesystem::path directory = ::mkdtemp(name.data());
  std::vector<double> rates, core_rates, allowed, ratios, blocks, sizes, store_rates, store_core_rates;
  for (int round = 0; round < rounds; ++round) {
    Round one = append_for(directory / ("log" + std::to_string(round)), seconds);
    one.fio_bytes_per_s = fio(directory, one.bytes_per_flush, seconds);
    rates.push_back(one.changes_per_s);
    core_rates.push_back(one.changes_per_core_s);
    allowed.push_back(one.fio_bytes_per_s / one.bytes_per_change);
    ratios.push_back(rates.back() / allowed.back());
    blocks.push_back(one.bytes_per_flush);
    sizes.push_back(one.bytes_per_change);
    const Round whole = commit_for(directory / "state", seconds);
    store_rates.push_back(whole.changes_per_s);
    store_core_rates.push_back(whole.changes_per_core_s);
  }

  const std::filesystem::path many = directory / "many";
  std::uint64_t replayed = 0;
  {
    EventLoop loop;
    auto store = Store::open(loop, many);
    if (!store) return 1;
    std::uint32_t waiting = 0;
    const auto commit = [&](Change change) {
      ++waiting;
      (*store)->commit(std::move(change), [&](const Result<void>&) { --waiting; });
    };
    for (std::uint32_t i = 0; i < 1'000; ++i)
      commit(ProcessRecord{.index = i,
                           .generation = 1,
                           .name = "process-" + std::to_string(i),
                           .cid = std::string(59, 'b'),
                           .verdict = std::string(400, 'v')});
    for (std::uint32_t slot = 1; slot <= 100'000; ++slot)
      commit(RightRecord{.slot = slot, .generation = 1, .process = slot % 1'000});
    loop.run_until([&] { return waiting == 0; }, std::chrono::seconds(60));
  }
  const double without = start_s(many, replayed);
  std::vector<std::string> remarks;
  if (!make_snapshot(log_directory(many), replayed)) return 1;
  const double with = start_s(many, replayed);
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);

  if (as_json) {
    std::printf("%s\n", nlohmann::json{{"log_events_per_s", median(rates)},
                                       {"log_events_per_core_s", median(core_rates)},
                                       {"store_changes_per_s", median(store_rates)},
                                       {"store_changes_per_core_s", median(store_core_rates)},
                                       {"fio_events_per_s", median(allowed)},
                                       {"ratio", median(ratios)},
                                       {"ratios", ratios},
                                       {"bytes_per_event", median(sizes)},
                                       {"bytes_per_flush", median(blocks)},
                                       {"start_without_snapshot_s", without},
                                       {"start_with_snapshot_s", with}}
                            .dump(1)
                            .c_str());
    return 0;
  }
  std::printf(
      "the log: %.0f durable events a second (%.0f a core second), %.0f bytes each, %.0f KB a flush\n",
      median(rates), median(core_rates), median(sizes), median(blocks) / 1000);
  std::printf("fio, the same blocks and flushes: %.0f a second; ratio %.2f (median of %d rounds)\n",
              median(allowed), median(ratios), rounds);
  std::printf("the store: %.0f durable changes a second (%.0f a core second)\n", median(store_rates),
              median(store_core_rates));
  std::printf("reading the log of 100,000 rights and 1,000 processes: %.3f s, with a snapshot %.3f s\n",
              without, with);
  return 0;
}

}  // namespace
}  // namespace pgrid::control

int main(int argc, char** argv) {
  bool json = false;
  double seconds = 3;
  int rounds = 3;
  std::filesystem::path directory = std::filesystem::temp_directory_path();
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) json = true;
    if (std::strcmp(argv[i], "--seconds") == 0 && i + 1 < argc) seconds = std::atof(argv[++i]);
    if (std::strcmp(argv[i], "--rounds") == 0 && i + 1 < argc) rounds = std::max(1, std::atoi(argv[++i]));
    if (std::strcmp(argv[i], "--directory") == 0 && i + 1 < argc) directory = argv[++i];
  }
  return pgrid::control::run(json, seconds, rounds, directory);
}
