// A whole frame: Ethernet to message, then whatever the node would send back. Each input is tried with
// checksums verified and with checksums trusted, so that mutations reach what is behind them.
#include "dataplane/frame.hpp"
#include "dataplane/local.hpp"
#include "dataplane/refuse.hpp"
#include "tests/fuzz/message_checks.hpp"
#include "tests/packets/packet_builder.hpp"

namespace {

using namespace pgrid;

void follow_message(const dataplane::Frame& frame, const dataplane::PortIdentity& port) {
  static dataplane::RefusalLimiter limiter(1, 1'000'000'000, 1);
  static std::uint64_t now = 0;
  now += 1'000'000'000;  // the limiter always allows
  const dataplane::ReturnPath path = dataplane::return_path_of(frame, port, 0);
  dataplane::PayloadScratch scratch;
  const auto payload = dataplane::is_aligned(frame.payload) ? frame.payload : scratch.align(frame.payload);
  const auto parsed = dataplane::parse_message(payload);
  std::byte refusal[dataplane::kAnswerFrameMax];
  std::size_t length = 0;
  if (parsed.ok) {
    test::check_message(parsed.message, payload);
    length = dataplane::write_refusal(refusal, frame, path, parsed.message, abi::Reason::no_such_right,
                                      limiter, now, false);
    test::require(length != 0 || parsed.message.kind != abi::Kind::request,
                  "a request is not refused: too short?");
  } else if (parsed.failure == abi::Counter::unknown_protocol) {
    length = dataplane::write_unknown_protocol(refusal, frame, path, limiter, now, false);
  }
  test::require(length <= frame.length, "the refusal is longer than the frame");
}

void try_frame(test::Input input, bool trust) {
  dataplane::PortIdentity port = test::node_identity();
  port.trust_checksums = trust;
  const auto parsed = dataplane::parse_frame(input.bytes(), port, dataplane::ChecksumStatus::unknown,
                                             dataplane::ChecksumStatus::unknown);
  if (parsed.kind == dataplane::FrameKind::dropped) return;
  test::require(test::lies_within(parsed.frame.payload, input.bytes()), "payload lies outside");
  if (parsed.kind == dataplane::FrameKind::message) return follow_message(parsed.frame, port);
  const std::size_t length = dataplane::answer_in_place(input.writable(), parsed, port);
  test::require(length <= input.bytes().size(), "the answer is longer than its room");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try_frame(test::Input(data, size), false);
  try_frame(test::Input(data, size), true);
  return 0;
}
