// /v1/rights: made, derived, narrowed, listed, revoked by people, who may do so with every right of the node.
#include "control/api/api.hpp"
#include "control/api/object.hpp"
#include "control/api/replies.hpp"
#include "control/capability/grants.hpp"

namespace pgrid::control {
namespace {

/// The fields of a RightSpec, as JSON has them.
Result<RightSpec> read_spec(ObjectReader& in) {
  RightSpec spec;
  spec.label = in.number("label", UINT64_MAX);
  spec.rate = in.number<std::uint32_t>("rate", INT32_MAX);
  spec.burst = in.number<std::uint32_t>("burst", INT32_MAX);
  spec.in_flight_max = in.number<std::uint32_t>("in_flight_max", UINT32_MAX);
  spec.body_max = in.number<std::uint32_t>("body_max", UINT32_MAX);
  spec.deadline_max_us = in.number<std::uint32_t>("deadline_max_us", UINT32_MAX);
  spec.expires_in_s = in.number("expires_in_s", UINT64_MAX);
  if (const std::optional<std::string> can = in.text("can")) {
    spec.permissions = parse_permissions(*can);
    if (!spec.permissions)
      return fail(Errc::invalid_argument, "field \"can\"", "\"" + *can + "\" is not possible",
                  "give one or more of send, derive and carry, with commas between them");
  }
  return spec;
}

/// For whom a right is made, as JSON says it with "holder" and "as".
Result<RightOwner> read_owner(const State& state, const std::optional<std::string>& holder_name,
                              const std::optional<std::string>& as, const ProcessRecord& process) {
  RightOwner owner;
  if (holder_name) {
    const ProcessRecord* holder = find_process(state, *holder_name);
    if (holder == nullptr)
      return std::unexpected(no_such_process("create a right for a process to hold", *holder_name));
    Result<Holding> next = next_holding(state, *holder, as.value_or(process.name));
    if (!next) return std::unexpected(next.error());
    owner.holding = std::move(*next);
    return owner;
  }
  if (!as) return owner;
  if (Result<void> free = check_right_name(state, *as); !free) return std::unexpected(free.error());
  owner.name = *as;
  return owner;
}

Error not_secret() {
  return {Errc::invalid_argument, "create a right for a process to hold", "its secret is nobody's to see",
          "leave secrets out"};
}

Error bad_count() {
  return {Errc::invalid_argument, "field \"count\"", "zero, or with a holder or a name",
          "give 1 to " + std::to_string(kRightsAtOnce) + ", and neither of the others"};
}

Rights::OnManyCreated many_views(const Node& node, bool secrets, Respond respond) {
  return [&node, secrets, respond = std::move(respond)](const Result<std::vector<RightRecord>>& rights) {
    if (!rights) return respond(error_response(rights.error()));
    Json list = Json::array();
    for (const RightRecord& right : *rights) list.push_back(right_brief(node, right, secrets));
    respond(ok({{"count", rights->size()}, {"rights", std::move(list)}}, 201));
  };
}

Response changed(const Result<Passed>& passed, const char* what, std::size_t count) {
  if (!passed) return error_response(passed.error());
  if (*passed == Passed::stuck)
    return error_response({Errc::timed_out, what, "it is done, but a poll core has not turned for 2 s",
                           "see the data plane's log"});
  return ok({{what, true}, {"count", count}, {"applies", *passed == Passed::now ? "now" : "at_restart"}});
}

}  // namespace

void Api::rights(const Request& request, const Target& target, Respond respond) {
  const Result<bool> secrets = target.flag("secrets");
  if (!secrets) return respond(error_response(secrets.error()));
  if (request.method == "GET") return list_rights(target, *secrets, std::move(respond));
  if (request.method != "POST") return respond(wrong_method("GET or POST"));
  if (const auto allowed = target.allow({"secrets"}); !allowed)
    return respond(error_response(allowed.error()));
  create_right(request, *secrets, std::move(respond));
}

void Api::list_rights(const Target& target, bool secrets, Respond respond) {
  if (const auto allowed = target.allow({"process", "holder", "secrets"}); !allowed)
    return respond(error_response(allowed.error()));
  const auto named = [&](const std::optional<std::string>& name) {
    return name ? node_.state().process(*name) : nullptr;
  };
  const std::optional<std::string> name = target.text("process");
  const std::optional<std::string> holder_name = target.text("holder");
  const ProcessRecord* process = named(name);
  const ProcessRecord* holder = named(holder_name);
  if (name && process == nullptr) return respond(error_response(no_such_process("list rights", *name)));
  if (holder_name && holder == nullptr)
    return respond(error_response(no_such_process("list rights", *holder_name)));
  Json list = Json::array();
  for (const auto& [slot, right] : node_.state().rights())
    if ((process == nullptr || right.process == process->index) &&
        (holder == nullptr || (right.holding && right.holding->process == holder->index)))
      list.push_back(right_view(node_, right, secrets));
  respond(ok({{"rights", std::move(list)}}));
}

void Api::create_right(const Request& request, bool secrets, Respond respond) {
  ObjectReader in(*request.body);
  const std::optional<std::string> name = in.text("process");
  const std::optional<std::string> holder_name = in.text("holder");
  const std::optional<std::string> as = in.text("as");
  const std::optional<std::uint32_t> count = in.number<std::uint32_t>("count", kRightsAtOnce);
  const Result<RightSpec> spec = read_spec(in);
  if (const auto finished = in.finish(); !finished) return respond(error_response(finished.error()));
  if (!spec) return respond(error_response(spec.error()));
  if (!name)
    return respond(
        error_response({Errc::invalid_argument, "field \"process\"", "missing", "name the process"}));
  const ProcessRecord* process = find_process(node_.state(), *name);
  if (process == nullptr) return respond(error_response(no_such_process("create a right", *name)));
  if (count && (*count == 0 || holder_name || as)) return respond(error_response(bad_count()));
  if (count)
    return node_.rights().create_many(*spec, *process, *count,
                                      many_views(node_, secrets, std::move(respond)));
  Result<RightOwner> owner = read_owner(node_.state(), holder_name, as, *process);
  if (!owner) return respond(error_response(owner.error()));
  if (secrets && owner->holding) return respond(error_response(not_secret()));
  node_.rights().create(*spec, *process, std::move(*owner),
                        [this, secrets, respond = std::move(respond)](const Result<RightRecord>& right) {
                          if (!right) return respond(error_response(right.error()));
                          respond(ok(right_view(node_, *right, secrets), 201));
                        });
}

void Api::one_right(const Request& request, const Target& target, Respond respond) {
  const bool acts = target.path().size() == 4;
  if (request.method != (acts ? "POST" : "DELETE")) return respond(wrong_method(acts ? "POST" : "DELETE"));
  if (const auto allowed = acts ? target.allow({"secrets"}) : target.allow({}); !allowed)
    return respond(error_response(allowed.error()));
  const Result<RightRecord> right = find_right(node_.state(), target.path()[2]);
  if (!right) return respond(error_response(right.error()));
  if (acts && target.path()[3] == "derive") return derive_right(request, target, *right, std::move(respond));
  if (acts && target.path()[3] == "attenuate") return attenuate_right(request, *right, std::move(respond));
  if (acts)
    return respond(error_response(
        {Errc::not_found, "this path", "there is nothing here", "docs/API.md lists what there is"}));
  if (right->internal)
    return respond(error_response({Errc::not_permitted, "right " + target.path()[2],
                                   "is the one that pgrid invoke uses", "remove the process instead"}));
  const auto count = std::make_shared<std::size_t>(0);  // known before the callback comes, from the loop
  *count =
      node_.rights().revoke({*right}, [count, respond = std::move(respond)](const Result<Passed>& passed) {
        respond(changed(passed, "revoked", *count));
      });
}

void Api::derive_right(const Request& request, const Target& target, const RightRecord& parent,
                       Respond respond) {
  const Result<bool> secrets = target.flag("secrets");
  if (!secrets) return respond(error_response(secrets.error()));
  ObjectReader in(*request.body);
  const std::optional<std::string> holder_name = in.text("holder");
  const std::optional<std::string> as = in.text("as");
  const std::optional<std::uint32_t> count = in.number<std::uint32_t>("count", kRightsAtOnce);
  const Result<RightSpec> spec = read_spec(in);
  if (const auto finished = in.finish(); !finished) return respond(error_response(finished.error()));
  if (!spec) return respond(error_response(spec.error()));
  if (count && (*count == 0 || holder_name || as)) return respond(error_response(bad_count()));
  const ProcessRecord* process = node_.state().process(parent.process);
  if (process == nullptr || (parent.permissions & abi::kMayDerive) == 0)
    return respond(error_response({Errc::not_permitted, "right " + target.path()[2],
                                   "may not be derived from", "take one that may: pgrid cap ls"}));
  if (count)
    return node_.rights().derive_many({parent.slot, parent.generation}, *spec, *count,
                                      many_views(node_, *secrets, std::move(respond)));
  Result<RightOwner> owner = read_owner(node_.state(), holder_name, as, *process);
  if (!owner) return respond(error_response(owner.error()));
  if (*secrets && owner->holding) return respond(error_response(not_secret()));
  node_.rights().derive(
      {parent.slot, parent.generation}, *spec, std::move(*owner),
      [this, secrets = *secrets, respond = std::move(respond)](const Result<RightRecord>& right) {
        if (!right) return respond(error_response(right.error()));
        respond(ok(right_view(node_, *right, secrets), 201));
      });
}

void Api::attenuate_right(const Request& request, const RightRecord& right, Respond respond) {
  ObjectReader in(*request.body);
  const Result<RightSpec> spec = read_spec(in);
  if (const auto finished = in.finish(); !finished) return respond(error_response(finished.error()));
  if (!spec) return respond(error_response(spec.error()));
  if (spec->label)
    return respond(error_response({Errc::invalid_argument, "field \"label\"", "a right keeps its label",
                                   "derive one with another label"}));
  if (right.internal)
    return respond(error_response({Errc::not_permitted, "this right", "is the one that pgrid invoke uses",
                                   "deploy the process with a lower --rate instead"}));
  const std::size_t count = node_.state().tree_of(right.slot).size();
  node_.rights().attenuate({right.slot, right.generation}, *spec,
                           [count, respond = std::move(respond)](const Result<Passed>& passed) {
                             respond(changed(passed, "attenuated", count));
                           });
}

}  // namespace pgrid::control
