#include "control/token/bundle.hpp"

#include <algorithm>

#include "control/token/multibase.hpp"

namespace pgrid::token {
namespace {

bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

std::vector<Bytes> split(Bytes bytes) {
  std::vector<Bytes> parts;
  for (Cursor in(bytes); !in.at_end();) parts.push_back(in.take());
  return parts;
}

std::string bundle_text(Bytes bytes) {
  std::string text = base64(bytes);
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return 'u' + text;
}

std::string bundle_bytes(std::string_view content) {
  // A token's first byte is an array's head, which is no ASCII.
  if (content.empty() ||
      std::ranges::any_of(content, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
    return std::string(content);
  std::string text;
  std::ranges::copy_if(content, std::back_inserter(text), [](char c) { return !is_space(c); });
  // In base64 that head is "g" or a letter near it; "u" and "m" say which alphabet follows.
  if (auto bytes = text.starts_with('u') || text.starts_with('m') ? from_multibase(text) : from_base64(text))
    return *bytes;
  return std::string(content);
}

}  // namespace pgrid::token
