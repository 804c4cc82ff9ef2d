// pgrid-load: measures a node from outside, over ordinary UDP sockets.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cinttypes>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "drivers/config/units.hpp"
#include "tools/load/generator.hpp"
#include "tools/pgrid/printer.hpp"
#include "tools/wire_client/udp_socket.hpp"

namespace pgrid::tools {
namespace {

volatile sig_atomic_t stop_asked = 0;

constexpr char kFooter[] = R"(
Examples:
  pgrid-load grid://192.0.2.1:4646/aaaa...                          32 requests out at a time, for 10 s
  pgrid-load --rate 20000 --body 256 --duration 30s grid://...      open loop: 20,000 requests a second, come what may
  pgrid-load --outstanding 1 --count 1000 --verify-echo grid://...  one at a time; the answer must be what was sent
Get a right with: pgrid cap create NAME --show-secret

Always: sent = answered + non-commitments + lost. A late answer leaves its request lost. Round trips are those of
answers; in open loop they count from when the request was due, so that a stalled node cannot hide its stall.

Exit status: 0 it ran; 1 nothing was ever answered, or --verify-echo found a wrong body; 2 wrong arguments.)";

nlohmann::json json_of(const LoadReport& report) {
  const Tallies& t = report.tallies;
  nlohmann::json reasons = nlohmann::json::object();
  for (std::uint16_t i = 0; i <= abi::kReasonCount; ++i)
    if (t.refused[i] != 0) reasons[std::string(abi::name_of(static_cast<abi::Reason>(i)))] = t.refused[i];
  const LatencyHistogram& h = t.round_trip;
  return {{"sent", t.sent},
          {"answered", t.answered},
          {"non_commitments", reasons},
          {"lost", t.lost},
          {"duplicated", t.duplicated},
          {"late", t.late},
          {"unexpected", t.unexpected},
          {"malformed", report.malformed},
          {"wrong_body", report.wrong_body},
          {"send_errors", report.send_errors},
          {"seconds", report.seconds},
          {"sending_seconds", report.sending_seconds},
          {"sent_per_second", report.sending_seconds > 0 ? static_cast<double>(t.sent) / report.sending_seconds : 0},
          {"answered_per_second", report.sending_seconds > 0 ? static_cast<double>(t.answered) / report.sending_seconds : 0},
          {"round_trip_ns",
           {{"min", h.min()}, {"mean", h.mean()}, {"p50", h.percentile(0.5)}, {"p90", h.percentile(0.9)},
            {"p99", h.percentile(0.99)}, {"p999", h.percentile(0.999)}, {"max", h.max()}}}};
}

std::string decimals(double value) { return grouped(static_cast<std::uint64_t>(value)); }

void print(const LoadReport& report) {
  const Tallies& t = report.tallies;
  std::cout << grouped(t.sent) << " sent = " << grouped(t.answered) << " answered + " << grouped(t.non_commitments())
            << " non-commitments + " << grouped(t.lost) << " lost\n";
  for (std::uint16_t i = 0; i <= abi::kReasonCount; ++i)
    if (t.refused[i] != 0) std::cout << "  " << abi::name_of(static_cast<abi::Reason>(i)) << ' ' << grouped(t.refused[i]) << '\n';
  std::cout << "duplicated " << grouped(t.duplicated) << ", late " << grouped(t.late) << ", unexpected "
            << grouped(t.unexpected) << ", malformed " << grouped(report.malformed) << ", wrong body "
            << grouped(report.wrong_body) << '\n';
  if (report.send_errors != 0)
    std::cout << "the kernel refused to send " << grouped(report.send_errors) << " times, last: " << report.send_error << '\n';
  if (report.sending_seconds > 0)
    std::cout << decimals(static_cast<double>(t.sent) / report.sending_seconds) << " sent/s, "
              << decimals(static_cast<double>(t.answered) / report.sending_seconds) << " answered/s over "
              << report.sending_seconds << " s\n";
  const LatencyHistogram& h = t.round_trip;
  if (h.count() != 0)
    std::cout << "round trip: p50 " << nanoseconds(h.percentile(0.5)) << ", p90 " << nanoseconds(h.percentile(0.9))
              << ", p99 " << nanoseconds(h.percentile(0.99)) << ", p99.9 " << nanoseconds(h.percentile(0.999)) << ", max "
              << nanoseconds(h.max()) << '\n';
}

int run(int argc, char** argv) {
  CLI::App app("pgrid-load sends requests to a node and tells what became of each.\n", "pgrid-load");
  app.footer(kFooter);
  LoadOptions options;
  std::vector<std::string> uris;
  std::string to, duration, timeout, deadline;
  bool json = false;
  std::uint64_t count = 0;
  const auto bad = [&json](const Error& error) {
    return static_cast<int>(Printer(std::cout, std::cerr, json, "pgrid-load").report(ExitCode::usage, error));
  };
  app.add_option("RIGHT", uris, "rights, as grid:// URIs; used in turn")->required();
  auto* outstanding = app.add_option("--outstanding", options.outstanding, "closed loop: requests out at a time")
                          ->check(CLI::Range(1, 1 << 19))->capture_default_str();
  app.add_option("--rate", options.rate, "open loop: requests per second")->check(CLI::Range(0.01, 1e8))->excludes(outstanding);
  app.add_option("--body", options.body, "bytes of each body")->check(CLI::Range(0, 1024))->capture_default_str();
  auto* count_option = app.add_option("--count", count, "stop after so many requests")->check(CLI::Range(1ull, 1ull << 32));
  app.add_option("--duration", duration, "stop after so long (default: 10s)")->type_name("TIME")->excludes(count_option);
  app.add_option("--timeout", timeout, "a request without an answer for so long is lost (default: 1s)")->type_name("TIME");
  app.add_option("--deadline", deadline, "deadline that each request asks for (default: the right's)")->type_name("TIME");
  app.add_option("--to", to, "send here instead of to the host of the rights")->type_name("HOST[:PORT]");
  app.add_flag("--verify-echo", options.verify_echo, "the answer must be what was sent");
  app.add_flag("--json", json, "write JSON for programs");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& wanted) {
    return app.exit(wanted);
  } catch (const CLI::ParseError& error) {
    for (int i = 1; i < argc; ++i) json = json || std::string_view(argv[i]) == "--json";
    return bad({Errc::invalid_argument, error.what(), "", "see `pgrid-load --help`"});
  }
  for (const std::string& text : uris) {
    auto uri = wire::grid_uri_from_text(text);
    if (!uri)
      return bad({Errc::invalid_argument, '"' + text + '"', "is not a right",
                  "create one with: pgrid cap create NAME --show-secret"});
    if (!to.empty()) {
      const auto host = parse_host_port(to, uri->port);
      if (!host) return bad(host.error());
      uri->host = host->host;
      uri->port = host->port;
    }
    options.rights.push_back(std::move(*uri));
  }
  const std::pair<const std::string*, std::function<void(std::uint64_t)>> times[] = {
      {&duration, [&](std::uint64_t us) { options.duration = std::chrono::microseconds(us); }},
      {&timeout, [&](std::uint64_t us) { options.timeout = std::chrono::microseconds(us); }},
      {&deadline, [&](std::uint64_t us) { options.deadline_us = static_cast<std::uint32_t>(std::min<std::uint64_t>(us, UINT32_MAX)); }}};
  for (const auto& [text, set] : times) {
    if (text->empty()) continue;
    const auto us = config::parse_duration_us(*text);
    if (!us) return bad(us.error());
    if (*us == 0 || *us > 24 * 3'600'000'000ull)
      return bad({Errc::invalid_argument, '"' + *text + '"', "must be from 1us to 24h", ""});
    set(*us);
  }
  if (count != 0) options.count = count;

  struct sigaction action {};
  action.sa_handler = [](int) { stop_asked = 1; };
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
  const bool terminal = ::isatty(STDERR_FILENO) == 1 && !json;
  Tallies before;
  const auto report = generate_load(options, [] { return stop_asked != 0; }, [&](const LoadReport& now) {
    if (!terminal) return;
    const Tallies& t = now.tallies;
    std::fprintf(stderr, "\r%.0f s  %s answered/s  %s non-commitments  %s lost\x1b[K", now.seconds,
                 grouped(t.answered - before.answered).c_str(), grouped(t.non_commitments()).c_str(),
                 grouped(t.lost).c_str());
    before.answered = t.answered;
  });
  if (terminal) std::fprintf(stderr, "\r\x1b[K");
  if (!report) return static_cast<int>(Printer(std::cout, std::cerr, json, "pgrid-load").report(exit_code_of(report.error().code), report.error()));
  if (json)
    Printer(std::cout, std::cerr, true).print(json_of(*report));
  else
    print(*report);
  const Tallies& t = report->tallies;
  if (t.answered + t.non_commitments() == 0 && !json)
    std::cerr << "pgrid-load: nothing was answered; check the address, and `pgrid stat` on the node for what it dropped"
              << std::endl;
  return t.answered + t.non_commitments() == 0 || report->wrong_body != 0 ? 1 : 0;
}

}  // namespace
}  // namespace pgrid::tools

int main(int argc, char** argv) {
  try {
    return pgrid::tools::run(argc, argv);
  } catch (const std::exception& failure) {  // the standard library or a foreign one; ours does not throw
    std::cerr << "pgrid-load: internal error: " << failure.what() << std::endl;
    return 1;
  }
}
