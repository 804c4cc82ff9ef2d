// Shows that a datagram arrives whole with its descriptors or not at all, and what each side sees of the other's end.
#include "drivers/shm/unix_packet.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <vector>

namespace pgrid::shm {
namespace {

using Status = PacketOutcome::Status;

class UnixPacket : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
    left_ = UniqueFd(ends[0]);
    right_ = UniqueFd(ends[1]);
  }
  PacketOutcome send(std::size_t length, std::span<const int> fds = {}) {
    const std::vector<std::byte> bytes(length, std::byte{7});
    return send_packet(left_.get(), bytes, fds);
  }
  PacketOutcome receive() { return receive_packet(right_.get(), room_, fds_); }

  UniqueFd left_;
  UniqueFd right_;
  std::array<std::byte, 64> room_{};
  std::array<UniqueFd, 2> fds_;
};

TEST_F(UnixPacket, ArrivesWithItsDescriptors) {
  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd reader(pipe_ends[0]), writer(pipe_ends[1]);
  ASSERT_EQ(send(10, pipe_ends).status, Status::done);
  const PacketOutcome outcome = receive();
  ASSERT_EQ(outcome.status, Status::done);
  EXPECT_EQ(outcome.length, 10u);
  ASSERT_EQ(outcome.nb_fds, 2u);
  EXPECT_EQ(room_[9], std::byte{7});
  ASSERT_EQ(::write(fds_[1].get(), "x", 1), 1) << "the received write end leads to the same pipe";
  char c = 0;
  EXPECT_EQ(::read(reader.get(), &c, 1), 1);
  EXPECT_EQ(::fcntl(fds_[0].get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(UnixPacket, WhatDoesNotFitIsSaidAndItsDescriptorsAreClosed) {
  EXPECT_EQ(receive().status, Status::would_block);
  ASSERT_EQ(send(65).status, Status::done);
  EXPECT_EQ(receive().status, Status::too_long);
  ASSERT_EQ(send(64).status, Status::done);
  EXPECT_EQ(receive().status, Status::done) << "a neighbour that just fits";

  int pipe_ends[2];
  ASSERT_EQ(::pipe2(pipe_ends, O_CLOEXEC), 0);
  const UniqueFd reader(pipe_ends[0]);
  {
    const UniqueFd writer(pipe_ends[1]);
    const int three[] = {writer.get(), writer.get(), writer.get()};
    ASSERT_EQ(send(1, three).status, Status::done);
  }
  EXPECT_EQ(receive().status, Status::too_long) << "three descriptors, room for two";
  for (UniqueFd& fd : fds_) fd.reset();
  char c = 0;
  EXPECT_EQ(::read(reader.get(), &c, 1), 0) << "end of file: no copy of the write end is left open";
}

TEST_F(UnixPacket, TellsFullFromGone) {
  Status status = Status::done;
  for (int i = 0; i < 100'000 && status == Status::done; ++i) status = send(1).status;
  EXPECT_EQ(status, Status::would_block) << "nobody reads";
  right_.reset();
  EXPECT_EQ(send(1).status, Status::closed);
}

TEST_F(UnixPacket, SeesTheOtherSideClose) {
  left_.reset();
  EXPECT_EQ(receive().status, Status::closed);
}

TEST(UnixAddress, ConnectSaysWhatIsWrong) {
  EXPECT_EQ(connect_unix_packet("/nowhere/at/all.sock").error().code, Errc::not_found);
  EXPECT_EQ(connect_unix_packet(std::string(108, 'x')).error().code, Errc::invalid_argument);
  const auto longest = unix_address(std::string(107, 'x'));
  ASSERT_TRUE(longest);
  EXPECT_EQ(std::strlen(longest->sun_path), 107u);
}

}  // namespace
}  // namespace pgrid::shm
