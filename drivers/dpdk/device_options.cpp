#include "drivers/dpdk/device_options.hpp"

#include <charconv>
#include <utility>

namespace pgrid::dpdk {

DeviceOptions::DeviceOptions(std::string_view device, std::string_view text, std::string usage)
    : operation_("device \"" + std::string(device) + "\""), usage_("write " + std::move(usage)) {
  while (!text.empty()) {
    const auto comma = text.find(',');
    const std::string_view word = text.substr(0, comma);
    text = comma == text.npos ? std::string_view{} : text.substr(comma + 1);
    const auto equals = word.find('=');
    const std::string key(word.substr(0, equals));
    std::optional<std::string> value;
    if (equals != word.npos) value = word.substr(equals + 1);
    // DPDK's devargs give brackets a meaning of their own.
    if (value && (value->empty() || value->find_first_of("[]()\"'") != value->npos))
      refuse(key + (value->empty() ? " is empty" : " has a character that DPDK does not take ([]()\"')"));
    if (!values_.emplace(key, std::move(value)).second) refuse(key + " stands there twice");
  }
}

std::string DeviceOptions::text(const std::string& key) {
  const auto found = values_.find(key);
  if (found == values_.end()) return {};
  const auto value = std::move(found->second);
  values_.erase(found);
  if (!value) refuse(key + " needs a value");
  return value.value_or("");
}

std::string DeviceOptions::required(const std::string& key) {
  if (!values_.contains(key)) refuse(key + " is missing");
  return text(key);
}

std::optional<std::uint32_t> DeviceOptions::number(const std::string& key, std::uint32_t max) {
  if (!values_.contains(key)) return std::nullopt;
  const std::string value = text(key);
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number > max)
    refuse(key + " must be a number from 0 to " + std::to_string(max));
  return number;
}

bool DeviceOptions::flag(const std::string& key) {
  const auto found = values_.find(key);
  if (found == values_.end()) return false;
  if (found->second) refuse(key + " takes no value");
  values_.erase(found);
  return true;
}

void DeviceOptions::refuse(std::string cause) {
  if (refusal_.empty()) refusal_ = std::move(cause);
}

Result<void> DeviceOptions::finish() {
  if (!values_.empty()) refuse("\"" + values_.begin()->first + "\" is not an option of it");
  if (refusal_.empty()) return {};
  return fail(Errc::invalid_argument, operation_, refusal_, usage_);
}

}  // namespace pgrid::dpdk
