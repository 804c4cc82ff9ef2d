#include "control/api/api.hpp"

#include "control/api/events.hpp"
#include "control/api/replies.hpp"
#include "control/capability/grants.hpp"
#include "control/api/supervision_form.hpp"

namespace pgrid::control {
namespace {

Error no_process(const std::string& name) {
  return {Errc::not_found, "process " + name, "there is none of that name", "see pgrid ls"};
}

std::optional<std::uint32_t> small(const Result<std::optional<std::uint64_t>>& number) {
  if (!*number) return std::nullopt;
  return static_cast<std::uint32_t>(**number);
}

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
  if (is(4, "processes") && path[3] == "restart") return restart(request, target, std::move(respond));
  if (is(4, "processes") && path[3] == "logs") return logs(request, target, std::move(respond));
  if (is(2, "rights")) return rights(request, target, std::move(respond));
  if (is(3, "rights") || is(4, "rights")) return one_right(request, target, std::move(respond));
  if (is(2, "events")) return serve_events(node_, request, target, std::move(respond));
  if (is(2, "invoke")) return invoke(request, target, std::move(respond));
  if (tokens_.handle(request, target, respond)) return;
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
                                         "restart_period_ms", "strategy", "backoff_min_ms", "backoff_max_ms",
                                         "give_up_after", "group", "rest_for_one", "worker", "grant"},
                                        /*repeated=*/"grant");
      !allowed)
    return respond(error_response(allowed.error()));
  const auto memory = target.number("memory_bytes", UINT64_MAX);
  const auto time = target.number("time_limit_us", UINT32_MAX);
  const auto rate = target.number("rate", INT32_MAX);
  const auto worker = target.number("worker", UINT32_MAX);
  for (const auto* number : {&memory, &time, &rate, &worker})
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
                       .worker = small(worker),
                       .grants = {}};
  if (const auto read = read_supervision(target, deploy); !read) return respond(error_response(read.error()));
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

void Api::restart(const Request& request, const Target& target, Respond respond) {
  if (request.method != "POST") return respond(wrong_method("POST"));
  if (const auto allowed = target.allow({}); !allowed) return respond(error_response(allowed.error()));
  node_.processes().restart(target.path()[2], [this, respond = std::move(respond)](Result<std::uint32_t> index) {
    if (!index) return respond(error_response(index.error()));
    const ProcessRecord* process = node_.state().process(*index);
    if (process == nullptr)
      return respond(error_response({Errc::not_found, "restart", "it was removed meanwhile", ""}));
    respond(ok(process_view(node_, *process)));
  });
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

}  // namespace pgrid::control
