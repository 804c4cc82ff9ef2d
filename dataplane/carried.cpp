#include "dataplane/carried.hpp"

namespace pgrid::dataplane {
namespace {

constexpr std::uint8_t kCopy = 1;
constexpr std::uint8_t kMove = 2;

}  // namespace

bool read_carried(const abi::WorkerReply& reply, const Holder& sender, const HandleTable& handles,
                  Carried& carried) noexcept {
  carried.count = carried.moved = carried.held = 0;
  std::uint64_t seen = 0;   // bit per handle
  std::uint64_t moved = 0;
  for (std::uint32_t i = 0; i < abi::kCarriedRightsMax; ++i) {
    const std::uint32_t handle = reply.rights[i];
    const std::uint8_t mode = reply.rights_mode[i];
    if (handle == 0 && mode == 0) continue;  // what stands behind it would be a gap
    if (i != carried.count || !abi::is_held_handle(handle) || (mode != kCopy && mode != kMove)) return false;
    const std::uint64_t bit = std::uint64_t{1} << handle;
    if ((moved & bit) != 0 || (mode == kMove && ((seen & bit) != 0 || abi::is_grant(handle)))) return false;
    seen |= bit;
    if (mode == kMove) {
      moved |= bit;
      carried.moved |= 1u << i;
    }
    const HeldRight right = handles.find(sender.process, sender.generation, sender.worker, handle);
    if (right.verdict == HeldRight::Verdict::foreign) return false;
    if (right.verdict == HeldRight::Verdict::held) carried.held |= 1u << i;
    carried.handles[i] = handle;
    carried.rights[i] = {right.slot, right.generation};
    ++carried.count;
  }
  return true;
}

void take_moved(const Holder& sender, const Carried& carried, const HandleTable& handles) noexcept {
  for (std::uint32_t i = 0; i < carried.count; ++i)
    if ((carried.moved & carried.held) >> i & 1)
      (void)handles.take(sender.process, carried.handles[i], sender.generation, carried.rights[i]);
}

GivenHandles kept_of(const Holder& sender, const Carried& carried) noexcept {
  GivenHandles kept{};
  std::size_t n = 0;
  for (std::uint32_t i = 0; i < carried.count; ++i)
    if ((carried.moved & carried.held) >> i & 1) kept[n++] = abi::carried_handle(carried.handles[i], sender.generation);
  return kept;
}

bool give_rights(std::uint32_t process, const HandleTable::Owner& owner, std::span<const abi::RightRef> rights,
                 const HandleTable& handles, GivenHandles& given) noexcept {
  given = {};
  if (!handles.give(process, owner, rights, given.data())) return false;
  for (std::size_t i = 0; i < rights.size(); ++i) given[i] = abi::carried_handle(given[i], owner.generation);
  return true;
}

void take_back(std::uint32_t process, std::uint32_t generation, std::span<const abi::RightRef> rights,
               const GivenHandles& given, const HandleTable& handles) noexcept {
  for (std::size_t i = 0; i < rights.size(); ++i)
    (void)handles.take(process, abi::handle_of(given[i]), generation, rights[i]);
}

}  // namespace pgrid::dataplane
