// Writes the packets of the table as files: what the fuzz targets begin with.
//
// usage: write_corpus DIRECTORY STAMP: fills DIRECTORY/{frame,envelope,message}, then writes STAMP
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "abi/wire/envelope.hpp"
#include "dataplane/frame.hpp"
#include "tests/packets/packet_table.hpp"

namespace {

using namespace pgrid;

bool write_file(const std::filesystem::path& path, std::span<const std::byte> bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  return static_cast<bool>(file.flush());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: write_corpus DIRECTORY STAMP\n");
    return 2;
  }
  const std::filesystem::path directory = argv[1];
  for (const char* part : {"frame", "envelope", "message"})
    std::filesystem::create_directories(directory / part);
  std::size_t number = 0;
  bool ok = true;
  for (const test::Row& row : test::packet_table()) {
    for (const test::Variant& variant : test::variants_of(row)) {
      const std::string name = std::to_string(number++);
      const test::Bytes frame = row.frame(variant);
      ok &= write_file(directory / "frame" / name, frame);
      const auto parsed =
          dataplane::parse_frame(frame, test::node_identity(), dataplane::ChecksumStatus::unknown,
                                 dataplane::ChecksumStatus::unknown);
      if (parsed.kind != dataplane::FrameKind::message || variant.vlan) continue;
      ok &= write_file(directory / "envelope" / name, parsed.frame.payload);
      const auto opened = wire::open_envelope(parsed.frame.payload);
      if (opened.verdict == wire::Envelope::message_1)
        ok &= write_file(directory / "message" / name, opened.content);
    }
  }
  if (!ok || !write_file(argv[2], {})) {
    std::fprintf(stderr, "write_corpus: writing to %s failed; is the disk full?\n", argv[1]);
    return 1;
  }
  return 0;
}
