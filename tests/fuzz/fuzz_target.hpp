// What the fuzz targets share. Each runs for PGRID_FUZZ_SECONDS seconds (60 when it is not set), starting
// from the packets of tests/packets; whatever libFuzzer option is given on the command line wins.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace pgrid::test {

/// Exactly as long as the input, so that AddressSanitizer sees one byte too many; aligned as an mbuf's data
/// is.
class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : memory_(std::make_unique<std::byte[]>(size)), size_(size) {
    if (size != 0) std::memcpy(memory_.get(), data, size);
  }
  [[nodiscard]] std::span<const std::byte> bytes() const { return {memory_.get(), size_}; }
  [[nodiscard]] std::span<std::byte> writable() { return {memory_.get(), size_}; }

 private:
  std::unique_ptr<std::byte[]> memory_;
  std::size_t size_;
};

/// Always on, unlike assert: a finding is a crash.
inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "fuzz: %s\n", what);
  std::abort();
}
inline bool lies_within(std::span<const std::byte> part, std::span<const std::byte> whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

}  // namespace pgrid::test

// "used": libFuzzer only looks whether it is there, so nothing else keeps an inline function.
extern "C" [[gnu::used]] inline int LLVMFuzzerInitialize(int* argc, char*** argv) {
  static std::vector<std::string> arguments;
  static std::vector<char*> pointers;
  bool has_limit = false;
  for (int i = 0; i < *argc; ++i) {
    arguments.emplace_back((*argv)[i]);
    has_limit |= arguments.back().starts_with("-max_total_time") || arguments.back().starts_with("-runs");
  }
  const char* seconds = std::getenv("PGRID_FUZZ_SECONDS");
  if (!has_limit)
    arguments.push_back(std::string("-max_total_time=") + (seconds != nullptr ? seconds : "60"));
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  *argc = static_cast<int>(pointers.size());
  pointers.push_back(nullptr);
  *argv = pointers.data();
  return 0;
}
