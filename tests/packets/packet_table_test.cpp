// Every row of the packet table, over IPv4 and IPv6, without and with a VLAN tag, through a whole poll core:
// the counter that must rise, the answer that must or must not come, and that the books balance.
#include "tests/packets/packet_table.hpp"

#include <gtest/gtest.h>

#include <set>

#include "dataplane/frame.hpp"
#include "dataplane/parse.hpp"
#include "tests/packets/node_under_test.hpp"

namespace pgrid::test {
namespace {

using abi::Counter;

struct Case {
  Row row;
  Variant variant;
};

std::vector<Case> cases() {
  std::vector<Case> cases;
  for (const Row& row : packet_table())
    for (const Variant& variant : variants_of(row)) cases.push_back({row, variant});
  return cases;
}
std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.variant.name() + "_";
  for (const char c : info.param.row.description)
    name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

/// What ended, of everything that came in: see abi/shared/counters.hpp.
std::uint64_t accounted(const NodeUnderTest& node) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < abi::kCounterCount; ++i) {
    switch (abi::kCounterInfo[i].class_) {
      case abi::CounterClass::drop:
      case abi::CounterClass::local:
      case abi::CounterClass::punt:
      case abi::CounterClass::refusal:
      case abi::CounterClass::total:
        sum += node.counter(static_cast<Counter>(i));
        break;
      default:
        break;
    }
  }
  return sum;
}

/// Reads an answer as a client would, and checks everything that does not depend on the row.
dataplane::MessageView read_answer(const Bytes& frame, Variant variant) {
  const auto parsed = dataplane::parse_frame(frame, client_identity(), dataplane::ChecksumStatus::unknown,
                                             dataplane::ChecksumStatus::unknown);
  EXPECT_EQ(parsed.kind, dataplane::FrameKind::message) << abi::name_of(parsed.drop);
  if (parsed.kind != dataplane::FrameKind::message) return {};
  EXPECT_EQ(parsed.frame.ip_version, variant.ip_version);
  EXPECT_EQ(parsed.frame.source_port(), 4646);
  if (variant.vlan) {
    EXPECT_TRUE(parsed.frame.vlan);
    EXPECT_EQ(parsed.frame.vlan_tci, 0x6064);
  }
  const auto message = dataplane::parse_message(parsed.frame.payload);
  EXPECT_TRUE(message.ok) << abi::name_of(message.failure);
  return message.message;
}

class PacketTable : public testing::TestWithParam<Case> {};

TEST_P(PacketTable, EndsAsTheTableSays) {
  const auto& [row, variant] = GetParam();
  const Bytes frame = row.frame(variant);
  NodeUnderTest node;
  node.receive(std::vector<Bytes>(static_cast<std::size_t>(row.times), frame));

  std::string counted;
  for (std::size_t i = 0; i < abi::kCounterCount; ++i)
    if (const auto n = node.counter(static_cast<Counter>(i)))
      counted += std::string(abi::kCounterInfo[i].name) + "=" + std::to_string(n) + " ";
  EXPECT_EQ(node.counter(row.counter), 1) << counted;
  EXPECT_EQ(node.counter(Counter::rx_packets), static_cast<std::uint64_t>(row.times));
  EXPECT_EQ(accounted(node), static_cast<std::uint64_t>(row.times)) << counted;
  const bool reached_worker = row.counter == Counter::dispatched;
  EXPECT_EQ(node.worker_requests().size(),
            static_cast<std::size_t>(reached_worker ? row.times : row.times - 1));

  if (row.reply.what == Reply::What::nothing) {
    EXPECT_TRUE(node.sent().empty()) << counted;
    return;
  }
  ASSERT_EQ(node.sent().size(), 1u) << counted;
  const Bytes& reply = node.sent().front();
  if (row.reply.what == Reply::What::own_protocol) return;  // local_test.cpp reads them
  const dataplane::MessageView answer = read_answer(reply, variant);
  EXPECT_EQ(answer.kind, abi::Kind::non_commitment);
  EXPECT_EQ(answer.reason, row.reply.reason);
  EXPECT_TRUE(answer.body.empty());
  const auto class_ = abi::kCounterInfo[static_cast<std::size_t>(row.counter)].class_;
  EXPECT_EQ(class_, abi::CounterClass::refusal);
  EXPECT_LE(reply.size(), frame.size()) << "a refusal must not amplify";
}

INSTANTIATE_TEST_SUITE_P(Rows, PacketTable, testing::ValuesIn(cases()), case_name);

TEST(PacketTableItself, HasAtLeastEightyRowsOfDifferentNames) {
  std::set<std::string> names;
  for (const Row& row : packet_table()) EXPECT_TRUE(names.insert(row.description).second) << row.description;
  EXPECT_GE(names.size(), 80u);
}

// Counters of what came in must each have a row, or the table has a hole. The exceptions need a control
// process, a function that asks another, a worker that misbehaves, or a full transmit queue: tests/dataplane.
TEST(PacketTableItself, CoversEveryDropAndRefusal) {
  std::set<Counter> covered;
  for (const Row& row : packet_table()) covered.insert(row.counter);
  const std::set<Counter> elsewhere{Counter::punt_limited, Counter::punt_ring_full,
                                    Counter::busy_draining, Counter::handle_unknown, Counter::hop_limit,
                                    Counter::carried_unknown, Counter::carried_not_permitted, Counter::busy_handles,
                                    Counter::busy_control};
  for (std::size_t i = 0; i < abi::kCounterCount; ++i) {
    const auto counter = static_cast<Counter>(i);
    const auto class_ = abi::kCounterInfo[i].class_;
    const bool ends_a_packet = class_ == abi::CounterClass::drop || class_ == abi::CounterClass::refusal ||
                               class_ == abi::CounterClass::local;
    if (ends_a_packet && !elsewhere.contains(counter)) {
      EXPECT_TRUE(covered.contains(counter)) << abi::kCounterInfo[i].name;
    }
  }
}

}  // namespace
}  // namespace pgrid::test
