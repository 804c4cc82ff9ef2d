// Modules by CID, each with the image that was compiled from it. The module's name is its check; the image,
// which a worker would execute whatever it holds, carries a keyed MAC over (CID, engine fingerprint, image).
//
//   STATE/code/CID.wasm     the module
//   STATE/code/CID.image    32 bytes MAC, then the image
//   STATE/image.key         32 random bytes, 0600; never leaves this machine
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "control/code_store/cid.hpp"
#include "control/store/files.hpp"

namespace pgrid::control {

inline constexpr std::uint64_t kModuleFileMax =
    64u << 20;  // bytes; the most that node.toml allows (limits.module_max)
inline constexpr std::uint64_t kImageMax = 1u << 30;  // bytes; compiled code is some 5 to 10 times its module

/// Owned by control's one thread.
class CodeStore {
 public:
  /// Opens STATE/code, makes the key at first use, and clears away what a crash left half written.
  [[nodiscard]] static Result<CodeStore> open(const std::filesystem::path& state_directory);

  /// Which engine the images are for: version, flags and CPU. An image of another is not used.
  void set_fingerprint(std::string fingerprint) { fingerprint_ = std::move(fingerprint); }

  [[nodiscard]] Result<void> put_module(std::string_view cid, std::span<const std::uint8_t> module);
  [[nodiscard]] Result<void> put_image(std::string_view cid, std::span<const std::uint8_t> image);

  /// The module, checked against its name.
  [[nodiscard]] Result<Bytes> module(std::string_view cid) const;
  /// The image; not_found when it must be compiled (again): none there, of another engine, or not ours.
  [[nodiscard]] Result<Bytes> image(std::string_view cid) const;

  /// Removes both. Called when no process uses them any more.
  void remove(std::string_view cid) const;

  /// Removes all code for which `is_used` says no.
  template <typename IsUsed>
  void remove_unused(IsUsed is_used) const {
    for (const std::string& cid : stored())
      if (!is_used(cid)) remove(cid);
  }

 private:
  using Mac = std::array<std::uint8_t, 32>;
  [[nodiscard]] Mac mac_of(std::string_view cid, std::span<const std::uint8_t> image) const;
  [[nodiscard]] std::filesystem::path path_of(std::string_view cid, const char* suffix) const;
  [[nodiscard]] std::vector<std::string> stored() const;

  std::filesystem::path directory_;
  std::array<std::uint8_t, 32> key_{};
  std::string fingerprint_;
};

}  // namespace pgrid::control
