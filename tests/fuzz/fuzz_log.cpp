// The log reader: any bytes as the file of a log are read to where they stop being one, or refused with a
// sentence, and what a record holds is changes or it is not.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "control/ledger/recover.hpp"
#include "control/ledger/segments.hpp"
#include "control/store/log_changes.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace pgrid::control;
using pgrid::test::require;

namespace {

/// A directory in memory, one for the whole run.
const std::filesystem::path& directory() {
  static const std::filesystem::path path = [] {
    std::string name =
        std::filesystem::exists("/dev/shm") ? "/dev/shm/pgrid-fuzz-XXXXXX" : "/tmp/pgrid-fuzz-XXXXXX";
    const std::filesystem::path made = ::mkdtemp(name.data());
    static const std::filesystem::path kept = made;
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(kept, ignored);
    });
    return made;
  }();
  return path;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // The first byte says whether the rest are changes, the bytes of a log, or records whose checks are made to
  // fit.
  if (size == 0) return 0;
  const std::span<const std::uint8_t> bytes(data + 1, size - 1);
  if (data[0] % 3 == 0) {
    const auto changes = decode_changes(bytes);
    if (changes) require(encode_changes(*changes).size() >= bytes.size(), "fields were lost");
    State state;
    if (changes)
      for (const Change& change : *changes) {
        const Before before = state.before(change);
        state.apply(change);
        state.take_back(before);
        state.apply(change);
      }
    return 0;
  }
  Bytes log(bytes.begin(), bytes.end());
  if (data[0] % 3 == 1) {
    log.clear();
    pgrid::hash::Sha256 hash;
    LogPoint last;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t length = std::min<std::size_t>(bytes.size() - at, std::size_t{bytes[at]} + 1);
      const std::size_t begin = log.size();
      add_record(log, {.sequence = last.sequence + 1,
                       .durable = last.sequence,
                       .before = last.hash,
                       .payload = bytes.subspan(at, length)});
      last = {last.sequence + 1, hash.of(std::span<const std::uint8_t>(log).subspan(begin))};
      at += length;
    }
  }
  const std::filesystem::path file = segment_path(directory(), 1);
  const int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  require(fd >= 0 && ::write(fd, log.data(), log.size()) == static_cast<ssize_t>(log.size()),
          "no room for the log");
  ::close(fd);
  std::uint64_t records = 0;
  const auto end = read_log(directory(), {}, [&](const LogRecord& record) -> pgrid::Result<void> {
    require(record.sequence == ++records, "records out of order");
    (void)decode_changes(record.payload);
    return {};
  });
  if (end)
    require(end->point.sequence == records && end->offset + end->torn_bytes <= log.size(),
            "it ends beyond its end");
  if (data[0] % 3 == 1)
    require(end && end->offset == log.size() && end->torn_bytes == 0, "a whole log was not read");
  return 0;
}
