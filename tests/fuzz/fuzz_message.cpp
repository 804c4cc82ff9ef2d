// A FlatBuffer in a valid envelope: mutations go where the verifier and the meaning of fields are.
#include "tests/fuzz/message_checks.hpp"
#include "tests/packets/fields_oracle.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace pgrid;
  size = size / 4 * 4;
  if (size < wire::kFlatBufferMin || size > wire::kFlatBufferMax) return 0;
  // Two bytes before the payload make the FlatBuffer lie on a multiple of 4; it ends where the memory does.
  std::vector<std::uint8_t> whole(dataplane::kScratchOffset + wire::kFlatBufferOffset + size);
  std::memcpy(whole.data() + dataplane::kScratchOffset + wire::kFlatBufferOffset, data, size);
  test::Input input(whole.data(), whole.size());
  const auto payload = input.writable().subspan(dataplane::kScratchOffset);
  wire::write_envelope(payload.data(), size);
  const auto* content = reinterpret_cast<const std::uint8_t*>(payload.data() + wire::kFlatBufferOffset);
  test::require(test::disagreement({content, size}).empty(), "another verdict than the generated verifier's");
  const auto parsed = dataplane::parse_message(payload);
  if (parsed.ok) test::check_message(parsed.message, payload);
  return 0;
}
