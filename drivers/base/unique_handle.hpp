// Owner of a pointer handed out by a C library, released by that library's own function.
#pragma once

#include <memory>

namespace pgrid {

/// Calls a library's own release function. A named type, so that a class with such a member is the same class in every
/// translation unit (a lambda would not be).
template <auto release>
struct ReleaseWith {
  template <typename T>
  void operator()(T* pointer) const noexcept {
    release(pointer);
  }
};

/// One line per foreign type: `using Engine = UniqueHandle<wasm_engine_t, &wasm_engine_delete>;`
template <typename T, auto release>
using UniqueHandle = std::unique_ptr<T, ReleaseWith<release>>;

}  // namespace pgrid
