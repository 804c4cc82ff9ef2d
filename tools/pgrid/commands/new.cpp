// pgrid new: a function that builds and deploys.
#include <algorithm>
#include <fstream>

#include "tools/pgrid/command.hpp"
#include "tools/pgrid/guest_header.hpp"  // generated from abi/guest/promisegrid.h

namespace pgrid::tools {
namespace {

// NAME stands for the function's name in each.
constexpr char kSource[] = R"(// NAME: answers every request with a greeting.
#include "promisegrid.h"

static uint32_t append(uint8_t* body, uint32_t at, const char* text) {
  while (*text != 0 && at < PG_BODY_MAX) body[at++] = (uint8_t)*text++;
  return at;
}

// Called when messages wait. Drain them and return; there is nothing to block on. Globals keep their values from one
// call to the next, until a trap or a passed limit starts the function afresh.
PG_EXPORT("pg_activate") void pg_activate(void) {
  static struct pg_buffer message;  // not on the stack: a guest's stack is small
  while (pg_receive_message(&message) == 1) {
    if (message.header.kind != PG_REQUEST) continue;
    if (message.header.body_length == 0) {
      pg_log("somebody sent nothing");
      pg_decline(&message);
      continue;
    }
    // What was sent moves up by the length of the greeting.
    static uint8_t name[PG_BODY_MAX];
    const uint32_t length = message.header.body_length;
    for (uint32_t i = 0; i < length; ++i) name[i] = message.body[i];
    uint32_t at = append(message.body, 0, "hello, ");
    for (uint32_t i = 0; i < length && at < PG_BODY_MAX; ++i) message.body[at++] = name[i];
    pg_answer(&message, at);
  }
}
)";

constexpr char kMakefile[] = R"(# `make` builds NAME.wasm, `make deploy` runs it on the node. Needs clang with the wasm32 target, and lld.
CLANG ?= $(shell command -v clang-19 || command -v clang)
PGRID ?= pgrid

NAME.wasm: NAME.c promisegrid.h Makefile
	$(CLANG) --target=wasm32 -O2 -Wall -Wextra -ffreestanding -nostdlib -mbulk-memory \
	  -Wl,--no-entry -Wl,-z,stack-size=16384 -o $@ $<

.PHONY: deploy clean
deploy: NAME.wasm
	$(PGRID) deploy $<
clean:
	rm -f NAME.wasm
)";

constexpr char kReadme[] = R"(# NAME

A PromiseGrid function in C. `NAME.c` is all of it; `promisegrid.h` is what it imports and what it sees of a message.

    make                          builds NAME.wasm
    pgrid deploy NAME.wasm        runs it on the node (--memory, --time-limit, --rate: what it may use)
    pgrid invoke NAME world       calls it: "hello, world"
    pgrid logs -f NAME            what it wrote with pg_log, its traps and restarts
    pgrid cap create NAME --show-secret    a right that other machines can call it with
    pgrid rm NAME                 removes it
)";

std::string filled(std::string text, const std::string& name) {
  for (std::size_t at = 0; (at = text.find("NAME", at)) != std::string::npos; at += name.size()) text.replace(at, 4, name);
  return text;
}

bool is_name(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && name.size() <= 63 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) {
           return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

class New : public Command {
 public:
  CLI::App* declare(CLI::App& app) override {
    CLI::App* own = app.add_subcommand("new", "Make a folder with a function of your own that builds with `make`.");
    own->add_option("--lang", lang_, "language (c)")->check(CLI::IsMember({"c"}))->capture_default_str();
    own->add_option("NAME", name_, "name of the function and of the folder")->required();
    own->footer("\nExample:\n  pgrid new --lang c hello && make -C hello && pgrid deploy hello/hello.wasm");
    return own;
  }

  ExitCode run(Context& context) override {
    const std::filesystem::path folder = name_;
    const std::string name = folder.filename().string();
    const auto refuse = [&](std::string cause, std::string remedy = {}) {
      return context.printer.report(ExitCode::usage, Error{Errc::invalid_argument, "make " + folder.string(),
                                                           std::move(cause), std::move(remedy)});
    };
    if (!is_name(name)) return refuse("a name is up to 63 letters, digits, '-' and '_', and begins with a letter");
    std::error_code status;
    if (std::filesystem::exists(folder, status)) return refuse("it is there already", "choose another name, or remove it");
    if (!std::filesystem::create_directories(folder, status)) return refuse(status.message());
    const std::pair<std::string, std::string> files[] = {{name + ".c", filled(kSource, name)},
                                                         {"promisegrid.h", kGuestHeader},
                                                         {"Makefile", filled(kMakefile, name)},
                                                         {"README.md", filled(kReadme, name)},
                                                         {".gitignore", "*.wasm\n"}};
    for (const auto& [file, text] : files) {
      std::ofstream out(folder / file);
      out << text;
      if (!out.flush()) return refuse("cannot write " + file);
    }
    if (context.printer.json()) context.printer.print(nlohmann::json{{"folder", folder.string()}, {"name", name}});
    context.printer.say("made " + folder.string() + "/; next: make -C " + folder.string() + " && pgrid deploy " +
                        (folder / (name + ".wasm")).string() + context.node_option());
    return ExitCode::ok;
  }

 private:
  std::string lang_ = "c";
  std::string name_;
};

}  // namespace

std::unique_ptr<Command> make_new() { return std::make_unique<New>(); }

}  // namespace pgrid::tools
