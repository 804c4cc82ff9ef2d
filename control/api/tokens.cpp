#include "control/api/tokens.hpp"

#include <algorithm>

#include "control/api/object.hpp"
#include "control/api/replies.hpp"
#include "control/capability/grants.hpp"
#include "control/clock.hpp"
#include "control/token/bundle.hpp"
#include "control/token/multibase.hpp"
#include "control/token/tokens.hpp"

namespace pgrid::control {
namespace {

constexpr std::uint64_t kExpiresDefaultS = 3600;

Json text_of_digest(const std::string& digest) {
  token::Digest bytes{};
  std::copy_n(digest.begin(), std::min(digest.size(), bytes.size()), bytes.begin());
  return token::cid_text(bytes);
}

std::string ref_text(const abi::RightRef& right) {
  return std::to_string(right.slot) + '.' + std::to_string(right.generation);
}

/// 422 with the word: {"error": {"code": "refused", "reason": "expired", "message"}}.
Response refused(token::Reason reason) {
  const std::string word(token::name_of(reason));
  Json body = {{"error",
                {{"code", "refused"},
                 {"reason", word},
                 {"message", word + ": " + std::string(token::sentence_of(reason))}}}};
  return {422, text_of(body)};
}

/// The process to which `right` leads, and the right: of a process's name its own, else SLOT.GENERATION or a
/// right's name.
Result<RightRecord> right_to_issue(const State& state, const std::string& name) {
  if (const ProcessRecord* process = find_process(state, name))
    if (const RightRecord* own = state.internal_right_of(process->index)) return *own;
  return find_right(state, name);
}

Json permissions_json(const std::optional<std::string>& can) { return can ? Json(*can) : Json(); }

}  // namespace

bool TokenRoutes::handle(const Request& request, const Target& target, const Respond& respond) {
  const std::vector<std::string>& path = target.path();
  if (path.size() < 2 || path[0] != "v1" || (path[1] != "tokens" && path[1] != "identity")) return false;
  const auto is_post = request.method == "POST";
  const bool is_get = request.method == "GET";
  if (path.size() == 2 && path[1] == "identity") {
    is_get ? identity(target, respond) : respond(wrong_method("GET"));
    return true;
  }
  if (const auto allowed = target.allow({}); !allowed && !is_get) {
    respond(error_response(allowed.error()));
    return true;
  }
  if (path.size() == 2 && path[1] == "tokens") {
    if (is_post) return issue(request, respond), true;
    is_get ? list(target, respond) : respond(wrong_method("GET or POST"));
    return true;
  }
  if (path.size() != 3 || path[1] != "tokens" || (path[2] != "redeem" && path[2] != "revoke")) return false;
  if (!is_post) return respond(wrong_method("POST")), true;
  path[2] == "redeem" ? redeem(request, respond) : revoke(request, respond);
  return true;
}

void TokenRoutes::identity(const Target& target, const Respond& respond) {
  if (const auto allowed = target.allow({"process"}); !allowed)
    return respond(error_response(allowed.error()));
  const std::optional<std::string> name = target.text("process");
  if (!name) {
    const Result<std::string> did = node_.identity().node_did();
    return respond(did ? ok({{"did", *did}, {"node", node_.config().name}}) : error_response(did.error()));
  }
  const ProcessRecord* process = find_process(node_.state(), *name);
  if (process == nullptr) return respond(error_response(no_such_process("identity", *name)));
  const auto key = node_.identity().key_of(*process);
  respond(key ? ok({{"did", (*key)->did()}, {"process", process->name}}) : error_response(key.error()));
}

void TokenRoutes::list(const Target& target, const Respond& respond) {
  if (const auto allowed = target.allow({}); !allowed) return respond(error_response(allowed.error()));
  const State& state = node_.state();
  const auto now = static_cast<std::uint64_t>(unix_s());
  std::map<std::string, Json> redeemed;  // by the root's digest
  for (const auto& [slot, right] : state.rights())
    if (!right.token.empty())
      if (const SpentInvocation* spent = node_.tokens().chain_of(right);
          spent != nullptr && !spent->links.empty())
        redeemed[spent->links.front()].push_back(ref_text({right.slot, right.generation}));
  Json list = Json::array();
  for (const auto& [digest, token] : state.issued_tokens()) {
    const ProcessRecord* process = state.process(token.process);
    const bool is_revoked =
        state.revoked_tokens().contains(digest) || node_.rights().find(token.right) == nullptr;
    Json view = {{"cid", text_of_digest(digest)},
                 {"audience", token.audience},
                 {"process", process == nullptr ? "" : process->name},
                 {"right", ref_text(token.right)},
                 {"expires_unix", token.expires_unix},
                 {"state", is_revoked                 ? "revoked"
                           : token.expires_unix < now ? "expired"
                                                      : "active"},
                 {"redeemed", redeemed.contains(digest) ? redeemed[digest] : Json::array()}};
    if (token.has_label) view["label"] = token.label;
    list.push_back(std::move(view));
  }
  respond(ok({{"tokens", std::move(list)}, {"revoked", state.revoked_tokens().size()}}));
}

void TokenRoutes::issue(const Request& request, const Respond& respond) {
  ObjectReader in(*request.body);
  const std::optional<std::string> name = in.text("right");
  const std::optional<std::string> to = in.text("to");
  const std::optional<std::string> can = in.text("can");
  Tokens::Order order;
  order.label = in.number("label", UINT64_MAX);
  order.terms.rate = in.number<std::uint32_t>("rate", INT32_MAX);
  order.terms.burst = in.number<std::uint32_t>("burst", INT32_MAX);
  order.terms.in_flight = in.number<std::uint32_t>("in_flight_max", 0xffff);
  order.terms.body_max = in.number<std::uint32_t>("body_max", abi::kBodyMax);
  order.terms.deadline_us = in.number<std::uint32_t>("deadline_max_us", kDeadlineMaxUs);
  const auto expires = in.number("expires_in_s", std::uint64_t{INT32_MAX});
  if (const auto finished = in.finish(); !finished) return respond(error_response(finished.error()));
  const auto missing = [&](const char* field, const char* remedy) {
    respond(
        error_response({Errc::invalid_argument, std::string("field \"") + field + '"', "missing", remedy}));
  };
  if (!name) return missing("right", "name a process, or a right as SLOT.GENERATION");
  if (!to) return missing("to", "give the DID of whoever is to hold it");
  if (can) order.terms.can = parse_permissions(*can);
  if (can && !order.terms.can)
    return respond(
        error_response({Errc::invalid_argument, "field \"can\"", permissions_json(can).dump() + " is unknown",
                        "give some of send,derive,carry"}));
  for (const auto* number :
       {&order.terms.rate, &order.terms.burst, &order.terms.in_flight, &order.terms.deadline_us})
    if (*number == 0u)
      return respond(error_response(
          {Errc::invalid_argument, "a limit", "0 is none", "leave it out, or give at least 1"}));
  const Result<RightRecord> right = right_to_issue(node_.state(), *name);
  if (!right) return respond(error_response(right.error()));
  const ProcessRecord* process = node_.state().process(right->process);
  if (process == nullptr) return respond(error_response(no_such_process("issue a token", *name)));
  if ((right->permissions & abi::kMayDerive) == 0)
    return respond(error_response({Errc::not_permitted, "right " + *name, "nothing may be derived from it",
                                   "issue the token for another right"}));
  order.right = {right->slot, right->generation};
  order.audience = *to;
  order.expires_unix = unix_s() + static_cast<std::int64_t>(expires.value_or(kExpiresDefaultS));
  const std::string process_name = process->name;
  node_.tokens().issue(
      *process, std::move(order),
      [respond, process_name, ref = ref_text({right->slot, right->generation})](const Result<Issued>& made) {
        if (!made) return respond(error_response(made.error()));
        respond(ok({{"token", token::bundle_text(made->bytes)},
                    {"cid", token::cid_text(made->cid)},
                    {"process", process_name},
                    {"right", ref},
                    {"expires_unix", made->expires_unix},
                    {"bytes", made->bytes.size()}},
                   201));
      });
}

void TokenRoutes::redeem(const Request& request, const Respond& respond) {
  ObjectReader in(*request.body);
  const std::optional<std::string> text = in.text("tokens");
  if (const auto finished = in.finish(); !finished) return respond(error_response(finished.error()));
  if (!text)
    return respond(error_response({Errc::invalid_argument, "field \"tokens\"", "missing",
                                   "give the invocation and its proofs, one behind the other, in base64"}));
  const std::string bytes = token::bundle_bytes(*text);
  const std::vector<token::Bytes> parts =
      token::split({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
  if (parts.empty()) return respond(refused(token::Reason::malformed));
  node_.tokens().redeem(
      parts.front(), std::span(parts).subspan(1), std::nullopt,
      [this, respond](const std::expected<RightRecord, Tokens::NotRedeemed>& right) {
        if (right) return respond(ok(right_view(node_, *right, /*secrets=*/true), 201));
        const Tokens::NotRedeemed& why = right.error();
        respond(why.reason == token::Reason::valid ? error_response(why.error) : refused(why.reason));
      });
}

void TokenRoutes::revoke(const Request& request, const Respond& respond) {
  ObjectReader in(*request.body);
  const std::optional<std::string> cid = in.text("cid");
  const std::optional<std::string> text = in.text("token");
  if (const auto finished = in.finish(); !finished) return respond(error_response(finished.error()));
  std::optional<token::Digest> digest;
  std::optional<token::Digest> payload;
  std::uint64_t until = 0;
  const std::string bytes = token::bundle_bytes(text.value_or(""));
  if (cid && !text) digest = token::token_digest_from_text(*cid);
  if (text && !cid && !bytes.empty()) {
    // Of several the last one, which the others lead to.
    const token::Bytes last =
        token::split({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}).back();
    token::Token one;
    if (token::read(last, false, token::Profile::node, one) == token::Reason::valid &&
        token::is_signed(one)) {
      digest = one.digest;
      payload = token::digest_of(one.signed_payload);
      until = static_cast<std::uint64_t>(std::max<std::int64_t>(*one.expires, 0)) + 1;
    }
  }
  if (!digest)
    return respond(error_response({Errc::invalid_argument, "revoke a token",
                                   "that is neither a token nor the CID of one",
                                   "give either \"cid\" or \"token\"; `pgrid cap ls --tokens` shows CIDs"}));
  node_.tokens().revoke(*digest, payload, until, [respond](const Result<RevokedRights>& ended) {
    if (!ended) return respond(error_response(ended.error()));
    if (ended->passed == Passed::stuck)
      return respond(error_response({Errc::timed_out, "revoke a token", "a poll core does not turn",
                                     "it is revoked all the same; look at the data plane"}));
    respond(ok({{"revoked", true},
                {"applies", ended->passed == Passed::at_restart ? "at_restart" : "now"},
                {"rights", ended->rights}}));
  });
}

}  // namespace pgrid::control
