// Shows: a segment is zeroed memory that two mappings share, that no holder of its descriptor can resize, and
// that is refused on the other side when it is not sealed or not large enough.
#include "drivers/shm/segment.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>

namespace pgrid::shm {
namespace {

constexpr std::size_t kSize = 5000;  // more than one page, not a multiple of one

UniqueFd duplicate(const Segment& segment) { return UniqueFd(::fcntl(segment.fd(), F_DUPFD_CLOEXEC, 0)); }

TEST(Segment, IsZeroWhenCreated) {
  const Result<Segment> segment = Segment::create("test", kSize);
  ASSERT_TRUE(segment) << segment.error().sentence();
  EXPECT_EQ(segment->size(), kSize);
  EXPECT_TRUE(std::ranges::all_of(segment->bytes(), [](std::byte b) { return b == std::byte{0}; }));
}

TEST(Segment, IsSharedBetweenMappings) {
  const Result<Segment> ours = Segment::create("test", kSize);
  ASSERT_TRUE(ours);
  const Result<Segment> theirs = Segment::map(duplicate(*ours), kSize, Segment::Access::read_write);
  ASSERT_TRUE(theirs) << theirs.error().sentence();
  ours->data()[kSize - 1] = std::byte{7};
  EXPECT_EQ(theirs->data()[kSize - 1], std::byte{7});
  theirs->data()[0] = std::byte{9};
  EXPECT_EQ(ours->data()[0], std::byte{9});
}

TEST(Segment, CannotBeResizedByAnybody) {
  const Result<Segment> segment = Segment::create("test", kSize);
  ASSERT_TRUE(segment);
  EXPECT_NE(::ftruncate(segment->fd(), 100), 0) << "a peer could make our next access fault";
  EXPECT_NE(::ftruncate(segment->fd(), 1 << 20), 0);
}

TEST(Segment, ReadOnlyDescriptorCannotBeMappedWritable) {
  const Result<Segment> segment = Segment::create("test", kSize);
  ASSERT_TRUE(segment);
  Result<UniqueFd> reader = segment->read_only_fd();
  ASSERT_TRUE(reader) << reader.error().sentence();
  UniqueFd again(::fcntl(reader->get(), F_DUPFD_CLOEXEC, 0));
  const Result<Segment> writable = Segment::map(std::move(again), kSize, Segment::Access::read_write);
  ASSERT_FALSE(writable);
  EXPECT_EQ(writable.error().code, Errc::not_permitted);
  const Result<Segment> readable = Segment::map(std::move(*reader), kSize, Segment::Access::read_only);
  EXPECT_TRUE(readable);
}

TEST(Segment, RefusesADescriptorThatMayShrink) {
  UniqueFd unsealed(::memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(::ftruncate(unsealed.get(), kSize), 0);
  const Result<Segment> mapped = Segment::map(std::move(unsealed), kSize, Segment::Access::read_write);
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, Errc::protocol);
}

TEST(Segment, RefusesOneThatIsTooSmall) {
  const Result<Segment> small = Segment::create("test", 4096);
  ASSERT_TRUE(small);
  const Result<Segment> fits = Segment::map(duplicate(*small), 4096, Segment::Access::read_write);
  EXPECT_TRUE(fits);
  const Result<Segment> mapped = Segment::map(duplicate(*small), 4097, Segment::Access::read_write);
  ASSERT_FALSE(mapped);
  EXPECT_EQ(mapped.error().code, Errc::protocol);
}

TEST(Segment, RefusesSizeZero) { EXPECT_FALSE(Segment::create("test", 0)); }

TEST(Segment, MovesWithItsMapping) {
  Result<Segment> first = Segment::create("test", kSize);
  ASSERT_TRUE(first);
  std::byte* const data = first->data();
  Segment second = std::move(*first);
  EXPECT_EQ(second.data(), data);
  EXPECT_FALSE(*first);
  second = Segment{};  // unmaps
  EXPECT_FALSE(second);
}

TEST(Segment, HugePagesFallBackToOrdinaryOnes) {
  // 1 TiB of huge pages is nowhere free; 4 KiB is: the request for huge pages must not make a small segment
  // fail.
  const Result<Segment> segment = Segment::create("test", 4096, true);
  ASSERT_TRUE(segment) << segment.error().sentence();
  segment->data()[4095] = std::byte{1};
  EXPECT_EQ(segment->size(), 4096u);
}

TEST(SealedCopy, HoldsTheBytesAndTakesNoChange) {
  const char text[] = "compiled code";
  const auto bytes = std::as_bytes(std::span(text));
  const Result<UniqueFd> copy = sealed_copy("code", bytes);
  ASSERT_TRUE(copy) << copy.error().sentence();
  char back[sizeof text] = {};
  ASSERT_EQ(::pread(copy->get(), back, sizeof back, 0), static_cast<ssize_t>(sizeof back));
  EXPECT_STREQ(back, text);
  EXPECT_LT(::pwrite(copy->get(), "x", 1, 0), 0);
  EXPECT_NE(::ftruncate(copy->get(), 0), 0);
  EXPECT_EQ(::mmap(nullptr, sizeof text, PROT_READ | PROT_WRITE, MAP_SHARED, copy->get(), 0), MAP_FAILED);
}

}  // namespace
}  // namespace pgrid::shm
