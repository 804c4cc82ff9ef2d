#include "tools/wire_client/datagram.hpp"

#include <array>
#include <cstring>

#include "abi/shared/geometry.hpp"
#include "abi/wire/message_generated.h"

namespace pgrid::tools {

Result<RequestDatagram> RequestDatagram::build(const wire::RightRef& to, std::span<const std::byte> body,
                                               std::uint64_t id, std::uint32_t deadline_us) {
  if (body.size() > abi::kBodyMax)
    return fail(Errc::invalid_argument, "a body of " + std::to_string(body.size()) + " bytes",
                "messages carry at most " + std::to_string(abi::kBodyMax), "send less, or larger data by its CID");
  flatbuffers::FlatBufferBuilder builder(2 * wire::kPayloadMax);
  const auto body_at = builder.CreateVector(reinterpret_cast<const std::uint8_t*>(body.data()), body.size());
  const wire::Right right(to.slot, to.generation, flatbuffers::span<const std::uint8_t, 16>(to.key));
  const std::array<std::uint8_t, 8> no_id{};
  const wire::Id id_struct{flatbuffers::span<const std::uint8_t, 8>(no_id)};
  wire::MessageBuilder message(builder);
  message.add_body(body_at);
  message.add_deadline_us(deadline_us);
  message.add_id(&id_struct);
  message.add_to(&right);
  message.add_kind(wire::Kind::request);
  builder.Finish(message.Finish());

  RequestDatagram datagram;
  const std::span<const std::uint8_t> content(builder.GetBufferPointer(), builder.GetSize());
  datagram.bytes_.resize(wire::kFlatBufferOffset + content.size());
  wire::write_envelope(datagram.bytes_.data(), content.size());
  std::memcpy(datagram.bytes_.data() + wire::kFlatBufferOffset, content.data(), content.size());
  const wire::Message* written = wire::GetMessage(content.data());
  const auto offset_of = [&](const std::uint8_t* at) {
    return wire::kFlatBufferOffset + static_cast<std::size_t>(at - content.data());
  };
  datagram.id_offset_ = offset_of(written->id()->bytes()->data());
  datagram.body_offset_ = offset_of(written->body()->data());
  datagram.body_size_ = body.size();
  datagram.set_id(id);
  return datagram;
}

void RequestDatagram::set_id(std::uint64_t id) { std::memcpy(bytes_.data() + id_offset_, &id, sizeof id); }

std::expected<Answer, NotAnAnswer> read_answer(std::span<const std::byte> datagram) {
  const wire::OpenedEnvelope opened = wire::open_envelope(datagram);
  if (opened.verdict != wire::Envelope::message_1) return std::unexpected(NotAnAnswer::envelope);
  alignas(4) std::array<std::byte, wire::kFlatBufferMax> aligned;  // for a datagram that lies at another address
  const std::byte* begin = opened.content.data();
  if (reinterpret_cast<std::uintptr_t>(begin) % alignof(std::uint32_t) != 0) {
    std::memcpy(aligned.data(), begin, opened.content.size());
    begin = aligned.data();
  }
  const auto* content = reinterpret_cast<const std::uint8_t*>(begin);
  flatbuffers::Verifier verifier(content, opened.content.size(), 8, 64);
  if (!wire::VerifyMessageBuffer(verifier)) return std::unexpected(NotAnAnswer::message);
  const wire::Message* message = wire::GetMessage(content);
  if (message->id() == nullptr) return std::unexpected(NotAnAnswer::message);
  Answer answer{static_cast<abi::Kind>(message->kind()), static_cast<abi::Reason>(message->reason()), 0, {}};
  if (answer.kind != abi::Kind::answer && answer.kind != abi::Kind::non_commitment)
    return std::unexpected(NotAnAnswer::kind);
  std::memcpy(&answer.id, message->id()->bytes()->data(), sizeof answer.id);
  if (const auto* body = message->body())  // in the datagram, not in the copy
    answer.body = opened.content.subspan(static_cast<std::size_t>(body->data() - content), body->size());
  return answer;
}

}  // namespace pgrid::tools
