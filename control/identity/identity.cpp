#include "control/identity/identity.hpp"

#include <sodium.h>

#include "control/identity/key_file.hpp"
#include "control/log/log.hpp"
#include "control/store/files.hpp"

namespace pgrid::identity {
namespace {

constexpr char kContext[crypto_kdf_CONTEXTBYTES + 1] = "pgridprc";
constexpr std::uint64_t kProcesses = 1;  // number of the subkey from which the keys of processes follow
static_assert(crypto_kdf_KEYBYTES == std::tuple_size_v<Seed>);

Result<Seed> read_or_make(const std::filesystem::path& path) {
  if (Result<void> made = control::make_private_directory(path.parent_path()); !made)
    return std::unexpected(made.error());
  Result<Seed> seed = read_key_file(path);
  if (seed || seed.error().code != Errc::not_found) return seed;
  return make_key_file(path);
}

void append(std::string& message, std::uint32_t number) {
  for (unsigned i = 0; i < 4; ++i) message += static_cast<char>(number >> (8 * i));
}

}  // namespace

Identity::Identity(const std::filesystem::path& state_dir)
    : path_(state_dir / "keys" / "node.key"), seed_(read_or_make(path_)) {
  if (seed_)
    did_ = SigningKey(*seed_).did();
  else
    control::log_error("this node has no identity, so no tokens: " + seed_.error().sentence());
}

Result<std::string> Identity::node_did() const {
  if (!seed_) return std::unexpected(seed_.error());
  return did_;
}

Result<const SigningKey*> Identity::key_of(const control::ProcessRecord& process) {
  if (!seed_) return std::unexpected(seed_.error());
  if (const auto known = processes_.find(process.index);
      known != processes_.end() && known->second.first == process.generation)
    return &known->second.second;
  Seed master;
  crypto_kdf_derive_from_key(master.data(), master.size(), kProcesses, kContext, seed_->data());
  std::string message;
  append(message, process.index);
  append(message, process.generation);
  message += process.name;
  Seed own;
  crypto_generichash(own.data(), own.size(), reinterpret_cast<const std::uint8_t*>(message.data()),
                     message.size(), master.data(), master.size());
  processes_.erase(process.index);
  const auto made = processes_.emplace(process.index, std::pair(process.generation, SigningKey(own))).first;
  sodium_memzero(master.data(), master.size());
  sodium_memzero(own.data(), own.size());
  return &made->second.second;
}

const control::ProcessRecord* Identity::process_of(std::string_view did, const control::State& state) {
  const std::optional<PublicKey> wanted = identity::key_of(did);
  if (!wanted) return nullptr;
  for (const auto& [index, process] : state.processes())
    if (const auto key = key_of(process); key && (*key)->public_key() == *wanted) return &process;
  return nullptr;
}

}  // namespace pgrid::identity
