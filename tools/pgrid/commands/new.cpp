// pgrid new: a function that builds and deploys.
#include <algorithm>
#include <fstream>

#include "tools/pgrid/command.hpp"
#include "tools/pgrid/templates.hpp"  // generated from templates/ and abi/guest/

namespace pgrid::tools {
namespace {

struct File {
  std::string path;     // in the folder; NAME stands for the function's name
  const char* text;     // the same here, unless
  bool as_is = false;
};

struct Language {
  const char* word;   // of --lang
  const char* needs;  // what builds it
  std::vector<File> files;
};

const std::vector<Language>& languages() {
  static const std::vector<Language> all{
      {"c", "clang and lld",
       {{"NAME.c", kTemplateC}, {"promisegrid.h", kGuestHeader, true}, {"pg_control.h", kGuestControl, true},
        {"pg_six.h", kGuestSix, true}, {"Makefile", kTemplateCMakefile}, {"README.md", kTemplateCReadme},
        {".gitignore", "*.wasm\n"}}},
      {"rust", "Rust with the target wasm32-unknown-unknown",
       {{"src/lib.rs", kTemplateRust}, {"src/promisegrid.rs", kGuestRust, true}, {"Cargo.toml", kTemplateRustCargo},
        {".cargo/config.toml", kTemplateRustConfig}, {"Makefile", kTemplateRustMakefile}, {"README.md", kTemplateRustReadme},
        {".gitignore", "*.wasm\n/target\n"}}}};
  return all;
}

void replace_all(std::string& text, const std::string& what, const std::string& with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) text.replace(at, what.size(), with);
}

/// CRATE is what cargo makes of a name: an identifier.
std::string filled(std::string text, const std::string& name) {
  std::string crate = name;
  std::replace(crate.begin(), crate.end(), '-', '_');
  replace_all(text, "CRATE", crate);
  replace_all(text, "NAME", name);
  return text;
}

/// As the names of processes are, so that `pgrid deploy` can take the file's; a language wants a letter first.
bool is_name(const std::string& name) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && name.size() <= 63 && letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '-'; });
}

class New : public Command {
 public:
  Subcommand declare(Subcommand app) override {
    Subcommand own = app.add_subcommand("new", "Make a folder with a function of your own that builds with `make`.");
    std::vector<std::string> words;
    for (const Language& language : languages()) words.emplace_back(language.word);
    own.add_option("--lang", lang_, "the language to write it in").one_of(words).show_default();
    own.add_option("NAME", name_, "name of the function and of the folder").required();
    own.footer("\nExamples:\n  pgrid new --lang c hello && make -C hello && pgrid deploy hello/hello.wasm\n"
                "  pgrid new --lang rust hello && make -C hello && pgrid deploy hello/hello.wasm");
    return own;
  }

  ExitCode run(Context& context) override {
    const std::filesystem::path folder = name_;
    const std::string name = folder.filename().string();
    const auto refuse = [&](std::string cause, std::string remedy = {}) {
      return context.printer.report(ExitCode::usage, Error{Errc::invalid_argument, "make " + folder.string(),
                                                           std::move(cause), std::move(remedy)});
    };
    if (!is_name(name)) return refuse("a name is 1 to 63 of a-z, 0-9 and '-', and begins with a letter", "choose such a name");
    std::error_code status;
    if (std::filesystem::exists(folder, status)) return refuse("it is there already", "choose another name, or remove it");
    const Language& language = *std::ranges::find_if(languages(), [this](const Language& one) { return one.word == lang_; });
    for (const File& file : language.files) {
      const std::filesystem::path path = folder / filled(file.path, name);
      std::filesystem::create_directories(path.parent_path(), status);
      std::ofstream out(path);
      out << (file.as_is ? file.text : filled(file.text, name));
      if (!out.flush()) return refuse("cannot write " + path.string(), "make sure that you may write there and that there is room");
    }
    if (context.printer.json()) context.printer.print(nlohmann::json{{"folder", folder.string()}, {"name", name}, {"lang", lang_}});
    context.printer.say("made " + folder.string() + "/, which " + language.needs + " builds; next: make -C " +
                        folder.string() + " && pgrid deploy " + (folder / (name + ".wasm")).string() + context.node_option());
    return ExitCode::ok;
  }

 private:
  std::string lang_ = "c";
  std::string name_;
};

}  // namespace

std::unique_ptr<Command> make_new() { return std::make_unique<New>(); }

}  // namespace pgrid::tools
