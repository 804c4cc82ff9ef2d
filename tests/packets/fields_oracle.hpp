// What `find_fields` finds beside what the generated verifier and accessors say of the same bytes.
#pragma once

#include <string>

#include "dataplane/message_fields.hpp"

namespace pgrid::test {

/// Empty when both agree. REQUIRES: `content` begins on a multiple of 4.
inline std::string disagreement(std::span<const std::uint8_t> content) {
  dataplane::MessageFields fields;
  const bool found = dataplane::find_fields(content, fields);
  flatbuffers::Verifier verifier(content.data(), content.size(), 1, 1);
  const bool valid = wire::VerifyMessageBuffer(verifier);
  if (found != valid) return found ? "found, but not valid" : "valid, but not found";
  if (!valid) return {};
  const wire::Message& message = *wire::GetMessage(content.data());
  const auto at = [&](std::uint32_t offset) -> const void* { return offset == 0 ? nullptr : content.data() + offset; };
  std::string wrong;
  const auto expect = [&](const char* name, bool same) {
    if (!same) wrong += std::string(wrong.empty() ? "" : ", ") + name;
  };
  const auto scalar = [&]<typename T>(const char* name, std::uint32_t offset, T value) {
    T here{};
    if (offset != 0) std::memcpy(&here, content.data() + offset, sizeof here);
    expect(name, here == value);
  };
  scalar("kind", fields.kind, static_cast<std::uint8_t>(message.kind()));
  scalar("deadline_us", fields.deadline_us, message.deadline_us());
  scalar("reason", fields.reason, message.reason());
  expect("to", at(fields.to) == message.to());
  expect("reply_to", at(fields.reply_to) == message.reply_to());
  expect("id", at(fields.id) == message.id());
  expect("rights", at(fields.rights) == message.rights());
  expect("body", at(fields.body) == message.body());
  return wrong;
}

}  // namespace pgrid::test
