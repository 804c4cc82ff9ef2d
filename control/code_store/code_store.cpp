#include "control/code_store/code_store.hpp"

#include <sodium.h>

#include <algorithm>
#include <system_error>

#include "drivers/base/check.hpp"

namespace pgrid::control {
namespace {

static_assert(crypto_generichash_BYTES == 32 && crypto_generichash_KEYBYTES == 32);

Result<void> put_file(const std::filesystem::path& path, std::span<const std::uint8_t> bytes) {
  if (Result<UniqueFd> fd = replace_file(path, bytes); !fd) return std::unexpected(fd.error());
  return {};
}

/// 32 random bytes, made once.
Result<void> load_or_make_key(const std::filesystem::path& path, std::array<std::uint8_t, 32>& key) {
  Result<Bytes> stored = read_file(path, 4096);
  if (stored && stored->size() == key.size()) {
    std::copy(stored->begin(), stored->end(), key.begin());
    return {};
  }
  if (!stored && stored.error().code != Errc::not_found) return std::unexpected(stored.error());
  // None, or not a key: with a new one every image is compiled again, nothing is lost.
  randombytes_buf(key.data(), key.size());
  return put_file(path, key);
}

}  // namespace

Result<CodeStore> CodeStore::open(const std::filesystem::path& state_directory) {
  if (sodium_init() < 0) return fail(Errc::internal, "sodium_init", "libsodium cannot start");
  CodeStore store;
  store.directory_ = state_directory / "code";
  if (Result<void> made = make_private_directory(store.directory_); !made)
    return std::unexpected(made.error());
  if (Result<void> key = load_or_make_key(state_directory / "image.key", store.key_); !key)
    return std::unexpected(key.error());
  std::error_code error;
  std::vector<std::filesystem::path> half_written;
  for (const auto& entry : std::filesystem::directory_iterator(store.directory_, error))
    if (entry.path().extension() == ".new") half_written.push_back(entry.path());
  for (const auto& path : half_written) std::filesystem::remove(path, error);
  return store;
}

std::filesystem::path CodeStore::path_of(std::string_view cid, const char* suffix) const {
  PG_CHECK(is_cid_text(cid));
  return directory_ / (std::string(cid) + suffix);
}

Result<void> CodeStore::put_module(std::string_view cid, std::span<const std::uint8_t> bytes) {
  if (module(cid)) return {};  // the same bytes: that is what the name says
  return put_file(path_of(cid, ".wasm"), bytes);
}

Result<void> CodeStore::put_image(std::string_view cid, std::span<const std::uint8_t> image) {
  const Mac mac = mac_of(cid, image);
  Bytes file(mac.begin(), mac.end());
  file.insert(file.end(), image.begin(), image.end());
  return put_file(path_of(cid, ".image"), file);
}

Result<Bytes> CodeStore::module(std::string_view cid) const {
  Result<Bytes> bytes = read_file(path_of(cid, ".wasm"), kModuleFileMax);
  if (bytes && cid_of(*bytes).text() != cid)
    return fail(Errc::corrupt, "read module " + std::string(cid), "its bytes were changed on disk",
                "deploy it again");
  return bytes;
}

Result<Bytes> CodeStore::image(std::string_view cid) const {
  Result<Bytes> file = read_file(path_of(cid, ".image"), kImageMax);
  if (!file) return file;
  Mac stored{};
  if (file->size() > stored.size()) {
    std::copy_n(file->begin(), stored.size(), stored.begin());
    const Mac right = mac_of(cid, std::span(*file).subspan(stored.size()));
    if (sodium_memcmp(stored.data(), right.data(), stored.size()) == 0) {
      file->erase(file->begin(), file->begin() + static_cast<std::ptrdiff_t>(stored.size()));
      return file;
    }
  }
  return fail(Errc::not_found, "read image of " + std::string(cid),
              "made by another engine, or not by this node");
}

void CodeStore::remove(std::string_view cid) const {
  std::error_code error;
  std::filesystem::remove(path_of(cid, ".image"), error);
  std::filesystem::remove(path_of(cid, ".wasm"), error);
}

std::vector<std::string> CodeStore::stored() const {
  std::vector<std::string> cids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, error))
    if (std::string cid = entry.path().stem().string(); is_cid_text(cid)) cids.push_back(std::move(cid));
  std::sort(cids.begin(), cids.end());
  cids.erase(std::unique(cids.begin(), cids.end()), cids.end());
  return cids;
}

CodeStore::Mac CodeStore::mac_of(std::string_view cid, std::span<const std::uint8_t> image) const {
  // Each part stands behind its length, so that no two lists of parts are the same bytes.
  crypto_generichash_state state;
  crypto_generichash_init(&state, key_.data(), key_.size(), crypto_generichash_BYTES);
  const auto add = [&](const void* data, std::uint64_t size) {
    crypto_generichash_update(&state, reinterpret_cast<const std::uint8_t*>(&size), sizeof size);
    crypto_generichash_update(&state, static_cast<const std::uint8_t*>(data), size);
  };
  add(cid.data(), cid.size());
  add(fingerprint_.data(), fingerprint_.size());
  add(image.data(), image.size());
  Mac mac{};
  crypto_generichash_final(&state, mac.data(), mac.size());
  return mac;
}

}  // namespace pgrid::control
