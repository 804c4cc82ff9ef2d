// Rights as text: there and back, and what is refused.
#include "abi/wire/grid_uri.hpp"

#include <gtest/gtest.h>

namespace pgrid::wire {
namespace {

const RightRef kRight{7, 3, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}};

bool operator==(const RightRef& a, const RightRef& b) {
  return a.slot == b.slot && a.generation == b.generation && a.key == b.key;
}

TEST(GridUri, GoesThereAndBack) {
  std::uint32_t state = 1;
  for (int i = 0; i < 1000; ++i) {
    RightRef right;
    const auto next = [&state] { return state = state * 1664525 + 1013904223; };
    right.slot = next();
    right.generation = next();
    for (auto& byte : right.key) byte = static_cast<std::uint8_t>(next() >> 24);
    for (const char* host : {"192.0.2.1", "2001:db8::1", "::1", "node.example"}) {
      const GridUri uri{host, static_cast<std::uint16_t>(next() >> 16 | 1), right};
      const auto back = grid_uri_from_text(to_text(uri));
      ASSERT_TRUE(back) << to_text(uri);
      EXPECT_EQ(back->host, uri.host);
      EXPECT_EQ(back->port, uri.port);
      EXPECT_TRUE(back->right == right);
    }
  }
}

TEST(GridUri, PutsIpv6InBrackets) {
  EXPECT_TRUE(to_text(GridUri{"2001:db8::1", 4646, kRight}).starts_with("grid://[2001:db8::1]:4646/"));
}

TEST(GridUri, MayLeaveThePortOut) {
  for (const std::string host : {"node.example", "[2001:db8::1]"}) {
    const auto uri = grid_uri_from_text("grid://" + host + "/" + right_to_text(kRight));
    ASSERT_TRUE(uri) << host;
    EXPECT_EQ(uri->port, 4646);
  }
}

TEST(GridUri, RefusesWhatIsNone) {
  const std::string right = right_to_text(kRight);
  ASSERT_TRUE(grid_uri_from_text("grid://host:4646/" + right));
  for (const char* before :
       {"", "http://host:4646/", "host:4646/", "GRID://host:4646/", "grid://:4646/", "grid://host:/",
        "grid://host:0/", "grid://host:65536/", "grid://host:100000/", "grid://host:4x/", "grid://host:-1/",
        "grid://[::1/", "grid://[]:4646/", "grid://[::1]4646/", "grid:///"})
    EXPECT_FALSE(grid_uri_from_text(before + right)) << before;
  for (const std::string& path : {std::string(), right + "a", right.substr(1), right + "/", right + " "})
    EXPECT_FALSE(grid_uri_from_text("grid://host:4646/" + path)) << path;
  EXPECT_FALSE(grid_uri_from_text("grid://host:4646"));
}

TEST(GridUri, RefusesOtherTextsOfARight) {
  const std::string right = right_to_text(kRight);
  ASSERT_EQ(right.size(), kRightText);
  const auto with = [&](std::size_t at, char c) {
    std::string text = right;
    text[at] = c;
    return right_from_text(text).has_value();
  };
  EXPECT_TRUE(with(0, 'b'));
  for (const char c : {'A', '0', '1', '8', '=', ' ', '\0'}) EXPECT_FALSE(with(0, c)) << c;
  // The last character holds two bits; the three behind them must be zero.
  int accepted = 0;
  for (const char c : kBase32) accepted += with(kRightText - 1, c) ? 1 : 0;
  EXPECT_EQ(accepted, 4);
}

}  // namespace
}  // namespace pgrid::wire
