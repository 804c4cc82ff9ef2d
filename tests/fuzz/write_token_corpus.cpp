// Writes what the fuzzers of tokens begin with: chains of the generator, good and bad, and their tokens one
// by one.
//   write_token_corpus FOLDER STAMP
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "tests/control/token/chain_generator.hpp"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  constexpr int kChains = 300;
  const std::filesystem::path folder = argv[1];
  pgrid::model::ChainGenerator generator(1);
  const auto write = [&](const char* target, const std::string& name, const std::string& bytes) {
    std::filesystem::create_directories(folder / target);
    std::ofstream(folder / target / name, std::ios::binary) << bytes;
  };
  for (int i = 0; i < kChains; ++i) {
    const auto [question, fault] = generator.next();
    std::string all = question.invocation;
    for (const std::string& proof : question.proofs) all += proof;
    write("ucan", "chain-" + std::to_string(i), all);
    write("dag_cbor", "token-" + std::to_string(i), question.invocation);
  }
  std::ofstream(argv[2]) << "made\n";
  return 0;
}
