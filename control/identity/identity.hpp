// Who this node is, and who its processes are. One key on disk; a process's key follows from it
// (docs/decisions/0019).
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "control/identity/signing_key.hpp"
#include "control/store/state.hpp"
#include "drivers/base/result.hpp"

namespace pgrid::identity {

/// Owned by control's one thread. A key that cannot be used is no reason not to start: everything else goes
/// on, and every call here says what is wrong with it.
class Identity {
 public:
  /// Reads STATE/keys/node.key, or makes it when there is none.
  explicit Identity(const std::filesystem::path& state_dir);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] Result<std::string> node_did() const;
  /// The same for as long as the process is there; another one, under the same index and name too, has
  /// another.
  [[nodiscard]] Result<const SigningKey*> key_of(const control::ProcessRecord& process);
  /// Null: none of this node has that DID.
  [[nodiscard]] const control::ProcessRecord* process_of(std::string_view did, const control::State& state);

 private:
  std::filesystem::path path_;
  Result<Seed> seed_;
  std::string did_;
  std::map<std::uint32_t, std::pair<std::uint32_t, SigningKey>> processes_;  // by index: generation, key
};

}  // namespace pgrid::identity
