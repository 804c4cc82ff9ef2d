#include "control/api/api.hpp"

#include <charconv>

#include "control/api/object.hpp"
#include "control/api/views.hpp"

namespace pgrid::control {
namespace {

Response wrong_method(const char* allowed) {
  Response response = error_response(
      {Errc::invalid_argument, "this path", "does not know that method", std::string("use ") + allowed});
  response.status = 405;
  return response;
}

Error no_process(const std::string& name) {
  return {Errc::not_found, "process " + name, "there is none of that name", "see pgrid ls"};
}

std::optional<std::uint32_t> small(const Result<std::optional<std::uint64_t>>& number) {
  if (!*number) return std::nullopt;
  return static_cast<std::uint32_t>(**number);
}

/// SLOT.GENERATION
bool parse_right(std::string_view text, std::uint32_t& slot, std::uint32_t& generation) {
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, slot);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return false;
  const auto second = std::from_chars(first.ptr + 1, end, generation);
  return second.ec == std::errc{} && second.ptr == end;
}

Response ok(const Json& json, int status = 200) { return {status, text_of(json)}; }

}  // namespace

Response error_response(const Error& error) {
  struct Row {
    Errc code;
    int status;
    const char* name;
  };
  static constexpr Row rows[] = {
      {Errc::invalid_argument, 400, "invalid_argument"},
      {Errc::not_permitted, 403, "not_permitted"},
      {Errc::not_found, 404, "not_found"},
      {Errc::already_exists, 409, "already_exists"},
      {Errc::unsupported, 422, "refused"},
      {Errc::out_of_resources, 507, "out_of_resources"},
      {Errc::unavailable, 503, "unavailable"},
      {Errc::busy, 503, "unavailable"},
      {Errc::timed_out, 504, "timed_out"},
  };
  Row row{error.code, 500, "internal"};
  for (const Row& one : rows)
    if (one.code == error.code) row = one;
  return ok({{"error", {{"code", row.name}, {"message", error.sentence()}}}}, row.status);
}

std::uint64_t Api::body_max(std::string_view method, std::string_view target) const {
  const bool deploys = method == "POST" && target.substr(0, target.find('?')) == "/v1/processes";
  return deploys ? node_.config().limits.module_max : kBodyMax;
}

void Api::handle(const Request& request, Respond respond) {
  const Result<Target> parsed = Target::parse(request.target);
  if (!parsed) return respond(error_response(parsed.error()));
  const Target& target = *parsed;
  const std::vector<std::string>& path = target.path();
  const auto is = [&](std::size_t size, const char* second) {
    return path.size() == size && path[0] == "v1" && path[1] == second;
  };
  if (!request.body->empty() && request.method != "POST")
    return respond(error_response({Errc::invalid_argument, request.method, "takes no body", ""}));
  if (is(2, "node") || is(2, "stat")) {
    if (request.method != "GET") return respond(wrong_method("GET"));
    if (const auto allowed = target.allow({}); !allowed) return respond(error_response(allowed.error()));
    if (path[1] == "node") return respond(ok(node_view(node_)));
    if (node_.segments() == nullptr)
      return respond(error_response(
          {Errc::unavailable, "counters", "the data plane is away", "try again when it is back"}));
    return respond(ok(stat_view(node_)));
  }
  if (is(2, "processes")) return processes(request, target, std::move(respond));
  if (is(3, "processes")) return one_process(request, target, std::move(respond));
  if (is(4, "processes") && path[3] == "logs") return logs(request, target, std::move(respond));
  if (is(2, "rights")) return rights(request, target, std::move(respond));
  if (is(3, "rights")) return one_right(request, target, std::move(respond));
  if (is(2, "invoke")) return invoke(request, target, std::move(respond));
  respond(error_response(
      {Errc::not_found, "this path", "there is nothing here", "docs/API.md lists what there is"}));
}

void Api::processes(const Request& request, const Target& target, Respond respond) {
  if (request.method == "POST") return deploy(request, target, std::move(respond));
  if (request.method != "GET") return respond(wrong_method("GET or POST"));
  if (const auto allowed = target.allow({}); !allowed) return respond(error_response(allowed.error()));
  Json list = Json::array();
  for (const auto& [index, process] : node_.state().processes()) list.push_back(process_view(node_, process));
  respond(ok({{"processes", std::move(list)}}));
}

void Api::deploy(const Request& request, const Target& target, Respond respond) {
  if (const auto allowed = target.allow({"name", "memory_bytes", "time_limit_us", "rate", "restarts_max",
                                         "restart_period_ms", "worker", "grant"},
                                        /*repeated=*/"grant");
      !allowed)
    return respond(error_response(allowed.error()));
  const auto memory = target.number("memory_bytes", UINT64_MAX);
  const auto time = target.number("time_limit_us", UINT32_MAX);
  const auto rate = target.number("rate", INT32_MAX);
  const auto restarts = target.number("restarts_max", UINT32_MAX);
  const auto period = target.number("restart_period_ms", UINT32_MAX);
  const auto worker = target.number("worker", UINT32_MAX);
  for (const auto* number : {&memory, &time, &rate, &restarts, &period, &worker})
    if (!*number) return respond(error_response(number->error()));
  const std::optional<std::string> name = target.text("name");
  if (!name)
    return respond(error_response({Errc::invalid_argument, "deploy", "no name", "give one with ?name="}));
  if (request.content_type != "application/wasm")
    return respond(
        error_response({Errc::invalid_argument, "deploy", "the content type is not application/wasm",
                        "send the module with that content type"}));
  DeployRequest deploy{.name = *name,
                       .module = request.body,
                       .memory_bytes = *memory,
                       .time_limit_us = small(time),
                       .rate = small(rate).value_or(0),
                       .restarts_max = small(restarts).value_or(kRestartsDefault),
                       .restart_period_ms = small(period).value_or(kRestartPeriodDefaultMs),
                       .worker = small(worker),
                       .grants = {}};
  for (const std::string& text : target.texts("grant")) {
    Result<GrantRequest> grant = parse_grant(text);
    if (!grant) return respond(error_response(grant.error()));
    deploy.grants.push_back(std::move(*grant));
  }
  node_.processes().deploy(
      std::move(deploy), [this, respond = std::move(respond)](Result<std::uint32_t> index) {
        if (!index) return respond(error_response(index.error()));
        const ProcessRecord* process = node_.state().process(*index);
        if (process == nullptr)
          return respond(error_response({Errc::not_found, "deploy", "it was removed meanwhile", ""}));
        respond(ok(process_view(node_, *process), 201));
      });
}

void Api::one_process(const Request& request, const Target& target, Respond respond) {
  if (const auto allowed = target.allow({}); !allowed) return respond(error_response(allowed.error()));
  const std::string& name = target.path()[2];
  if (request.method == "DELETE") {
    node_.processes().remove(name, [respond = std::move(respond)](const Result<void>& removed) {
      respond(removed ? ok({{"removed", true}}) : error_response(removed.error()));
    });
    return;
  }
  if (request.method != "GET") return respond(wrong_method("GET or DELETE"));
  const ProcessRecord* process = node_.state().process(name);
  if (process == nullptr) return respond(error_response(no_process(name)));
  Json view = process_view(node_, *process);
  view["rights"] = Json::array();
  for (const RightRecord& right : node_.state().rights_of(process->index))
    view["rights"].push_back(right_view(node_, right, false));
  view["grants"] = Json::array();
  for (const RightRecord& right : node_.state().held_by(process->index))
    view["grants"].push_back(right_view(node_, right, false));
  respond(ok(view));
}

void Api::logs(const Request& request, const Target& target, Respond respond) {
  if (request.method != "GET") return respond(wrong_method("GET"));
  if (const auto allowed = target.allow({"after", "wait_ms"}); !allowed)
    return respond(error_response(allowed.error()));
  const auto after = target.number("after", UINT64_MAX);
  const auto wait_ms = target.number("wait_ms", kLogWaitMaxMs);
  if (!after) return respond(error_response(after.error()));
  if (!wait_ms) return respond(error_response(wait_ms.error()));
  const ProcessRecord* process = node_.state().process(target.path()[2]);
  if (process == nullptr) return respond(error_response(no_process(target.path()[2])));
  const std::uint64_t seq = after->value_or(0);
  node_.logs().when_lines(
      process->index, seq, std::chrono::milliseconds(wait_ms->value_or(0)),
      [seq, respond = std::move(respond)](const std::vector<LogLine>& lines) {
        Json list = Json::array();
        for (const LogLine& line : lines) list.push_back(log_view(line));
        respond(ok({{"lines", std::move(list)}, {"next", lines.empty() ? seq : lines.back().seq}}));
      });
}

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
  if (name && process == nullptr) return respond(error_response(no_process(*name)));
  if (holder_name && holder == nullptr) return respond(error_response(no_process(*holder_name)));
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
  RightSpec spec;
  spec.label = in.number("label", UINT64_MAX).value_or(0);
  spec.rate = in.number<std::uint32_t>("rate", INT32_MAX);
  spec.burst = in.number<std::uint32_t>("burst", INT32_MAX);
  spec.in_flight_max = in.number<std::uint32_t>("in_flight_max", UINT32_MAX);
  spec.body_max = in.number<std::uint32_t>("body_max", UINT32_MAX);
  spec.deadline_max_us = in.number<std::uint32_t>("deadline_max_us", UINT32_MAX);
  spec.expires_in_s = in.number("expires_in_s", UINT64_MAX);
  if (const auto finished = in.finish(); !finished) return respond(error_response(finished.error()));
  if (!name)
    return respond(
        error_response({Errc::invalid_argument, "field \"process\"", "missing", "name the process"}));
  const ProcessRecord* process = find_process(node_.state(), *name);
  if (process == nullptr) return respond(error_response(no_such_process("create a right", *name)));
  std::optional<Holding> holding;
  if (holder_name) {
    const ProcessRecord* holder = find_process(node_.state(), *holder_name);
    if (holder == nullptr)
      return respond(error_response(no_such_process("create a right for a process to hold", *holder_name)));
    Result<Holding> next = next_holding(node_.state(), *holder, as.value_or(process->name));
    if (!next) return respond(error_response(next.error()));
    holding = std::move(*next);
  }
  if (as && !holding)
    return respond(
        error_response({Errc::invalid_argument, "field \"as\"",
                        "only a right that a process holds has a name", "name the process as \"holder\""}));
  if (secrets && holding)
    return respond(error_response({Errc::invalid_argument, "create a right for a process to hold",
                                   "its secret is nobody's to see", "leave secrets out"}));
  node_.rights().create(spec, *process, std::move(holding),
                        [this, secrets, respond = std::move(respond)](const Result<RightRecord>& right) {
                          if (!right) return respond(error_response(right.error()));
                          respond(ok(right_view(node_, *right, secrets), 201));
                        });
}

void Api::one_right(const Request& request, const Target& target, Respond respond) {
  if (request.method != "DELETE") return respond(wrong_method("DELETE"));
  if (const auto allowed = target.allow({}); !allowed) return respond(error_response(allowed.error()));
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  if (!parse_right(target.path()[2], slot, generation))
    return respond(
        error_response({Errc::invalid_argument, "right " + target.path()[2], "is not SLOT.GENERATION", ""}));
  const RightRecord* right = node_.state().right(slot);
  if (right == nullptr || right->generation != generation)
    return respond(
        error_response({Errc::not_found, "right " + target.path()[2], "there is none", "see pgrid cap ls"}));
  if (right->internal)
    return respond(error_response({Errc::not_permitted, "right " + target.path()[2],
                                   "is the one that pgrid invoke uses", "remove the process instead"}));
  node_.rights().revoke({*right}, [respond = std::move(respond)](const Result<Passed>& passed) {
    if (!passed) return respond(error_response(passed.error()));
    if (*passed == Passed::stuck)
      return respond(
          error_response({Errc::timed_out, "revoke", "it is revoked, but a poll core has not turned for 2 s",
                          "see the data plane's log"}));
    respond(ok({{"revoked", true}, {"applies", *passed == Passed::now ? "now" : "at_restart"}}));
  });
}

}  // namespace pgrid::control
