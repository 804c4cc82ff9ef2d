#include "control/ledger/record.hpp"

#include <xxhash.h>

#include <cstring>

namespace pgrid::control {
namespace {

constexpr std::uint32_t kMagic = 0x314c'4750;  // "PGL1"

struct Header {
  std::uint32_t magic;
  std::uint32_t length;
  std::uint64_t sequence;
  std::uint64_t durable;
  std::uint64_t time_unix_ns;
  LogHash before;
  std::uint64_t check;
};
static_assert(sizeof(Header) == kLogHeader && offsetof(Header, check) == 64);

std::uint64_t check_of(const Header& header, std::span<const std::uint8_t> payload) {
  return XXH3_64bits_withSeed(payload.data(), payload.size(), XXH3_64bits(&header, offsetof(Header, check)));
}

}  // namespace

void add_record(Bytes& out, const LogRecord& record) {
  Header header{.magic = kMagic,
                .length = static_cast<std::uint32_t>(record.payload.size()),
                .sequence = record.sequence,
                .durable = record.durable,
                .time_unix_ns = record.time_unix_ns,
                .before = record.before,
                .check = 0};
  header.check = check_of(header, record.payload);
  const std::size_t at = out.size();
  out.resize(at + record.size());
  std::memcpy(out.data() + at, &header, sizeof header);
  std::memcpy(out.data() + at + sizeof header, record.payload.data(), record.payload.size());
}

std::optional<std::size_t> record_size(std::span<const std::uint8_t> bytes) {
  Header header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  if (header.magic != kMagic || header.length == 0 || header.length > kPayloadMax) return std::nullopt;
  return sizeof header + header.length;
}

std::optional<LogRecord> whole_record(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < sizeof(Header)) return std::nullopt;
  const std::optional<std::size_t> size = record_size(bytes);
  if (!size || *size > bytes.size()) return std::nullopt;
  Header header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  const auto payload = bytes.subspan(sizeof header, header.length);
  if (header.check != check_of(header, payload)) return std::nullopt;
  return LogRecord{header.sequence, header.durable, header.time_unix_ns, header.before, payload};
}

}  // namespace pgrid::control
