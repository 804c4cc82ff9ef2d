// find_fields, the verifier of the one table that the fast path reads, lets through exactly what the generated verifier does
// and finds every field where the generated accessors do: over messages of every shape, each cut short everywhere, and with
// words of every kind written over every place.
#include <gtest/gtest.h>

#include <random>

#include "tests/packets/fields_oracle.hpp"
#include "tests/packets/message_builder.hpp"

namespace pgrid::test {
namespace {

std::vector<Bytes> shapes() {
  const wire::RightRef right{.slot = 7, .generation = 3};
  return {
      MessageBuilder().no_body().no_id().flatbuffer(),
      MessageBuilder().to(right).flatbuffer(),
      MessageBuilder().to(right).no_id().no_body().flatbuffer(),
      MessageBuilder().to(right).reply_to(right).body(64).deadline_us(5).flatbuffer(),
      MessageBuilder().to(right).rights(2).body(1).reason(abi::Reason::busy).flatbuffer(),
      MessageBuilder().to(right).reply_to(right).rights(4).body(100).kind_number(3).flatbuffer(),
      MessageBuilder().to(right).rights(0).body(0).flatbuffer(),
  };
}

/// The bytes where a message of the wire has them: on a multiple of 4, and nothing of ours behind the end.
class Content {
 public:
  explicit Content(const Bytes& bytes) : words_((bytes.size() + 3) / 4), size_(bytes.size()) {
    std::memcpy(words_.data(), bytes.data(), bytes.size());
  }
  [[nodiscard]] std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(words_.data()); }
  [[nodiscard]] std::span<const std::uint8_t> first(std::size_t size) { return {data(), size}; }
  [[nodiscard]] std::span<const std::uint8_t> all() { return first(size_); }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  std::vector<std::uint32_t> words_;
  std::size_t size_;
};

TEST(MessageFields, WholeMessagesAreFound) {
  for (const Bytes& shape : shapes()) {
    Content content(shape);
    dataplane::MessageFields fields;
    EXPECT_TRUE(dataplane::find_fields(content.all(), fields));
    EXPECT_EQ(disagreement(content.all()), "");
  }
}

TEST(MessageFields, AgreeOnEveryTruncation) {
  for (const Bytes& shape : shapes()) {
    Content content(shape);
    for (std::size_t size = 4; size <= content.size(); ++size) EXPECT_EQ(disagreement(content.first(size)), "") << size;
  }
}

TEST(MessageFields, AgreeOnExtremesInEveryPlace) {
  std::size_t valid = 0;
  std::size_t refused = 0;
  for (const Bytes& shape : shapes()) {
    const auto size = static_cast<std::uint32_t>(shape.size());
    const std::uint32_t extremes[] = {0,        1,        2,          3,          4,          5,           8,
                                      size - 5, size - 4, size - 3,   size - 1,   size,       size + 1,    0x7fff,
                                      0x8000,   0xffff,   0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc, 0u - size};
    for (std::size_t at = 0; at + 4 <= shape.size(); ++at)
      for (const std::uint32_t value : extremes)
        for (const std::size_t width : {1u, 2u, 4u}) {
          Content content(shape);
          std::memcpy(content.data() + at, &value, width);
          const std::string wrong = disagreement(content.all());
          ASSERT_EQ(wrong, "") << "value " << value << " of " << width << " bytes at " << at;
          dataplane::MessageFields fields;
          ++(dataplane::find_fields(content.all(), fields) ? valid : refused);
        }
  }
  EXPECT_GT(valid, 1000u);  // both sides of the question were asked
  EXPECT_GT(refused, 1000u);
}

TEST(MessageFields, AgreeOnRandomChanges) {
  std::mt19937 random(4646);
  const std::vector<Bytes> all = shapes();
  for (int i = 0; i < 200'000; ++i) {
    Content content(all[random() % all.size()]);
    for (std::uint32_t changes = 1 + random() % 4; changes != 0; --changes) {
      // Mostly where offsets lie: the root, the vtable and the table's beginning.
      const std::size_t at = random() % (random() % 4 != 0 ? std::min<std::size_t>(48, content.size()) : content.size());
      content.data()[at] = static_cast<std::uint8_t>(random() % 3 == 0 ? random() : random() % 64);
    }
    const std::string wrong = disagreement(content.all());
    ASSERT_EQ(wrong, "") << "change " << i;
  }
}

}  // namespace
}  // namespace pgrid::test
