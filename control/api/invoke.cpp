// POST /v1/invoke: one request through the data plane, with the process's own right or one that the caller
// holds.
#include <sodium.h>

#include <algorithm>

#include "abi/shared/reason.hpp"
#include "abi/wire/grid_uri.hpp"
#include "control/api/api.hpp"
#include "control/api/object.hpp"
#include "control/api/views.hpp"

namespace pgrid::control {
namespace {

std::string to_base64(const std::vector<std::uint8_t>& bytes) {
  std::string text(sodium_base64_encoded_len(bytes.size(), sodium_base64_VARIANT_ORIGINAL), '\0');
  sodium_bin2base64(text.data(), text.size(), bytes.data(), bytes.size(), sodium_base64_VARIANT_ORIGINAL);
  text.pop_back();  // the NUL that is counted in
  return text;
}

Result<std::vector<std::uint8_t>> from_base64(const std::string& text) {
  std::vector<std::uint8_t> bytes(text.size() / 4 * 3 + 3);
  std::size_t size = 0;
  const char* end = nullptr;
  if (sodium_base642bin(bytes.data(), bytes.size(), text.data(), text.size(), nullptr, &size, &end,
                        sodium_base64_VARIANT_ORIGINAL) != 0 ||
      end != text.data() + text.size())
    return fail(Errc::invalid_argument, "field \"body_base64\"", "not base64",
                "use the ordinary alphabet, with padding");
  if (size > abi::kBodyMax)
    return fail(Errc::invalid_argument, "field \"body_base64\"", std::to_string(size) + " bytes",
                "a message's body has at most " + std::to_string(abi::kBodyMax));
  bytes.resize(size);
  return bytes;
}

/// The right that a target names.
Result<Outbound> address_of(const Node& node, const std::string& target) {
  Outbound message;
  if (!target.starts_with("grid:")) {
    const ProcessRecord* process = node.state().process(target);
    const RightRecord* right = process == nullptr ? nullptr : node.state().internal_right_of(process->index);
    if (right == nullptr)
      return fail(Errc::not_found, "process " + target, "there is none of that name", "see pgrid ls");
    message.slot = right->slot;
    message.generation = right->generation;
    message.key = right->key;
    return message;
  }
  const auto uri = wire::grid_uri_from_text(target);
  if (!uri)
    return fail(Errc::invalid_argument, "field \"target\"", "not a grid URI",
                "give a process's name, or grid://HOST:PORT/ and 39 characters");
  if (!is_ours(node.config(), uri->host, uri->port))
    return fail(Errc::invalid_argument, "field \"target\"", "the URI is of another node",
                "send it a datagram: pgrid invoke --udp");
  message.slot = uri->right.slot;
  message.generation = uri->right.generation;
  message.key = uri->right.key;
  return message;
}

/// "5.1,desk": rights to carry along, at most four, with commas between them.
Result<std::vector<abi::RightRef>> rights_named(const State& state, std::string_view text) {
  std::vector<abi::RightRef> rights;
  while (!text.empty()) {
    const std::string_view one = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), one.size() + 1));
    const Result<RightRecord> right = find_right(state, one);
    if (!right) return std::unexpected(right.error());
    if (right->internal || (right->permissions & abi::kMayCarry) == 0)
      return fail(Errc::not_permitted, "right " + std::string(one), "may not be carried to others",
                  "take one that may: pgrid cap ls");
    if (rights.size() == abi::kCarriedRightsMax)
      return fail(Errc::invalid_argument, "field \"carry\"", "a message carries at most four rights");
    rights.push_back({right->slot, right->generation});
  }
  return rights;
}

/// Rights that an answer brought: whoever asked gets one derived from each, which dies with it. One after the
/// other.
void take_rights(Node& node, std::vector<abi::RightRef> brought, Json answer, Respond respond) {
  if (brought.empty()) return respond({200, text_of(answer)});
  const abi::RightRef one = brought.front();
  brought.erase(brought.begin());
  node.rights().derive(one, {}, {},
                       [&node, brought = std::move(brought), answer = std::move(answer),
                        respond](const Result<RightRecord>& right) mutable {
                         // One that died on the way is not there.
                         if (right) answer["rights"].push_back(right_brief(node, *right, /*secrets=*/true));
                         take_rights(node, std::move(brought), std::move(answer), respond);
                       });
}

}  // namespace

void Api::invoke(const Request& request, const Target& target, Respond respond) {
  if (request.method != "POST") {
    Response response =
        error_response({Errc::invalid_argument, "this path", "does not know that method", "use POST"});
    response.status = 405;
    return respond(std::move(response));
  }
  if (const auto allowed = target.allow({}); !allowed) return respond(error_response(allowed.error()));
  ObjectReader in(*request.body);
  const std::optional<std::string> name = in.text("target");
  const std::optional<std::string> body = in.text("body_base64");
  const std::optional<std::uint32_t> deadline_us = in.number<std::uint32_t>("deadline_us", kDeadlineMaxUs);
  const std::optional<std::string> carry = in.text("carry");
  if (const auto finished = in.finish(); !finished) return respond(error_response(finished.error()));
  if (!name)
    return respond(error_response(
        {Errc::invalid_argument, "field \"target\"", "missing", "give a process's name or a grid URI"}));
  Result<std::vector<std::uint8_t>> bytes = from_base64(body.value_or(""));
  if (!bytes) return respond(error_response(bytes.error()));
  Result<Outbound> message = address_of(node_, *name);
  if (!message) return respond(error_response(message.error()));
  message->body = std::move(*bytes);
  Result<std::vector<abi::RightRef>> carried = rights_named(node_.state(), carry.value_or(""));
  if (!carried) return respond(error_response(carried.error()));
  message->rights = std::move(*carried);
  // How long control itself waits follows from the right, where it knows it; the data plane judges the rest.
  const RightRecord* right = node_.state().right(message->slot);
  const std::uint32_t most = right == nullptr ? kDeadlineDefaultUs : right->deadline_max_us;
  const std::uint32_t asked = deadline_us.value_or(0);
  message->deadline_us = asked == 0 ? most : std::min(asked, most);
  node_.rings().send(*message, [this, respond = std::move(respond)](const Result<Answer>& answer) {
    if (!answer) return respond(error_response(answer.error()));
    Json json = {{"kind", std::string(abi::name_of(answer->kind))},
                 {"reason", std::string(abi::name_of(answer->reason))},
                 {"body_base64", to_base64(answer->body)},
                 {"round_trip_ns", answer->elapsed_ns}};
    if (answer->rights.empty()) return respond({200, text_of(json)});
    json["rights"] = Json::array();
    take_rights(node_, answer->rights, std::move(json), respond);
  });
}

}  // namespace pgrid::control
