// What anybody who opens control's socket may write: the first line of the input is a request's target, the rest its body. What is
// taken is what was written, within its range; what is refused is refused with a sentence.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "control/api/object.hpp"
#include "control/api/target.hpp"
#include "tests/fuzz/fuzz_target.hpp"

using namespace pgrid::control;
using pgrid::test::require;

namespace {

constexpr std::uint64_t kMax = 1000;

void check_target(std::string_view text) {
  const auto target = Target::parse(text);
  if (!target) return require(!target.error().sentence().empty(), "a sentence");
  require(text.starts_with('/') && !target->path().empty(), "a path");
  const bool allowed = target->allow({"n", "f", "many"}, "many").has_value();
  const auto number = target->number("n", kMax);
  if (number && *number) require(**number <= kMax, "in its range");
  (void)target->flag("f");
  const auto many = target->texts("many");
  require(many.empty() == !target->text("many").has_value(), "one look sees what the other sees");
  if (!allowed) return;
  const std::string_view query = text.substr(std::min(text.size(), text.find('?')));
  const auto parts = static_cast<std::size_t>(std::count(query.begin(), query.end(), '&')) + 1;
  require(many.size() <= parts && (query.size() > 1 || many.empty()), "nothing is made up");
}

void check_body(std::string_view body) {
  ObjectReader in({reinterpret_cast<const std::uint8_t*>(body.data()), body.size()});
  const auto text = in.text("text");
  const auto number = in.number("number", kMax);
  const auto finished = in.finish();
  if (!finished) return require(!finished.error().sentence().empty(), "a sentence");
  const auto json = nlohmann::json::parse(body, nullptr, false);
  require(json.is_object() && json.size() == std::size_t{text.has_value()} + number.has_value(), "those fields and no other");
  if (text) require(json.at("text") == *text, "the text");
  if (number) require(*number <= kMax && json.at("number") == *number, "the number, in its range");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t line = std::min(size, input.find('\n'));
  check_target(input.substr(0, line));
  check_body(input.substr(std::min(size, line + 1)));
  return 0;
}
