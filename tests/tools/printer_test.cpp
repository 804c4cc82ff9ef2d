// Shows what people and programs get to read: tables that line up, numbers with units, JSON that is always valid, and the
// small codecs beneath.
#include "tools/pgrid/printer.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "control/cbor/utf8.hpp"
#include "tools/pgrid/api_client.hpp"
#include "tools/pgrid/invocation.hpp"

namespace pgrid::tools {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"NAME", ">N", "LAST"});
  table.add({"a", "1", "x"});
  table.add({"longer", "1,000", ""});
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(),
            "NAME        N  LAST\n"
            "a           1  x\n"
            "longer  1,000\n");
}

TEST(Table, CountsCharactersNotBytes) {
  Table table({"NAME", "X"});
  table.add({"\xc3\xa9\xc3\xa9", "1"});
  table.add({"abcde", "2"});
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(), "NAME   X\n\xc3\xa9\xc3\xa9     1\nabcde  2\n");
}

TEST(Table, MissingCellsAreEmpty) {
  Table table({"A", "B"});
  EXPECT_TRUE(table.empty());
  table.add({"1"});
  EXPECT_FALSE(table.empty());
  std::ostringstream out;
  table.print(out);
  EXPECT_EQ(out.str(), "A  B\n1\n");
}

TEST(Printer, ErrorsAreASentenceOrJson) {
  const Error error{Errc::not_found, "no process \"x\"", "", "see pgrid ls"};
  std::ostringstream out, err;
  EXPECT_EQ(Printer(out, err, false).report(ExitCode::refused, error), ExitCode::refused);
  EXPECT_EQ(err.str(), "pgrid: no process \"x\"; see pgrid ls\n");
  err.str("");
  Printer(out, err, true).report(ExitCode::refused, error);
  const auto json = nlohmann::json::parse(err.str());
  EXPECT_EQ(json["error"]["code"], "not_found");
  EXPECT_EQ(json["error"]["message"], "no process \"x\"; see pgrid ls");
  EXPECT_EQ(out.str(), "");
}

TEST(Printer, JsonIsValidWhateverTheBytes) {
  std::ostringstream out, err;
  Printer(out, err, true).print(nlohmann::json{{"text", "\xff\xfe"}});
  EXPECT_FALSE(nlohmann::json::parse(out.str(), nullptr, false).is_discarded());
}

TEST(Codes, GoThereAndBack) {
  for (const char* text : {"invalid_argument", "not_permitted", "not_found", "already_exists", "refused", "out_of_resources",
                           "unavailable", "timed_out", "internal"})
    EXPECT_EQ(code_text(code_from_text(text)), text);
  EXPECT_EQ(code_from_text("something else"), Errc::internal);
  EXPECT_EQ(exit_code_of(Errc::invalid_argument), ExitCode::usage);
  EXPECT_EQ(exit_code_of(Errc::timed_out), ExitCode::timed_out);
  EXPECT_EQ(exit_code_of(Errc::not_found), ExitCode::refused);
}

TEST(Numbers, Grouped) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1234567), "1,234,567");
}

TEST(Numbers, Nanoseconds) {
  EXPECT_EQ(nanoseconds(0), "0 ns");
  EXPECT_EQ(nanoseconds(999), "999 ns");
  EXPECT_EQ(nanoseconds(1500), "1.50 us");
  EXPECT_EQ(nanoseconds(12'345), "12.3 us");
  EXPECT_EQ(nanoseconds(123'456'789), "123 ms");
  EXPECT_EQ(nanoseconds(2'000'000'000), "2.00 s");
}

TEST(Dates, AreUtc) {
  EXPECT_EQ(date_text(0), "-");
  EXPECT_EQ(date_text(1'000'000'000), "2001-09-09 01:46:40");
}

TEST(PathPart, EscapesWhatIsNotPlain) {
  EXPECT_EQ(path_part("echo-1_a.b~"), "echo-1_a.b~");
  EXPECT_EQ(path_part("../x y?z&\xff"), "..%2Fx%20y%3Fz%26%FF");
}

TEST(Base64, KnownValuesAndEveryLength) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(base64_decode(base64(bytes)).value(), bytes);
    bytes += static_cast<char>(i * 7);
  }
}

TEST(Base64, RefusesWhatItDidNotWrite) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Zg==Zg==", "====", "Zm 9", "Zm9-", "=Zg="})
    EXPECT_FALSE(base64_decode(text)) << text;
}

TEST(Utf8, TellsTextFromBytes) {
  for (const char* text : {"", "plain", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) EXPECT_TRUE(control::is_utf8(text)) << text;
  for (const char* text : {"\xff", "\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xe2\x82"})
    EXPECT_FALSE(control::is_utf8(text)) << text;
}

}  // namespace
}  // namespace pgrid::tools
