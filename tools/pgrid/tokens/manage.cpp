// Tokens in `pgrid cap revoke` and `pgrid cap ls`.
#include <unistd.h>

#include "control/token/bundle.hpp"
#include "control/token/cid.hpp"
#include "control/token/token.hpp"
#include "tools/pgrid/tokens/commands.hpp"
#include "tools/pgrid/tokens/token_input.hpp"

namespace pgrid::tools {

std::optional<ExitCode> revoke_token(Context& context, const std::string& what) {
  nlohmann::json body;
  if (token::token_digest_from_text(what)) {
    body["cid"] = what;
  } else {
    if (::access(what.c_str(), F_OK) != 0 && what.size() < 100) return std::nullopt;
    const Result<std::string> bytes = read_tokens(what);
    if (!bytes) return context.printer.report(ExitCode::usage, bytes.error());
    // A right's name may be a file's too.
    const std::vector<token::Bytes> parts = token::split(bytes_of(*bytes));
    token::Token last;
    if (parts.empty() || token::read(parts.back(), false, token::Profile::node, last) != token::Reason::valid)
      return std::nullopt;
    body["token"] = token::bundle_text(bytes_of(*bytes));
  }
  const auto answer = context.api.call({.method = "POST", .path = "/v1/tokens/revoke", .body = body.dump()});
  if (!answer) return context.report(answer.error());
  if (context.printer.json()) context.printer.print(*answer);
  const std::uint64_t rights = number_of(*answer, "rights");
  context.printer.say("the token is revoked, and " + std::to_string(rights) +
                      (rights == 1 ? " right that was" : " rights that were") + " redeemed with it" +
                      (text_of(*answer, "applies") == "at_restart"
                           ? "; the data plane is away, and will not know them when it is back"
                           : ""));
  return ExitCode::ok;
}

ExitCode list_tokens(Context& context) {
  const auto answer = context.api.call({.path = "/v1/tokens"});
  if (!answer) return context.report(answer.error());
  if (context.printer.json()) {
    context.printer.print(*answer);
    return ExitCode::ok;
  }
  Table table({"TOKEN", "PROCESS", "RIGHT", "FOR", "EXPIRES", "STATE", "REDEEMED"});
  for (const auto& token : answer->value("tokens", nlohmann::json::array())) {
    std::string redeemed;
    for (const auto& right : token.value("redeemed", nlohmann::json::array()))
      redeemed += (redeemed.empty() ? "" : " ") + right.get<std::string>();
    table.add({text_of(token, "cid"), text_of(token, "process"), text_of(token, "right"), text_of(token, "audience"),
               date_text(number_of(token, "expires_unix")), text_of(token, "state"), redeemed.empty() ? "-" : redeemed});
  }
  if (table.empty())
    context.printer.say("no token yet; make one: pgrid cap grant NAME --to DID" + context.node_option());
  else
    context.printer.print(table);
  return ExitCode::ok;
}

}  // namespace pgrid::tools
