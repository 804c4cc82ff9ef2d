// Owner of a pointer handed out by a C library, released by that library's own function.
#pragma once

#include <memory>

namespace pgrid {

/// One line per foreign type: `using Engine = UniqueHandle<wasm_engine_t, &wasm_engine_delete>;`
template <typename T, auto release>
using UniqueHandle = std::unique_ptr<T, decltype([](T* pointer) { release(pointer); })>;

}  // namespace pgrid
