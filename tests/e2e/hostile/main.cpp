// A worker that lies. It takes a worker's seat at a data plane and tells one lie after the other from a group, beginning at
// START. Before each it prints "lie NUMBER END NAME" (see lies.hpp); at the end "done". When it lives through a lie that it
// should not, or the data plane no longer reads it where it should, it ends with status 9.
//
//   hostile-worker SOCKET WORKER GROUP [START]
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "tests/e2e/hostile/lies.hpp"

using namespace pgrid::tests;

namespace {

constexpr std::pair<std::string_view, Lies (*)(Seat&)> kGroups[] = {
    {"reply_tail", reply_tail_lies},     {"reply_lengths", reply_length_lies}, {"request_head", request_head_lies},
    {"foreign_words", foreign_word_lies}, {"answers", answer_lies},            {"sends", send_lies},
    {"events", event_lies},              {"conduct", conduct_lies},            {"socket", socket_lies},
    {"system_calls", system_call_lies},  {"carried_sends", carried_send_lies},
    {"carried_answers", carried_answer_lies}, {"drops", drop_lies},
};
constexpr int kDeathMs = 10'000;
constexpr int kLateTries = 10;

int tell_all(Seat& seat, const Lies& lies, std::size_t start) {
  for (std::size_t i = start; i < lies.size(); ++i) {
    std::printf("lie %zu %s %s\n", i, lies[i].end.c_str(), lies[i].name.c_str());
    std::fflush(stdout);
    lies[i].tell(seat);
    if (lies[i].end == "lives") {
      if (seat.wait_until_read()) continue;
      std::puts("nobody reads replies any more");
      return 9;
    }
    // SIGKILL comes. A lie about a message whose deadline passed before it was told is only late, and harms nobody: tell it
    // again about the next one.
    for (int tries = kLateTries; tries != 0; --tries) {
      idle(seat, kDeathMs / kLateTries);
      if (lies[i].end == "dies" || lies[i].end == "reply_malformed") lies[i].tell(seat);
    }
    std::puts("still alive");
    return 9;
  }
  std::puts("done");
  return 0;
}

}  // namespace

int main(int count, char** values) {
  if (count < 4) return 2;
  for (const auto& [name, make] : kGroups) {
    if (name != values[3]) continue;
    Seat seat(values[1], static_cast<std::uint32_t>(std::atoi(values[2])));
    while (!seat.loaded) seat.pump();
    const int status = tell_all(seat, make(seat), count > 4 ? static_cast<std::size_t>(std::atoi(values[4])) : 0);
    std::fflush(stdout);
    std::_Exit(status);  // with the socket open: the data plane kills a worker that closes it
  }
  return 2;
}
