// Which instance speaks for a process, and the end of what an earlier one had: the rights that it had made,
// what it said of itself, what it wanted to be told. What they meant was in its memory.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "control/capability/rights.hpp"
#include "control/process/listener.hpp"

namespace pgrid::control {

/// Owned by control's one thread.
class Instances final : public ProcessListener {
 public:
  /// All of a process but `but` are gone.
  using OnEnded = std::function<void(std::uint32_t process, const Maker& but)>;
  using OnGaveUp = std::function<void(const ProcessRecord&)>;

  Instances(Store& store, DataplaneLink& link, Rights& rights)
      : store_(store), link_(link), rights_(rights) {}
  Instances(const Instances&) = delete;
  Instances& operator=(const Instances&) = delete;
  void listen(OnEnded on_ended, OnGaveUp on_gave_up) {
    on_ended_ = std::move(on_ended);
    on_gave_up_ = std::move(on_gave_up);
  }

  /// This instance asks: every other one of the process is gone.
  Maker seen(const ProcessRecord& process, std::uint32_t instance);

  void on_instance(const ProcessRecord& process, std::uint32_t instance) override;
  void on_gave_up(const ProcessRecord& process, const std::string& why) override;
  void on_revived(const ProcessRecord&) override {}
  void on_removed(std::uint32_t process) { end(process, {}); }

  /// The data plane is there: what belongs to instances of other starts of it, or of workers that died while
  /// control was away, ends.
  void on_attached();

 private:
  using IsGone = std::function<bool(const Maker&)>;
  [[nodiscard]] std::uint64_t life_of(std::uint32_t worker) const;
  void end(std::uint32_t process, const Maker& but);
  void end_where(std::uint32_t process, const IsGone& is_gone);

  Store& store_;
  DataplaneLink& link_;
  Rights& rights_;
  OnEnded on_ended_;
  OnGaveUp on_gave_up_;
  std::map<std::uint32_t, Maker> now_;  // by process
};

}  // namespace pgrid::control
