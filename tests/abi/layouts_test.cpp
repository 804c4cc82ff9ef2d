// Shared segments: parts follow one another without overlap, headers are checked, buckets are where they say.
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <string>

#include "abi/guest/promisegrid.h"
#include "abi/shared/handover.hpp"
#include "abi/shared/records.hpp"
#include "abi/shared/stats.hpp"

namespace pgrid::abi {
namespace {

constexpr Geometry kGeometry{.poll_cores = 2,
                             .workers = 3,
                             .rights = 256,
                             .in_flight = 64,
                             .request_ring = 1 << 16,
                             .reply_ring = 1 << 17,
                             .control_ring = 1 << 15,
                             .processes = 16};

TEST(Latency, BucketsAreInOrderAndWithoutGaps) {
  for (std::uint32_t bucket = 0; bucket + 1 < kLatencyBuckets; ++bucket) {
    const std::uint64_t floor = latency_bucket_floor(bucket);
    const std::uint64_t next = latency_bucket_floor(bucket + 1);
    ASSERT_LT(floor, next);
    ASSERT_EQ(latency_bucket(floor), bucket);
    ASSERT_EQ(latency_bucket(next - 1), bucket);
    if (bucket < 4) continue;
    ASSERT_LE(next - floor, floor / 4 + 1) << "wider than a quarter";
  }
  EXPECT_EQ(latency_bucket(std::numeric_limits<std::uint64_t>::max()), kLatencyBuckets - 1);
  EXPECT_EQ(latency_bucket(latency_bucket_floor(kLatencyBuckets - 1)), kLatencyBuckets - 1);
}

TEST(Segments, StatsPartsFollowOneAnother) {
  EXPECT_EQ(gauges_offset(), sizeof(SegmentHeader));
  EXPECT_EQ(worker_status_offset(), gauges_offset() + sizeof(NodeGauges));
  EXPECT_EQ(poll_core_stats_offset(kGeometry), worker_status_offset() + 3 * sizeof(WorkerStatus));
  EXPECT_EQ(right_account_offset(kGeometry), poll_core_stats_offset(kGeometry) + 2 * sizeof(PollCoreStats));
  EXPECT_EQ(stages_offset(kGeometry),
            right_account_offset(kGeometry) + std::size_t{2} * 256 * sizeof(RightAccount));
  EXPECT_EQ(stats_size(kGeometry), stages_offset(kGeometry) + (2 + 3) * sizeof(StageFigures));
  for (const std::size_t offset :
       {worker_status_offset(), poll_core_stats_offset(kGeometry), stages_offset(kGeometry), stats_size(kGeometry)})
    EXPECT_EQ(offset % 64, 0u);
  EXPECT_GE(std::size(PollCoreStats{}.counters), kCounterCount);
  EXPECT_GT(std::size(PollCoreStats{}.burst_sizes), kBurst);
}

TEST(Segments, RingsFollowOneAnother) {
  for (std::uint32_t core = 0; core < kGeometry.poll_cores; ++core) {
    EXPECT_EQ(reply_ring_offset(kGeometry, core) - request_ring_offset(kGeometry, core), ring_bytes(1 << 16));
    EXPECT_EQ(control_event_ring_offset(kGeometry, core) - control_request_ring_offset(kGeometry, core),
              ring_bytes(1 << 15));
  }
  EXPECT_EQ(request_ring_offset(kGeometry, 1), reply_ring_offset(kGeometry, 0) + ring_bytes(1 << 17));
  EXPECT_EQ(worker_stages_offset(kGeometry), reply_ring_offset(kGeometry, 1) + ring_bytes(1 << 17));
  EXPECT_EQ(worker_stages_offset(kGeometry) % 64, 0u);
  EXPECT_EQ(worker_rings_size(kGeometry), worker_stages_offset(kGeometry) + sizeof(StageFigures));
  EXPECT_EQ(control_rings_size(kGeometry), control_event_ring_offset(kGeometry, 1) + ring_bytes(1 << 15));
}

// DESIGN section 5: an answer for everything that was dispatched always fits.
TEST(Segments, AnswersForAllInFlightFitTheirPart) {
  for (const std::uint32_t ring : {8192u, 1u << 16, 64u << 20}) {
    Geometry geometry = kGeometry;
    geometry.reply_ring = ring;
    const std::uint64_t answers = std::uint64_t{worker_in_flight_max(geometry)} * kRecordMax;
    EXPECT_LE(answers + kRecordMax, reply_ring_answer_part(geometry)) << "and one pad";
    EXPECT_LT(reply_ring_answer_part(geometry), ring);
    EXPECT_GE(worker_in_flight_max(geometry), 1u);
  }
}

SegmentHeader valid_header() {
  SegmentHeader header{};
  header.magic = kSegmentMagic;
  header.version = kSharedVersion;
  header.kind = SegmentKind::rights;
  header.size = rights_size(kGeometry);
  header.geometry = kGeometry;
  return header;
}
bool accepted(const SegmentHeader& header, std::size_t mapped = rights_size(kGeometry)) {
  SegmentHeader copy;
  return read_segment_header(reinterpret_cast<const std::byte*>(&header), mapped, SegmentKind::rights, copy);
}

TEST(Segments, HeadersAreChecked) {
  EXPECT_TRUE(accepted(valid_header()));
  EXPECT_FALSE(accepted(valid_header(), sizeof(SegmentHeader) - 1));
  EXPECT_FALSE(accepted(valid_header(), rights_size(kGeometry) - 1));
  const auto refused = [](auto change) {
    SegmentHeader header = valid_header();
    change(header);
    return !accepted(header);
  };
  EXPECT_TRUE(refused([](auto& h) { ++h.magic; }));
  EXPECT_TRUE(refused([](auto& h) { ++h.version; }));
  EXPECT_TRUE(refused([](auto& h) { h.kind = SegmentKind::stats; }));
  EXPECT_TRUE(refused([](auto& h) { h.geometry.poll_cores = 0; }));
  EXPECT_TRUE(refused([](auto& h) { h.geometry.poll_cores = kPollCoresMax + 1; }));
  EXPECT_TRUE(refused([](auto& h) { h.geometry.workers = kWorkersMax + 1; }));
  EXPECT_TRUE(refused([](auto& h) { h.geometry.rights = 255; }));
  EXPECT_TRUE(refused([](auto& h) { h.geometry.in_flight = kInFlightMax * 2; }));
  EXPECT_TRUE(refused([](auto& h) { h.geometry.request_ring = 4096; }));
  EXPECT_TRUE(refused([](auto& h) { h.geometry.reply_ring = (64u << 20) * 2; }));
  EXPECT_TRUE(refused([](auto& h) { h.geometry.control_ring = 10'000; }));
  EXPECT_TRUE(refused([](auto& h) { h.geometry.processes = 4097; }));
}

TEST(SendOnce, SlotsNameCoreAndEntry) {
  for (const std::uint32_t core : {0u, 1u, kPollCoresMax - 1})
    for (const std::uint32_t entry : {0u, 1u, kInFlightMax - 1}) {
      const std::uint32_t slot = send_once_slot(core, entry);
      EXPECT_TRUE(is_send_once(slot));
      EXPECT_EQ(send_once_core(slot), core);
      EXPECT_EQ(send_once_entry(slot), entry);
    }
  EXPECT_FALSE(is_send_once(kRightsMax - 1));
}

TEST(Counters, HaveDifferentNamesAndSayWhatTheyMean) {
  std::set<std::string_view> names;
  for (const CounterInfo& info : kCounterInfo) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_FALSE(info.help.empty()) << info.name;
  }
  EXPECT_EQ(name_of(Counter::rx_packets), "rx_packets");
}

// The guest's header, in C, has the same numbers.
TEST(Guest, NumbersAreTheWires) {
  EXPECT_EQ(PG_BODY_MAX, static_cast<int>(kBodyMax));
  EXPECT_EQ(PG_NON_COMMITMENT, static_cast<int>(Kind::non_commitment));
  EXPECT_EQ(PG_NOTICE, static_cast<int>(Kind::notice));
  EXPECT_EQ(PG_PROCESS_FAILED, static_cast<int>(Reason::process_failed));
  EXPECT_EQ(PG_DECLINED, static_cast<int>(Reason::declined));
  EXPECT_EQ(offsetof(pg_message, id), 16u);
  EXPECT_EQ(offsetof(pg_message, label), 24u);
  EXPECT_EQ(offsetof(pg_message, rights), 36u);
}

}  // namespace
}  // namespace pgrid::abi
