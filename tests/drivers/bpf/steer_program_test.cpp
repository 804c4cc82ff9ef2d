// Shows: which frames the XDP program takes for the node and which it leaves to the kernel. Each frame is run
// through the loaded program by the kernel itself (BPF_PROG_TEST_RUN), attached to nothing; whole, and cut
// off at every length.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <linux/if_xdp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "drivers/base/unique_fd.hpp"
#include "drivers/base/unique_handle.hpp"
#include "drivers/bpf/steering.hpp"
#include "tests/drivers/dpdk/frames.hpp"

namespace pgrid::bpf {
namespace {

using test::Bytes;
constexpr std::uint32_t kNodes = XDP_REDIRECT, kKernels = XDP_PASS;
constexpr test::Mac kTo{2, 0, 0, 0, 0, 1}, kFrom{2, 0, 0, 0, 0, 2};

Bytes v4(unsigned port, std::string_view text = "hello") {
  return test::udp(kTo, kFrom, "192.0.2.2", "192.0.2.1", 5000, port, text, test::Checksums::complete);
}
Bytes v6(unsigned port, std::string_view text = "hello") {
  return test::udp(kTo, kFrom, "2001:db8::2", "2001:db8::1", 5000, port, text, test::Checksums::complete);
}
/// With other bytes from `at` on.
Bytes with(Bytes frame, std::size_t at, std::initializer_list<std::uint8_t> bytes) {
  std::copy(bytes.begin(), bytes.end(), frame.begin() + static_cast<std::ptrdiff_t>(at));
  return frame;
}
/// With bytes put in before `at`.
Bytes put_in(Bytes frame, std::size_t at, std::initializer_list<std::uint8_t> bytes) {
  frame.insert(frame.begin() + static_cast<std::ptrdiff_t>(at), bytes);
  return frame;
}
Bytes tagged(const Bytes& frame) { return put_in(frame, 12, {0x81, 0x00, 0x00, 0x07}); }

class SteerProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "loading a program into the kernel needs root";
    auto file = ProgramFile::create();
    ASSERT_TRUE(file) << file.error().sentence();
    object.reset(bpf_object__open_file(file->path().c_str(), nullptr));
    ASSERT_TRUE(object);
    ASSERT_EQ(bpf_object__load(object.get()), 0);
    program = bpf_program__fd(bpf_object__find_program_by_name(object.get(), "pgrid_steer"));
    const bpf_map* const map = bpf_object__find_map_by_name(object.get(), "xsks_map");
    ASSERT_TRUE(program >= 0 && map != nullptr) << "net_af_xdp looks for a map of this name";
    sockets = bpf_map__fd(map);
    socket = UniqueFd(::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
    const int ring = 64;
    ASSERT_EQ(::setsockopt(socket.get(), SOL_XDP, XDP_RX_RING, &ring, sizeof ring), 0);
    serve_queue(0);
  }
  void serve_queue(std::uint32_t queue) {
    const int fd = socket.get();
    ASSERT_EQ(bpf_map_update_elem(sockets, &queue, &fd, BPF_ANY), 0) << std::strerror(errno);
  }
  [[nodiscard]] std::uint32_t verdict(const Bytes& frame) const {
    bpf_test_run_opts run{};
    run.sz = sizeof run;
    run.data_in = frame.data();
    run.data_size_in = static_cast<std::uint32_t>(frame.size());
    EXPECT_EQ(bpf_prog_test_run_opts(program, &run), 0) << std::strerror(errno);
    return run.retval;
  }

  UniqueHandle<bpf_object, &bpf_object__close> object;
  int program = -1;
  int sockets = -1;
  UniqueFd socket;
};

struct Row {
  const char* what;
  Bytes frame;
  std::uint32_t verdict;
};

TEST_F(SteerProgram, TakesTheNodesDatagramsAndNothingElse) {
  constexpr std::size_t kIp = 14;  // where the IP header begins
  const std::vector<Row> rows{
      {"IPv4 to the port", v4(4646), kNodes},
      {"IPv6 to the port", v6(4646), kNodes},
      {"IPv4, empty", v4(4646, ""), kNodes},
      {"IPv6, empty", v6(4646, ""), kNodes},
      {"IPv4, the longest", v4(4646, std::string(1232, 'x')), kNodes},
      {"IPv4, one VLAN tag", tagged(v4(4646)), kNodes},
      {"IPv6, one VLAN tag", tagged(v6(4646)), kNodes},
      {"IPv4, don't fragment is not a fragment", with(v4(4646), kIp + 6, {0x40, 0}), kNodes},
      {"IPv4 with options", put_in(with(v4(4646), kIp, {0x46}), kIp + 20, {1, 1, 1, 1}), kNodes},
      {"IPv4 with the most options",
       put_in(with(v4(4646), kIp, {0x4f}), kIp + 20,
              {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
               1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}),
       kNodes},

      {"IPv4 to the next port", v4(4647), kKernels},
      {"IPv6 to the next port", v6(4647), kKernels},
      {"the port with its bytes turned", v4(0x2612), kKernels},
      {"from the port, not to it", with(v4(53), kIp + 20, {0x12, 0x26}), kKernels},
      {"TCP to the port", with(v4(4646), kIp + 9, {6}), kKernels},
      {"IPv6 TCP to the port", with(v6(4646), kIp + 6, {6}), kKernels},
      {"first fragment", with(v4(4646), kIp + 6, {0x20, 0}), kKernels},
      {"last fragment", with(v4(4646), kIp + 6, {0x00, 1}), kKernels},
      {"IPv6 fragment header", with(v6(4646), kIp + 6, {44}), kKernels},
      {"IPv4 header length of 4 words", with(v4(4646), kIp, {0x44}), kKernels},
      {"IP version 6 in an IPv4 frame", with(v4(4646), kIp, {0x65}), kKernels},
      {"IP version 4 in an IPv6 frame", with(v6(4646), kIp, {0x45}), kKernels},
      {"two VLAN tags", tagged(tagged(v4(4646))), kKernels},
      {"a service tag", with(tagged(v4(4646)), 12, {0x88, 0xa8}), kKernels},
      {"ARP", test::arp(1, kTo, kFrom, "192.0.2.2", kTo, "192.0.2.1"), kKernels},
      {"another EtherType", with(v4(4646), 12, {0x88, 0xcc}), kKernels},
  };
  for (const Row& row : rows) EXPECT_EQ(verdict(row.frame), row.verdict) << row.what;
}

TEST_F(SteerProgram, CutOffBeforeTheEndOfTheUdpHeaderStaysWithTheKernel) {
  for (const Bytes& whole : {v4(4646), v6(4646), tagged(v4(4646)), tagged(v6(4646))}) {
    const std::size_t udp_end = whole.size() - 5;
    for (std::size_t size = 14; size <= whole.size();
         ++size)  // the kernel runs no frame below an Ethernet header
      EXPECT_EQ(verdict({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)}),
                size >= udp_end ? kNodes : kKernels)
          << size << " of " << whole.size() << " bytes";
  }
}

TEST_F(SteerProgram, AQueueWithoutASocketStaysWithTheKernel) {
  const std::uint32_t queue = 0;
  ASSERT_EQ(bpf_map_delete_elem(sockets, &queue), 0);
  EXPECT_EQ(verdict(v4(4646)), kKernels);
  serve_queue(1);
  EXPECT_EQ(verdict(v4(4646)), kKernels) << "it came in on queue 0";
}

TEST_F(SteerProgram, TheUdpPortCanBeSet) {
  const bpf_map* const port = bpf_object__find_map_by_name(object.get(), ".data.port");
  ASSERT_NE(port, nullptr);
  const std::uint32_t key = 0;
  const std::uint16_t other = 5353;
  ASSERT_EQ(bpf_map_update_elem(bpf_map__fd(port), &key, &other, BPF_ANY), 0);
  EXPECT_EQ(verdict(v4(5353)), kNodes);
  EXPECT_EQ(verdict(v6(5353)), kNodes);
  EXPECT_EQ(verdict(v4(4646)), kKernels);
}

TEST(ClearInterface, NeedsTheInterface) {
  EXPECT_EQ(clear_interface("pgnone0").error().sentence(),
            "attach our XDP program to pgnone0: there is no such interface");
}

}  // namespace
}  // namespace pgrid::bpf
