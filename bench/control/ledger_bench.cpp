// How many changes a second the store makes durable, beside what the disk allows: fio writes blocks of the size that the store
// wrote, each flushed with fdatasync, to the same directory, in turns with it. A change is one commit: a right made, or one revoked.
// Then how long a start takes with 100,000 rights and 1,000 processes, with a snapshot and without.
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

#include "control/store/fold.hpp"
#include "control/store/store.hpp"

namespace pgrid::control {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::uint32_t kUnderWay = 32'768;  // commits that wait for the disk
constexpr std::uint32_t kSlots = 1u << 17;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::uint64_t log_bytes(const std::filesystem::path& directory) {
  std::uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(log_directory(directory)))
    if (entry.path().extension() == ".log") bytes += entry.file_size();
  return bytes;
}

struct Round {
  double changes_per_s = 0;
  double bytes_per_change = 0;
  double bytes_per_flush = 0;
  double fio_bytes_per_s = 0;
};

/// One change after another, always so many under way.
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
      if (store.state().right(slot) == nullptr) {
        RightRecord right{.slot = slot, .generation = 1};
        right.key.fill(static_cast<std::uint8_t>(slot));
        right.deadline_max_us = 100'000;
        right.in_flight_max = 1024;
        right.body_max = 1024;
        right.created_unix = 1'700'000'000;
        change = right;
      }
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
          .bytes_per_change = bytes / static_cast<double>(done),
          .bytes_per_flush = bytes / static_cast<double>(std::max<std::uint64_t>(flushes, 1)),
          .fio_bytes_per_s = 0};
}

/// Bytes a second of fio with blocks of that size, each flushed.
double fio(const std::filesystem::path& directory, double block, double seconds) {
  const std::uint64_t size = (static_cast<std::uint64_t>(block) + 4095) / 4096 * 4096;
  const std::string command = "fio --name=log --rw=write --ioengine=io_uring --iodepth=1 --fdatasync=1 --time_based --size=64m --bs=" +
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
  std::vector<double> rates, allowed, ratios, blocks, sizes;
  for (int round = 0; round < rounds; ++round) {
    Round one = commit_for(directory / "state", seconds);
    one.fio_bytes_per_s = fio(directory, one.bytes_per_flush, seconds);
    rates.push_back(one.changes_per_s);
    allowed.push_back(one.fio_bytes_per_s / one.bytes_per_change);
    ratios.push_back(rates.back() / allowed.back());
    blocks.push_back(one.bytes_per_flush);
    sizes.push_back(one.bytes_per_change);
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
      commit(ProcessRecord{.index = i, .generation = 1, .name = "process-" + std::to_string(i), .cid = std::string(59, 'b'), .verdict = std::string(400, 'v')});
    for (std::uint32_t slot = 1; slot <= 100'000; ++slot) commit(RightRecord{.slot = slot, .generation = 1, .process = slot % 1'000});
    loop.run_until([&] { return waiting == 0; }, std::chrono::seconds(60));
  }
  const double without = start_s(many, replayed);
  std::vector<std::string> remarks;
  if (!make_snapshot(log_directory(many), replayed)) return 1;
  const double with = start_s(many, replayed);
  std::error_code ignored;
  std::filesystem::remove_all(directory, ignored);

  if (as_json) {
    std::printf("%s\n", nlohmann::json{{"changes_per_s", median(rates)}, {"fio_changes_per_s", median(allowed)}, {"ratio", median(ratios)},
                                       {"ratios", ratios}, {"bytes_per_change", median(sizes)}, {"bytes_per_flush", median(blocks)},
                                       {"start_without_snapshot_s", without}, {"start_with_snapshot_s", with}}
                                .dump(1)
                                .c_str());
    return 0;
  }
  std::printf("durable changes: %.0f a second, %.0f bytes each, %.0f KB a flush\n", median(rates), median(sizes), median(blocks) / 1000);
  std::printf("fio, the same blocks and flushes: %.0f a second; ratio %.2f (median of %d rounds)\n", median(allowed), median(ratios), rounds);
  std::printf("reading the log of 100,000 rights and 1,000 processes: %.3f s, with a snapshot %.3f s\n", without, with);
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
