// The model's CBOR: a recursive reader that builds trees and says what is wrong first, from the left.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "tests/control/token/model.hpp"

namespace pgrid::model {
namespace {

using Type = Value::Type;

std::string head(int major, std::uint64_t n) {
  std::string out;
  const auto tail = [&](int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(n >> (8 * i) & 0xff);
  };
  const int top = major * 32;
  if (n <= 23) return {static_cast<char>(top + static_cast<int>(n))};
  if (n <= 0xff)
    out += static_cast<char>(top + 24), tail(1);
  else if (n <= 0xffff)
    out += static_cast<char>(top + 25), tail(2);
  else if (n <= 0xffffffff)
    out += static_cast<char>(top + 26), tail(4);
  else
    out += static_cast<char>(top + 27), tail(8);
  return out;
}

bool key_before(const std::string& a, const std::string& b) {
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

bool is_valid_text(const std::string& s) {
  // By code point: decode, then ask whether the number needed that many bytes and may stand in UTF-8.
  for (std::size_t i = 0; i < s.size();) {
    const auto c = static_cast<unsigned char>(s[i]);
    const int length = c < 0x80             ? 1
                       : (c & 0xe0) == 0xc0 ? 2
                       : (c & 0xf0) == 0xe0 ? 3
                       : (c & 0xf8) == 0xf0 ? 4
                                            : 0;
    if (length == 0 || i + static_cast<std::size_t>(length) > s.size()) return false;
    std::uint32_t point = length == 1 ? c : c & (0x7f >> length);
    for (int k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(s[i + static_cast<std::size_t>(k)]);
      if (next / 64 != 2) return false;
      point = point * 64 + next % 64;
    }
    const std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[length] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    i += static_cast<std::size_t>(length);
  }
  return true;
}

bool is_link(const std::string& cid) {
  if (cid.size() == 34 && cid.compare(0, 2, "\x12\x20") == 0) return true;
  std::size_t at = 0;
  std::uint64_t numbers[4];  // version, codec, hash, length
  for (std::uint64_t& number : numbers) {
    number = 0;
    std::uint64_t weight = 1;
    int used = 0;
    while (true) {
      if (at == cid.size() || used == 9) return false;
      const auto byte = static_cast<unsigned char>(cid[at++]);
      ++used;
      number += (byte % 128) * weight;
      weight *= 128;
      if (byte < 128) {
        if (byte == 0 && used > 1) return false;
        break;
      }
    }
  }
  return numbers[0] == 1 && numbers[3] == cid.size() - at;
}

class Reader {
 public:
  Reader(const std::string& bytes, bool is_lenient) : bytes_(bytes), is_lenient_(is_lenient) {}

  Value whole() {
    Value value = item(0, false, "");
    if (at_ != bytes_.size()) throw Refused("malformed");
    return value;
  }

 private:
  unsigned char byte() {
    if (at_ == bytes_.size()) throw Refused("malformed");
    return static_cast<unsigned char>(bytes_[at_++]);
  }

  /// `path`: how the item is reached, "/" and a key or an index for each step.
  Value item(int depth, bool is_key, const std::string& path) {
    const int first = byte();
    const int major = first / 32;
    const int info = first % 32;
    if (info >= 28 && info <= 30) throw Refused("malformed");
    std::uint64_t n = static_cast<std::uint64_t>(info);
    const int width = info == 24 ? 1 : info == 25 ? 2 : info == 26 ? 4 : info == 27 ? 8 : 0;
    if (width != 0) n = 0;
    for (int i = 0; i < width; ++i) n = n * 256 + byte();
    if (info == 31) throw Refused(major >= 2 && major <= 5 ? "non_canonical" : "malformed");
    if (is_key && major != 3) throw Refused("malformed");
    if (major == 7) return simple(info, n);
    if ((width == 1 && n < 24) || (width == 2 && n < 256) || (width == 4 && n < 65536) ||
        (width == 8 && n < 4294967296))
      throw Refused("non_canonical");
    const std::uint64_t left = bytes_.size() - at_;
    switch (major) {
      case 0:
        return Value::whole_of(n);
      case 1:
        return Value::negative_of(n);
      case 2:
      case 3: {
        if (n > left) throw Refused("malformed");
        std::string content = bytes_.substr(at_, n);
        at_ += n;
        if (major == 2) return Value::bytes_of(content);
        if (!is_valid_text(content)) throw Refused("malformed");
        return Value::text_of(content);
      }
      case 4: {
        if (n > left) throw Refused("malformed");
        open(depth, path);
        Value list = Value::list_of({});
        for (std::uint64_t i = 0; i < n; ++i)
          list.list.push_back(item(depth + 1, false, path + '/' + std::to_string(i)));
        return list;
      }
      case 5: {
        if (n > left / 2) throw Refused("malformed");
        open(depth, path);
        Value map = Value::map_of({});
        for (std::uint64_t i = 0; i < n; ++i) {
          const std::string key = item(depth + 1, true, "").string;
          if (i != 0 && !key_before(map.map.back().first, key)) throw Refused("non_canonical");
          // The place of a key says as much as its name: the payload is the second of the signed map.
          map.map.emplace_back(key,
                               item(depth + 1, false, path + '/' + (depth == 1 ? std::to_string(i) : key)));
        }
        return map;
      }
      default:
        break;
    }
    if (n != 42) throw Refused("malformed");
    const Value content = link_content();
    if (content.string.empty() || content.string[0] != '\0' || !is_link(content.string.substr(1)))
      throw Refused("malformed");
    return Value::link_of(content.string.substr(1));
  }

  Value link_content() {
    if (at_ == bytes_.size()) throw Refused("malformed");
    const int first = static_cast<unsigned char>(bytes_[at_]);
    if (first == 0x5f) throw Refused("non_canonical");
    if (first / 32 != 2) throw Refused("malformed");
    return item(0, false, "");
  }

  Value simple(int info, std::uint64_t n) const {
    if (info >= 25) {
      if (!is_lenient_) throw Refused("float");
      if (info != 27) throw Refused("non_canonical");
      double real = 0;
      std::memcpy(&real, &n, sizeof real);
      if (std::isnan(real) || std::isinf(real)) throw Refused("malformed");
      return Value::real_of(real);
    }
    if (info == 20 || info == 21) return Value::yes_no_of(info == 21);
    if (info == 22) return Value::null();
    throw Refused("malformed");
  }

  static void open(int depth, const std::string& path) {
    if (depth == 128)
      throw Refused(path.starts_with("/1/1/pol") && (path.size() == 8 || path[8] == '/') ? "policy_too_deep"
                                                                                         : "malformed");
  }

  const std::string& bytes_;
  bool is_lenient_;
  std::size_t at_ = 0;
};

Value of_type(Type type, std::uint64_t number, std::string string = {}) {
  Value value;
  value.type = type;
  value.number = number;
  value.string = std::move(string);
  return value;
}

}  // namespace

Value Value::whole_of(std::uint64_t n) { return of_type(Type::whole, n); }
Value Value::negative_of(std::uint64_t n) { return of_type(Type::negative, n); }
Value Value::integer_of(std::int64_t n) {
  return n >= 0 ? whole_of(static_cast<std::uint64_t>(n)) : negative_of(static_cast<std::uint64_t>(-(n + 1)));
}
Value Value::bytes_of(std::string s) { return of_type(Type::bytes, 0, std::move(s)); }
Value Value::text_of(std::string s) { return of_type(Type::text, 0, std::move(s)); }
Value Value::link_of(std::string cid) { return of_type(Type::link, 0, std::move(cid)); }
Value Value::yes_no_of(bool b) { return of_type(Type::yes_no, b); }
Value Value::raw_of(std::string s) { return of_type(Type::raw, 0, std::move(s)); }
Value Value::null() { return {}; }
Value Value::real_of(double d) {
  Value value = of_type(Type::real, 0);
  value.real = d;
  return value;
}
Value Value::list_of(std::vector<Value> l) {
  Value value = of_type(Type::list, 0);
  value.list = std::move(l);
  return value;
}
Value Value::map_of(std::vector<Pair> m) {
  Value value = of_type(Type::map, 0);
  value.map = std::move(m);
  return value;
}

std::string encode(const Value& v) {
  switch (v.type) {
    case Type::whole:
      return head(0, v.number);
    case Type::negative:
      return head(1, v.number);
    case Type::bytes:
      return head(2, v.string.size()) + v.string;
    case Type::text:
      return head(3, v.string.size()) + v.string;
    case Type::list: {
      std::string out = head(4, v.list.size());
      for (const Value& one : v.list) out += encode(one);
      return out;
    }
    case Type::map: {
      auto pairs = v.map;
      std::ranges::sort(pairs, key_before, [](const auto& pair) -> const std::string& { return pair.first; });
      std::string out = head(5, pairs.size());
      for (const auto& [key, value] : pairs) out += head(3, key.size()) + key + encode(value);
      return out;
    }
    case Type::link:
      return head(6, 42) + head(2, v.string.size() + 1) + '\0' + v.string;
    case Type::yes_no:
      return v.number ? "\xf5" : "\xf4";
    case Type::null:
      return "\xf6";
    case Type::real: {
      std::uint64_t n = 0;
      std::memcpy(&n, &v.real, sizeof n);
      std::string out = "\xfb";
      for (int i = 7; i >= 0; --i) out += static_cast<char>(n >> (8 * i) & 0xff);
      return out;
    }
    case Type::raw:
      return v.string;
  }
  return {};
}

Value decode(const std::string& bytes, bool is_lenient) { return Reader(bytes, is_lenient).whole(); }

}  // namespace pgrid::model
