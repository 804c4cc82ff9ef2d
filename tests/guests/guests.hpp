// Test guests by name: the text of tests/guests/NAME.wat, compiled.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "drivers/wasm/module.hpp"

namespace pgrid::tests {

inline std::string read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::abort();
  }
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// A guest's module. PGRID_GUESTS is the folder of the .wat files.
inline std::vector<std::byte> guest(const std::string& name) {
  std::string text = read_text(std::string(PGRID_GUESTS) + "/" + name + ".wat");
  const std::string mark = "(; prelude ;)";
  if (const auto at = text.find(mark); at != std::string::npos)
    text.replace(at, mark.size(), read_text(std::string(PGRID_GUESTS) + "/prelude.wat"));
  auto wasm = wasm::module_of_text(text);
  if (!wasm) {
    std::fprintf(stderr, "%s.wat: %s\n", name.c_str(), wasm.error().sentence().c_str());
    std::abort();
  }
  return std::move(*wasm);
}

}  // namespace pgrid::tests
