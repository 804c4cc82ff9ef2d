#include "drivers/wasm/text.hpp"

#include <algorithm>
#include <cstdio>
#include <string_view>

namespace pgrid::wasm {
namespace {

constexpr std::size_t kFramesShown = 8;      // of the backtrace, innermost first
constexpr std::size_t kNameShown = 48;       // characters of a function's name
constexpr std::size_t kSentenceShown = 600;  // characters: with the frames it fits one message body of 1,024

/// Names and messages hold what a module's author put there: only printable ASCII goes on, so that no log line can be
/// forged or a terminal commanded.
std::string printable(std::string_view text, std::size_t length_max) {
  std::string clean;
  for (const char c : text.substr(0, length_max)) {
    if (c == '\n' || c == '\t') {
      if (!clean.empty() && clean.back() != ' ') clean += ' ';
    } else {
      clean += c >= 0x20 && c < 0x7f ? c : '?';
    }
  }
  return clean;
}

std::string_view sentence_of(wasmtime_trap_code_t code) {
  switch (code) {
    case WASMTIME_TRAP_CODE_STACK_OVERFLOW: return "the call stack is exhausted";
    case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS: return "memory access out of bounds";
    case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS: return "table access out of bounds";
    case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL: return "indirect call to a null table entry";
    case WASMTIME_TRAP_CODE_BAD_SIGNATURE: return "indirect call with the wrong type";
    case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW: return "integer overflow";
    case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO: return "integer division by zero";
    case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER: return "float too large for an integer";
    case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED: return "unreachable code reached";
    case WASMTIME_TRAP_CODE_INTERRUPT: return "the time limit passed";
    default: return "trap";
  }
}

std::string frames_text(wasm_frame_vec_t& frames) {
  std::string text;
  const std::size_t shown = std::min<std::size_t>(frames.size, kFramesShown);
  for (std::size_t i = 0; i < shown; ++i) {
    const wasm_name_t* name = wasmtime_frame_func_name(frames.data[i]);
    text += i == 0 ? ", in " : " called by ";
    text += name != nullptr && name->size != 0 ? printable({name->data, name->size}, kNameShown)
                                               : "function " + std::to_string(wasm_frame_func_index(frames.data[i]));
    if (i == 0) text += " at 0x" + [offset = wasm_frame_module_offset(frames.data[i])] {
      char digits[17];
      std::snprintf(digits, sizeof digits, "%zx", offset);
      return std::string(digits);
    }();
  }
  if (frames.size > shown) text += " and " + std::to_string(frames.size - shown) + " more";
  return text;
}

}  // namespace

std::string take_text(wasmtime_error_t* error) {
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  std::string text = printable({message.data, message.size}, kSentenceShown);
  wasm_name_delete(&message);
  wasmtime_error_delete(error);
  while (!text.empty() && text.back() == ' ') text.pop_back();
  return text;
}

Stop take_stop(wasmtime_error_t* error, wasm_trap_t* trap) {
  if (trap == nullptr) return {.why = Stop::Why::trap, .text = take_text(error)};
  Stop stop;
  wasmtime_trap_code_t code = 0;
  if (wasmtime_trap_code(trap, &code)) {
    if (code == WASMTIME_TRAP_CODE_INTERRUPT) stop.why = Stop::Why::time_limit;
    if (code == WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS) stop.why = Stop::Why::memory;
    if (code == WASMTIME_TRAP_CODE_STACK_OVERFLOW) stop.why = Stop::Why::stack;
    stop.text = sentence_of(code);
  } else {
    wasm_message_t message;
    wasm_trap_message(trap, &message);
    stop.text = printable({message.data, message.size}, kSentenceShown);
    wasm_byte_vec_delete(&message);
  }
  wasm_frame_vec_t frames;
  wasm_trap_trace(trap, &frames);
  stop.text += frames_text(frames);
  wasm_frame_vec_delete(&frames);
  wasm_trap_delete(trap);
  return stop;
}

}  // namespace pgrid::wasm
