#include "drivers/dpdk/pcap_file.hpp"

#include <fcntl.h>
#include <pcap/pcap.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "drivers/base/unique_fd.hpp"
#include "drivers/base/unique_handle.hpp"

namespace pgrid::dpdk {

Result<PcapFile> read_pcap_file(const std::string& path) {
  const std::string operation = "read frames from " + path;
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) return fail(Errc::invalid_argument, operation, std::strerror(errno));
  if (!S_ISREG(about.st_mode))  // a pipe would make the poll core wait
    return fail(Errc::invalid_argument, operation, "it is not a file", "name a capture file");

  char why[PCAP_ERRBUF_SIZE] = {};
  const UniqueHandle<pcap_t, &pcap_close> file(pcap_open_offline(path.c_str(), why));
  if (!file) {
    const std::string cause = why;
    return fail(Errc::invalid_argument, operation, cause.empty() ? "it cannot be opened" : cause,
                "name a capture file (pcap or pcapng), as tcpdump -w writes it");
  }
  if (pcap_datalink(file.get()) != DLT_EN10MB)
    return fail(Errc::invalid_argument, operation, "its frames are not of Ethernet",
                "capture on an Ethernet interface, not on \"any\"");
  PcapFile found;
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  int got = 0;
  while ((got = pcap_next_ex(file.get(), &header, &bytes)) == 1) {
    ++found.frames;
    found.longest = std::max(found.longest, header->caplen);
  }
  if (got != PCAP_ERROR_BREAK)
    return fail(Errc::corrupt, operation,
                "after " + std::to_string(found.frames) + " frames: " + pcap_geterr(file.get()));
  if (found.frames == 0) return fail(Errc::invalid_argument, operation, "there is no frame in it");
  return found;
}

Result<PcapFile> read_infinite_pcap_file(const std::string& path, std::uint32_t data_room) {
  auto file = read_pcap_file(path);
  if (!file) return file;
  const std::string operation = "read frames from " + path + " over and over";
  if (file->frames > kPcapFramesMax)
    return fail(Errc::invalid_argument, operation, std::to_string(file->frames) + " frames",
                "a file of at most " + std::to_string(kPcapFramesMax) + " fits");
  if (file->longest > data_room)
    return fail(Errc::invalid_argument, operation,
                "a frame of " + std::to_string(file->longest) + " bytes, and a packet buffer holds " +
                    std::to_string(data_room));
  return file;
}

Result<void> check_pcap_output(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!file) return fail_errno("write frames to " + path, errno);
  return {};
}

}  // namespace pgrid::dpdk
