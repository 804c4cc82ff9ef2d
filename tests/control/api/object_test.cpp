// Shows how strictly a body is read: every field known, of its type, in its range, given once; not deep, not wide.
#include "control/api/object.hpp"

#include <gtest/gtest.h>

namespace pgrid::control {
namespace {

/// What is said to a body of which `name` is text and `size` a number up to 10; "" when nothing is.
std::string said_to(const std::string& text) {
  ObjectReader in({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  (void)in.text("name");
  (void)in.number("size", std::uint64_t{10});
  const auto finished = in.finish();
  return finished ? "" : finished.error().sentence();
}

std::string times(const std::string& text, std::size_t n) {
  std::string all;
  for (std::size_t i = 0; i < n; ++i) all += text;
  return all;
}

TEST(ObjectReader, takes_what_is_known) {
  EXPECT_EQ(said_to(R"({"name": "a", "size": 10})"), "");
  EXPECT_EQ(said_to("{}"), "");
}

TEST(ObjectReader, refuses_what_is_not_an_object_or_not_known) {
  for (const char* text : {"", "[]", "1", "nonsense", "{", R"({"name": "a"} x)", "{\"name\": \"\xff\"}"})
    EXPECT_NE(said_to(text).find("not a JSON object"), std::string::npos) << text;
  EXPECT_NE(said_to(R"({"color": 1})").find("unknown here; there are: name, size"), std::string::npos);
  EXPECT_NE(said_to(R"({"size": 1, "size": 2})").find("given twice"), std::string::npos);
}

TEST(ObjectReader, refuses_other_types_and_ranges) {
  EXPECT_NE(said_to(R"({"name": 1})").find("must be text"), std::string::npos);
  for (const char* size : {"11", "-1", "1.0", "1e1", "\"1\"", "null", "true", "[1]", "{}", "99999999999999999999", "1e999"})
    EXPECT_NE(said_to(std::string("{\"size\": ") + size + "}"), "") << size;
}

TEST(ObjectReader, depth_is_bounded) {
  EXPECT_NE(said_to("{\"name\": " + times("[", 7) + times("]", 7) + "}").find("must be text"), std::string::npos)
      << "as deep as may be, and of another type";
  for (const std::size_t depth : {9u, 100u, 30'000u}) {
    EXPECT_NE(said_to("{\"name\": " + times("[", depth) + times("]", depth) + "}").find("nested deeper than 8"), std::string::npos);
    EXPECT_NE(said_to(times("{\"name\":", depth) + "1" + times("}", depth)).find("nested deeper than 8"), std::string::npos);
    EXPECT_NE(said_to(times("[", depth)), "") << "and never closed";
  }
}

TEST(ObjectReader, the_number_of_fields_is_bounded) {
  std::string fields;
  for (int i = 0; i < 10'000; ++i) fields += "\"f" + std::to_string(i) + "\": 1, ";
  EXPECT_NE(said_to("{" + fields + "\"name\": \"a\"}").find("more than 64 fields"), std::string::npos);
}

}  // namespace
}  // namespace pgrid::control
