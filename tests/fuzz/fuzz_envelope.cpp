// The envelope alone: whatever opens is exactly what would be written around the same content.
#include "abi/wire/envelope.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using pgrid::test::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const pgrid::test::Input input(data, size);
  const auto opened = pgrid::wire::open_envelope(input.bytes());
  if (opened.verdict != pgrid::wire::Envelope::message_1) {
    require(opened.content.empty(), "content of a refused envelope");
    return 0;
  }
  require(pgrid::test::lies_within(opened.content, input.bytes()), "content lies outside");
  require(opened.content.size() + pgrid::wire::kFlatBufferOffset == size,
          "content does not end where the datagram does");
  std::byte head[pgrid::wire::kFlatBufferOffset];
  pgrid::wire::write_envelope(head, opened.content.size());
  require(std::memcmp(head, data, sizeof head) == 0, "two encodings of one envelope");
  return 0;
}
