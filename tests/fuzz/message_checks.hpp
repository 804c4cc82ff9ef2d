// What must hold for every message that the parser lets through.
#pragma once

#include <algorithm>

#include "abi/shared/geometry.hpp"
#include "dataplane/answer.hpp"
#include "dataplane/parse.hpp"
#include "tests/fuzz/fuzz_target.hpp"

namespace pgrid::test {

/// Reads everything that `message` points at; all of it must lie within `payload`.
inline void check_message(const dataplane::MessageView& message, std::span<const std::byte> payload) {
  const auto check_right = [&](const dataplane::RightOnWire* right) {
    if (right == nullptr) return;
    require(lies_within({reinterpret_cast<const std::byte*>(right), sizeof *right}, payload),
            "right lies outside");
    std::uint32_t sum = right->slot() + right->generation();
    for (unsigned i = 0; i < 16; ++i) sum += right->key()->Get(i);
    volatile std::uint32_t read = sum;
    (void)read;
  };
  check_right(message.to);
  check_right(message.reply_to);
  require(message.kind != abi::Kind::request || message.to != nullptr, "request without a right");
  require(static_cast<unsigned>(message.kind) < abi::kKindCount, "unknown kind");
  require(message.nb_rights <= abi::kCarriedRightsMax, "too many rights");
  require(lies_within(message.body, payload), "body lies outside");
  if (message.body.size() > abi::kBodyMax) return;

  // Echo it: the answer must say the same and be the right size.
  dataplane::ReturnPath path{};
  path.ip_version = 6;
  alignas(4) std::byte frame[dataplane::kAnswerFrameMax];
  const dataplane::AnswerFields fields{abi::Kind::answer, abi::Reason::none, message.id, message.reply_to};
  const std::size_t size = dataplane::write_answer_frame(frame, path, fields, message.body, false);
  dataplane::PayloadScratch scratch;
  const auto echoed = dataplane::parse_message(scratch.align({frame + 62, size - 62}));
  require(echoed.ok, "the answer does not parse");
  require(echoed.message.id == message.id, "another id");
  require((echoed.message.to != nullptr) == (message.reply_to != nullptr), "another right");
  require(std::ranges::equal(echoed.message.body, message.body), "another body");
}

}  // namespace pgrid::test
