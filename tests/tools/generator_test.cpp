// Shows that the load generator counts what really happened, against a responder in this test that answers, drops,
// repeats and refuses a known share. Over real sockets on the loopback interface.
#include "tools/load/generator.hpp"

#include <gtest/gtest.h>

#include "tests/tools/echo_responder.hpp"

namespace pgrid::tools {
namespace {

LoadReport run(LoadOptions options, const Responder& responder) {
  if (options.rights.empty()) options.rights = {responder.uri};
  const auto report = generate_load(options, [] { return false; }, [](const LoadReport&) {});
  EXPECT_TRUE(report) << report.error().sentence();
  const Tallies& t = report->tallies;
  EXPECT_EQ(t.sent, t.answered + t.non_commitments() + t.lost);
  EXPECT_EQ(responder.malformed, 0u);
  return *report;
}

std::vector<Reply> echo(std::uint64_t, const wire::Message& request) { return {{.body = body_of(request)}}; }

TEST(Generator, EveryRequestIsAnswered) {
  const Responder responder(echo);
  for (const std::uint32_t body : {0u, 1u, 7u, 8u, 64u, 1024u}) {
    const auto report = run({.outstanding = 8, .body = body, .count = 300, .verify_echo = true}, responder);
    EXPECT_EQ(report.tallies.answered, 300u) << body;
    EXPECT_EQ(report.wrong_body, 0u) << body;
    EXPECT_EQ(report.tallies.duplicated + report.tallies.unexpected + report.malformed, 0u);
    EXPECT_GT(report.tallies.round_trip.max(), 0u);
  }
}

TEST(Generator, WorksOverIPv6) {
  const Responder responder(echo, AF_INET6);
  EXPECT_EQ(run({.count = 50}, responder).tallies.answered, 50u);
}

TEST(Generator, DropsAreLostRepeatsAreDuplicatedRefusalsHaveTheirReason) {
  const Responder responder([](std::uint64_t n, const wire::Message& request) -> std::vector<Reply> {
    if (n % 10 == 3) return {};                                                       // 100 of 1,000
    if (n % 10 == 5) return {{wire::Kind::non_commitment, 5, ""}};                    // 100: busy
    if (n % 10 == 6) return {{wire::Kind::non_commitment, 4, ""}};                    // 100: quota_exceeded
    if (n % 10 == 7) return {{.body = body_of(request)}, {.body = body_of(request)}};  // 100 twice
    return {{.body = body_of(request)}};
  });
  const auto report = run({.outstanding = 50, .count = 1000, .timeout = std::chrono::milliseconds(300)}, responder);
  EXPECT_EQ(report.tallies.sent, 1000u);
  EXPECT_EQ(report.tallies.answered, 700u);
  EXPECT_EQ(report.tallies.lost, 100u);
  EXPECT_EQ(report.tallies.refused[static_cast<std::size_t>(abi::Reason::busy)], 100u);
  EXPECT_EQ(report.tallies.refused[static_cast<std::size_t>(abi::Reason::quota_exceeded)], 100u);
  // The second copy of the last answers may come after the end.
  EXPECT_LE(report.tallies.duplicated, 100u);
  EXPECT_GE(report.tallies.duplicated, 95u);
}

TEST(Generator, AWrongBodyIsNoticed) {
  const Responder responder([](std::uint64_t n, const wire::Message& request) -> std::vector<Reply> {
    std::string body = body_of(request);
    if (n == 3) body[0] = static_cast<char>(body[0] + 1);  // another request's number
    if (n == 4) body.back() = '!';
    if (n == 5) body.pop_back();
    return {{.body = body}};
  });
  EXPECT_EQ(run({.count = 20, .verify_echo = true}, responder).wrong_body, 3u);
  EXPECT_EQ(run({.count = 20}, responder).wrong_body, 0u);
}

TEST(Generator, AnswersToNothingAreUnexpectedAndJunkIsMalformed) {
  const Responder responder([](std::uint64_t, const wire::Message& request) -> std::vector<Reply> {
    return {{.body = body_of(request)}, {wire::Kind::notice, 0, "not an answer"}};
  });
  const auto report = run({.outstanding = 1, .count = 100}, responder);
  EXPECT_EQ(report.tallies.answered, 100u);
  EXPECT_GE(report.malformed, 98u);
  EXPECT_EQ(report.tallies.duplicated, 0u);
}

TEST(Generator, OpenLoopSendsAsManyAsTheRateSays) {
  const Responder responder(echo);
  const auto report = run({.rate = 2000, .count = 600}, responder);
  EXPECT_EQ(report.tallies.sent, 600u);
  EXPECT_EQ(report.tallies.answered, 600u);
  EXPECT_GE(report.sending_seconds, 599 / 2000.0 * 0.99) << "never faster than asked";
}

TEST(Generator, OpenLoopDoesNotWaitForAnswers) {
  const Responder responder([](std::uint64_t, const wire::Message&) { return std::vector<Reply>{}; });
  const auto report = run({.rate = 1000, .count = 200, .timeout = std::chrono::milliseconds(100)}, responder);
  EXPECT_EQ(report.tallies.lost, 200u);
  EXPECT_EQ(responder.requests, 200u);
}

TEST(Generator, ClosedLoopKeepsNoMoreOutThanAsked) {
  const Responder responder([](std::uint64_t, const wire::Message&) { return std::vector<Reply>{}; });
  const auto report = run({.outstanding = 4,
                           .duration = std::chrono::milliseconds(250),
                           .timeout = std::chrono::milliseconds(100)},
                          responder);
  EXPECT_GE(report.tallies.sent, 4u);
  EXPECT_LE(report.tallies.sent, 12u) << "4 each 100 ms, for 250 ms";
  EXPECT_EQ(report.tallies.lost, report.tallies.sent);
}

TEST(Generator, RightsAreUsedInTurn) {
  const Responder one(echo), two(echo);
  const auto report = run({.rights = {one.uri, two.uri, two.uri}, .count = 300}, one);
  EXPECT_EQ(report.tallies.answered, 300u);
  EXPECT_EQ(one.requests, 100u);
  EXPECT_EQ(two.requests, 200u);
}

TEST(Generator, NobodyThereIsAllLost) {
  wire::GridUri uri;
  {
    const Responder gone(echo);
    uri = gone.uri;
  }
  const auto report = generate_load({.rights = {uri}, .outstanding = 4, .count = 10, .timeout = std::chrono::milliseconds(50)},
                                    [] { return false; }, [](const LoadReport&) {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->tallies.sent, 10u);
  EXPECT_EQ(report->tallies.lost, 10u);
}

TEST(Generator, StopsWhenAsked) {
  const Responder responder(echo);
  int asked = 0;
  const auto report = generate_load({.rights = {responder.uri}, .duration = std::chrono::hours(1)},
                                    [&] { return ++asked >= 3; }, [](const LoadReport&) {});
  ASSERT_TRUE(report);
  EXPECT_EQ(report->tallies.sent, report->tallies.answered);
}

TEST(Generator, RefusesABodyThatNoMessageCarries) {
  const Responder responder(echo);
  const auto report =
      generate_load({.rights = {responder.uri}, .body = 1025}, [] { return false; }, [](const LoadReport&) {});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace pgrid::tools
