#include "control/api/object.hpp"

#include <algorithm>

namespace pgrid::control {
namespace {

using Json = nlohmann::json;
constexpr int kDepthMax = 8;            // nothing here is deeper than two
constexpr std::size_t kFieldsMax = 64;  // of one object: each is compared with those before it

/// What the library would let pass.
struct Faults {
  bool twice = false;  // a field is given twice: it would keep the last
  bool deep = false;
  bool many = false;
};

Json parse(std::span<const std::uint8_t> text, Faults& faults) {
  std::vector<std::vector<std::string>> seen;
  const Json::parser_callback_t look = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) seen.emplace_back();
    if (event == Json::parse_event_t::object_end && !seen.empty()) seen.pop_back();
    if (event == Json::parse_event_t::key && !seen.empty()) {
      const std::string& key = parsed.get_ref<const std::string&>();
      if (seen.back().size() == kFieldsMax) {
        faults.many = true;
        return false;
      }
      if (std::find(seen.back().begin(), seen.back().end(), key) != seen.back().end()) faults.twice = true;
      seen.back().push_back(key);
    }
    if (depth > kDepthMax) faults.deep = true;
    return depth <= kDepthMax;
  };
  return Json::parse(text.begin(), text.end(), look, /*allow_exceptions=*/false);
}

}  // namespace

ObjectReader::ObjectReader(std::span<const std::uint8_t> text) {
  Faults faults;
  object_ = parse(text, faults);
  if (faults.deep)
    wrong("request body", "nested deeper than " + std::to_string(kDepthMax), "send a flat object");
  else if (faults.many)
    wrong("request body", "an object of more than " + std::to_string(kFieldsMax) + " fields",
          "send the known ones only");
  else if (!object_.is_object())
    wrong("request body", "not a JSON object", "send one, with content type application/json");
  else if (faults.twice)
    wrong("request body", "a field is given twice", "give it once");
}

std::optional<std::string> ObjectReader::text(const char* name) {
  const Json* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    wrong("field \"" + std::string(name) + "\"", "must be text", "");
    return std::nullopt;
  }
  return value->get<std::string>();
}

std::optional<std::uint64_t> ObjectReader::number(const char* name, std::uint64_t max) {
  const Json* value = take(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_unsigned() || value->get<std::uint64_t>() > max) {
    wrong("field \"" + std::string(name) + "\"", "not possible",
          "give a whole number up to " + std::to_string(max));
    return std::nullopt;
  }
  return value->get<std::uint64_t>();
}

Result<void> ObjectReader::finish() {
  if (!error_ && !object_.empty())
    wrong("field \"" + object_.begin().key() + "\"", "unknown here", "there are: " + known_);
  if (error_) return std::unexpected(*error_);
  return {};
}

/// The field's value, moved out of the object: what is left over at the end is unknown.
const Json* ObjectReader::take(const char* name) {
  known_ += (known_.empty() ? "" : ", ") + std::string(name);
  if (!object_.is_object()) return nullptr;
  const auto found = object_.find(name);
  if (found == object_.end()) return nullptr;
  taken_ = std::move(*found);
  object_.erase(found);
  return &taken_;
}

void ObjectReader::wrong(std::string operation, std::string cause, std::string remedy) {
  if (!error_)
    error_ = Error{Errc::invalid_argument, std::move(operation), std::move(cause), std::move(remedy)};
}

}  // namespace pgrid::control
