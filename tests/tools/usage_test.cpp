// Shows that help, man page and completion say the same, all that there is, because they are made from one tree.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/pgrid/command_line.hpp"
#include "tools/pgrid/usage/complete.hpp"
#include "tools/pgrid/usage/errors.hpp"
#include "tools/pgrid/usage/man_page.hpp"
#include "tools/pgrid/usage/tree.hpp"

namespace pgrid::tools::usage {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Words = std::vector<std::string>;

class Usage : public testing::Test {
 protected:
  /// The words that complete what stands behind `pgrid`.
  Words completed(const Words& words) {
    asked_.clear();
    Words found;
    const Candidates candidates = complete(line_.app(), words, [this](const std::string& kind, const std::string& node) {
      asked_ = kind + '@' + node;
      return kind == "PROCESS" ? std::vector<Candidate>{{"echo", "loaded"}, {"twice", "loaded"}} : std::vector<Candidate>{};
    });
    files_ = candidates.files;
    for (const Candidate& one : candidates.words) found.push_back(one.word);
    return found;
  }

  std::string sentence(const Words& words) {
    std::vector<std::string> reversed(words.rbegin(), words.rend());
    try {
      line_.app().parse(reversed);
    } catch (const CLI::ParseError& error) {
      return usage_error(line_.app(), words, error).sentence();
    }
    return "";
  }

  /// Calls `look` with every command and the words that lead to it.
  template <typename Look>
  void each_command(const CLI::App& app, const Words& words, Look look) {
    for (const CLI::App* command : commands_of(app)) {
      Words path = words;
      path.push_back(command->get_name());
      look(*command, path);
      each_command(*command, path, look);
    }
  }

  CommandLine line_;
  std::string asked_;
  bool files_ = false;
};

TEST_F(Usage, every_command_and_option_has_help_and_stands_in_man_page_and_completion) {
  const std::string page = man_page(line_.app(), "x");
  const auto in_roff = [](std::string text) {
    for (std::size_t at = 0; (at = text.find('-', at)) != std::string::npos; at += 2) text.insert(at, "\\");
    return text;
  };
  int commands = 0;
  each_command(line_.app(), {}, [&](const CLI::App& app, const Words& path) {
    ++commands;
    SCOPED_TRACE(path_of(app));
    const std::string about = app.get_description();
    EXPECT_TRUE(about.ends_with('.')) << "a sentence: " << about;
    if (!needs_command(app)) {
      EXPECT_THAT(page, HasSubstr("\n.SS \"" + in_roff(path_of(app)) + " [OPTIONS]"));
      EXPECT_THAT(app.get_footer(), HasSubstr("Example"));
      EXPECT_THAT(app.help(path_of(*app.get_parent())), HasSubstr("Usage: " + path_of(app)));
    }
    Words parent = path;
    parent.back() = "";
    EXPECT_THAT(completed(parent), Contains(path.back()));

    Words at_option = path;
    at_option.push_back("-");
    const Words offered = completed(at_option);
    for (const CLI::Option* option : options_of(app)) {
      SCOPED_TRACE(option->get_name());
      EXPECT_GT(option->get_description().size(), 5u);
      EXPECT_FALSE(option->get_description().ends_with('.')) << "as the others";
      EXPECT_EQ(takes_value(*option), !value_word(*option).empty()) << "what may be written";
      for (const std::string& name : names_of(*option)) EXPECT_THAT(offered, Contains(name));
      if (!needs_command(app) && option != app.get_help_ptr()) {
        EXPECT_THAT(page, HasSubstr(in_roff(names_of(*option).back())));
      }
    }
    for (const CLI::Option* option : positionals_of(app)) EXPECT_GT(option->get_description().size(), 5u) << option->get_name(true);
  });
  EXPECT_GT(commands, 14);
}

TEST_F(Usage, completes_what_can_stand_at_the_cursor) {
  EXPECT_THAT(completed({"in"}), ElementsAre("inspect", "invoke"));
  EXPECT_THAT(completed({"cap", "rev"}), ElementsAre("revoke"));
  EXPECT_THAT(completed({"deploy", "--me"}), ElementsAre("--memory"));
  EXPECT_THAT(completed({"ls", "--no"}), ElementsAre("--node")) << "a parent's";
  EXPECT_THAT(completed({"completion", ""}), ElementsAre("bash", "zsh"));
  EXPECT_THAT(completed({"new", "--lang", ""}), Contains("c"));
  EXPECT_THAT(completed({"new", "--lang=c"}), Contains("--lang=c"));
  EXPECT_THAT(completed({"no-such", ""}), ElementsAre());
  EXPECT_THAT(completed({"stat", "--watch", "--wa"}), ElementsAre()) << "given already";
  EXPECT_THAT(completed({}), Contains("up"));
}

TEST_F(Usage, asks_the_node_for_names) {
  EXPECT_THAT(completed({"inspect", ""}), ElementsAre("echo", "twice"));
  EXPECT_EQ(asked_, "PROCESS@");
  EXPECT_THAT(completed({"--node", "/tmp/n", "invoke", "t"}), ElementsAre("twice"));
  EXPECT_EQ(asked_, "PROCESS@/tmp/n");
  EXPECT_THAT(completed({"--node", "=", "/tmp/n", "rm", "e"}), ElementsAre("echo")) << "as bash takes --node=DIR apart";
  EXPECT_EQ(asked_, "PROCESS@/tmp/n");
  EXPECT_THAT(completed({"cap", "create", "echo", "--holder", "t"}), ElementsAre("twice"));
  completed({"cap", "revoke", ""});
  EXPECT_EQ(asked_, "RIGHT@");
  EXPECT_THAT(completed({"inspect", "echo", ""}), ElementsAre()) << "one name only";
}

TEST_F(Usage, leaves_file_names_to_the_shell) {
  completed({"deploy", ""});
  EXPECT_TRUE(files_);
  completed({"up", "--config", ""});
  EXPECT_TRUE(files_);
  completed({"ls", ""});
  EXPECT_FALSE(files_);
}

TEST_F(Usage, wrong_arguments_get_a_sentence_that_teaches) {
  EXPECT_EQ(sentence({"cap", "revok", "1.1"}), "\"revok\" is no command of cap; did you mean revoke?; see `pgrid cap --help`");
  EXPECT_THAT(sentence({"zzz"}), HasSubstr("there are: up, doctor"));
  EXPECT_THAT(sentence({}), HasSubstr("pgrid needs a command; there are: up"));
  EXPECT_EQ(sentence({"ls", "--colour"}), "\"--colour\" is no option of ls; see `pgrid ls --help`");
  EXPECT_THAT(sentence({"stat", "--wach"}), HasSubstr("did you mean --watch?"));
  EXPECT_THAT(sentence({"--nod", "x", "ls"}), HasSubstr("\"--nod\" is no option of pgrid"));
  EXPECT_EQ(sentence({"rm", "a", "b"}), "rm takes 1 argument, and got 2; put text with blanks between quotes; see `pgrid rm --help`");
  EXPECT_EQ(sentence({"rm"}), "rm needs NAME: name of the process; see `pgrid rm --help`");
  EXPECT_THAT(sentence({"deploy", "x", "--rate"}), HasSubstr("--rate needs a value, N: messages per second"));
  EXPECT_THAT(sentence({"deploy", "x", "--rate", "-1"}), HasSubstr("\"-1\" is not a whole number"));
  EXPECT_THAT(sentence({"completion", "fish"}), HasSubstr("SHELL is one of bash, zsh; see `pgrid completion --help`"));
  EXPECT_THAT(sentence({"cap", "create", "x", "--holder", "y", "--show-secret"}), HasSubstr(" excludes "));
  EXPECT_EQ(sentence({"log", "verfy"}), "\"verfy\" is no command of log; did you mean verify?; see `pgrid log --help`");
  EXPECT_EQ(sentence({"log"}), "") << "a command that has commands, and is one";
}

TEST_F(Usage, man_page_is_roff_that_cannot_be_led_astray) {
  CLI::App app("back\\slash\n.SH not a section", "pgrid");
  app.add_subcommand("x", ".TH also not")->footer("\nExample:\n'quoted\n.br");
  const std::string page = man_page(app, "1");
  EXPECT_THAT(page, HasSubstr("back\\eslash\n\\&.SH not"));
  EXPECT_THAT(page, HasSubstr("\n\\&.TH also"));
  EXPECT_THAT(page, HasSubstr("\n\\&'quoted\n\\&.br"));
  EXPECT_THAT(page, Not(HasSubstr("\n.br")));
}

}  // namespace
}  // namespace pgrid::tools::usage
