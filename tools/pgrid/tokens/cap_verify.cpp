// pgrid cap verify: whether an invocation with its proofs would be taken, asked of nobody.
#include "control/token/bundle.hpp"
#include "control/token/chain.hpp"
#include "tools/pgrid/tokens/commands.hpp"
#include "tools/pgrid/tokens/token_input.hpp"

namespace pgrid::tools {
namespace {

/// A JSON array of CIDs in any base.
Result<token::RevocationList> read_revoked(const std::string& path) {
  const auto wrong = [&](std::string cause) {
    return fail(Errc::invalid_argument, path, std::move(cause), "give a JSON array of CIDs, as in [\"zdpu...\"]");
  };
  token::RevocationList list;
  if (path.empty()) return list;
  const Result<std::string> text = read_text(path, kTokenFileMax);
  if (!text) return std::unexpected(text.error());
  const auto json = nlohmann::json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return wrong("is no JSON array");
  for (const auto& one : json) {
    if (!one.is_string()) return wrong("holds something that is no CID");
    const auto cid = token::cid_from_text(one.get<std::string>());
    if (!cid) return wrong('"' + one.get<std::string>() + "\" is no CID");
    // One of something else names no token: nothing is revoked by it.
    if (const auto digest = token::token_digest(bytes_of(*cid))) list.add(*digest);
  }
  return list;
}

class CapVerify : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("verify", "Say whether an invocation and the tokens that it relies on are valid: `valid`, or "
                                                 "exit status 1 and one word that says why not. Needs no node.");
    own.add_option("INVOCATION", invocation_, "the invocation: a file, or the token itself in base64").required();
    own.add_option("PROOF", proofs_, "the delegations that it names, in any order; a file may hold several");
    own.add_option("--at", at_, "when it is used, in Unix seconds").required().type_name("UNIX");
    own.add_option("--audience", audience_, "DID of whoever is to carry it out").required().type_name("DID");
    own.add_option("--profile", profile_, "node: what this node takes; spec: what UCAN 1.0.0 allows")
        .one_of({"node", "spec"})
        .show_default();
    own.add_option("--revoked", revoked_, "file with a JSON array of CIDs of tokens that are revoked").type_name(kFileWord);
    own.footer("\nExample:\n  pgrid cap verify --at $(date +%s) --audience $(pgrid id) invocation.ucan token.ucan");
    return own;
  }

  ExitCode run(Context& context) override {
    std::vector<std::string> files;
    for (const std::string& argument : arguments()) {
      Result<std::string> bytes = read_tokens(argument);
      if (!bytes) return context.printer.report(ExitCode::usage, bytes.error());
      files.push_back(std::move(*bytes));
    }
    const Result<token::RevocationList> revoked = read_revoked(revoked_);
    if (!revoked) return context.printer.report(ExitCode::usage, revoked.error());
    std::vector<token::Bytes> tokens;
    for (const std::string& bytes : files) {
      const std::vector<token::Bytes> parts = token::split(bytes_of(bytes));
      if (parts.empty()) tokens.emplace_back();  // an empty file is a malformed token, not none
      tokens.insert(tokens.end(), parts.begin(), parts.end());
    }
    const std::string_view audiences[] = {identity::without_fragment(audience_)};
    token::Chain chain;
    const token::Reason reason =
        token::verify(tokens.front(), std::span(tokens).subspan(1),
                      {.at = at_,
                       .audiences = audiences,
                       .profile = profile_ == "spec" ? token::Profile::spec : token::Profile::node,
                       .revocations = &*revoked},
                      chain);
    return say(context, reason);
  }

 private:
  [[nodiscard]] std::vector<std::string> arguments() const {
    std::vector<std::string> all{invocation_};
    all.insert(all.end(), proofs_.begin(), proofs_.end());
    return all;
  }

  static ExitCode say(const Context& context, token::Reason reason) {
    const bool is_valid = reason == token::Reason::valid;
    const std::string word(token::name_of(reason));
    if (context.printer.json()) {
      nlohmann::json answer{{"valid", is_valid}};
      if (!is_valid) answer["reason"] = word;
      if (!is_valid) answer["message"] = std::string(token::sentence_of(reason));
      context.printer.print(answer);
    }
    context.printer.say(word);
    return is_valid ? ExitCode::ok : ExitCode::refused;
  }

  std::string invocation_;
  std::vector<std::string> proofs_;
  std::int64_t at_ = 0;
  std::string audience_;
  std::string profile_ = "node";
  std::string revoked_;
};

}  // namespace

std::unique_ptr<Command> make_cap_verify() { return std::make_unique<CapVerify>(); }

}  // namespace pgrid::tools
