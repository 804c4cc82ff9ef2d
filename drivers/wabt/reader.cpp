#include "drivers/wabt/reader.hpp"

#include <wabt/binary-reader-nop.h>
#include <wabt/binary-reader.h>

#include <string_view>
#include <utility>

#include "drivers/wabt/instruction_of.hpp"

namespace pgrid::code {
namespace {

using wabt::Index;
using wabt::Opcode;

Kind kind_of(wabt::ExternalKind kind) {
  switch (kind) {
    case wabt::ExternalKind::Func:
      return Kind::function;
    case wabt::ExternalKind::Table:
      return Kind::table;
    case wabt::ExternalKind::Memory:
      return Kind::memory;
    case wabt::ExternalKind::Global:
      return Kind::global;
    default:
      return Kind::other;
  }
}

Bounds bounds_of(const wabt::Limits& limits) {
  Bounds bounds{.min = limits.initial, .max = {}};
  if (limits.has_max) bounds.max = limits.max;
  return bounds;
}

/// Fills a Module. wabt calls one function for each thing that it reads, in the order of the file.
class Builder final : public wabt::BinaryReaderNop {
 public:
  Module module;
  std::string error;

  bool OnError(const wabt::Error& e) override {
    if (error.empty()) error = e.message;
    return true;  // said
  }

  wabt::Result OnFuncType(Index, Index nb_in, wabt::Type* in, Index nb_out, wabt::Type* out) override {
    Type type;
    const auto add = [&type](wabt::Type* types, Index count, std::vector<std::uint8_t>& to) {
      type.text += "(";
      for (Index i = 0; i < count; ++i) {
        to.push_back(width_of(types[i]));
        type.text += (i == 0 ? "" : ", ") + types[i].GetName();
      }
      type.text += ")";
    };
    add(in, nb_in, type.parameters);
    type.text += " -> ";
    add(out, nb_out, type.results);
    module.types.push_back(std::move(type));
    return wabt::Result::Ok;
  }

  wabt::Result OnImport(Index, wabt::ExternalKind kind, std::string_view from,
                        std::string_view name) override {
    module.imports.push_back({std::string(from), std::string(name), kind_of(kind)});
    return wabt::Result::Ok;
  }
  wabt::Result OnImportFunc(Index, std::string_view, std::string_view name, Index, Index type) override {
    if (type >= module.types.size()) return wabt::Result::Error;
    module.functions.emplace_back().type = type;
    module.functions.back().name = name;
    module.imports.back().type = type;
    ++module.imported_functions;
    return wabt::Result::Ok;
  }
  wabt::Result OnImportTable(Index, std::string_view, std::string_view, Index, wabt::Type,
                             const wabt::Limits* limits) override {
    module.tables.push_back(bounds_of(*limits));
    module.imports_tables = true;
    return wabt::Result::Ok;
  }
  wabt::Result OnImportMemory(Index, std::string_view, std::string_view, Index,
                              const wabt::Limits* limits) override {
    module.memories.push_back(bounds_of(*limits));
    return wabt::Result::Ok;
  }
  wabt::Result OnFunction(Index, Index type) override {
    if (type >= module.types.size()) return wabt::Result::Error;
    module.functions.emplace_back().type = type;
    return wabt::Result::Ok;
  }
  wabt::Result OnTable(Index, wabt::Type, const wabt::Limits* limits) override {
    module.tables.push_back(bounds_of(*limits));
    return wabt::Result::Ok;
  }
  wabt::Result OnMemory(Index, const wabt::Limits* limits) override {
    module.memories.push_back(bounds_of(*limits));
    return wabt::Result::Ok;
  }
  wabt::Result OnImportGlobal(Index, std::string_view, std::string_view, Index, wabt::Type type,
                              bool) override {
    globals_.push_back(width_of(type));
    return wabt::Result::Ok;
  }
  wabt::Result BeginGlobal(Index, wabt::Type type, bool) override {
    globals_.push_back(width_of(type));
    return wabt::Result::Ok;
  }
  wabt::Result OnExport(Index, wabt::ExternalKind kind, Index index, std::string_view name) override {
    module.exports.push_back({std::string(name), kind_of(kind), index});
    return wabt::Result::Ok;
  }
  wabt::Result OnStartFunction(Index function) override {
    module.start = function;
    return wabt::Result::Ok;
  }
  wabt::Result BeginElemSegment(Index, Index table, std::uint8_t flags) override {
    constexpr std::uint8_t kPassive =
        1;  // WebAssembly binary format, 5.5.12: bit 0; with bit 1 it is declarative
    module.elements.emplace_back();
    if ((flags & kPassive) == 0) module.elements.back().table = table;
    return wabt::Result::Ok;
  }
  wabt::Result OnElemSegmentElemExpr_RefFunc(Index, Index function) override {
    module.elements.back().functions.push_back(function);
    return wabt::Result::Ok;
  }
  wabt::Result OnDataSegmentData(Index, const void*, wabt::Address size) override {
    module.data_bytes += size;
    return wabt::Result::Ok;
  }
  wabt::Result OnFunctionName(Index function, std::string_view name) override {
    if (function < module.functions.size()) module.functions[function].name = name;
    return wabt::Result::Ok;
  }

  wabt::Result BeginFunctionBody(Index index, wabt::Offset size) override {
    if (index >= module.functions.size()) return wabt::Result::Error;
    in_ = &module.functions[index];
    in_->offset = static_cast<std::uint32_t>(state->offset);
    // Most instructions take two bytes; what is too much is given back at the end.
    in_->instructions.reserve(size / 2);
    in_->blocks.push_back({.type = in_->type});
    open_.assign(1, 0);
    module.code_bytes += size;
    return wabt::Result::Ok;
  }
  wabt::Result OnLocalDecl(Index, Index count, wabt::Type type) override {
    in_->locals.push_back({count, width_of(type)});
    return wabt::Result::Ok;
  }
  wabt::Result EndFunctionBody(Index) override {
    if (!open_.empty()) OnEndExpr();
    in_->instructions.shrink_to_fit();
    in_ = nullptr;
    return wabt::Result::Ok;
  }

  wabt::Result OnOpcode(Opcode opcode) override {
    opcode_ = opcode;
    at_ = static_cast<std::uint32_t>(state->offset - opcode.GetLength());
    return wabt::Result::Ok;
  }

  wabt::Result OnBlockExpr(wabt::Type type) override { return open(Op::block, type); }
  wabt::Result OnLoopExpr(wabt::Type type) override { return open(Op::loop, type); }
  wabt::Result OnIfExpr(wabt::Type type) override { return open(Op::if_, type); }
  wabt::Result OnElseExpr() override {
    if (open_.empty()) return wabt::Result::Error;
    in_->blocks[open_.back()].otherwise = here();
    return emit({.op = Op::else_, .a = open_.back()});
  }
  wabt::Result OnEndExpr() override {
    if (in_ == nullptr || open_.empty()) return wabt::Result::Ok;  // of an initial value
    in_->blocks[open_.back()].end = here();
    emit({.op = Op::end, .a = open_.back()});
    open_.pop_back();
    return wabt::Result::Ok;
  }
  wabt::Result OnBrExpr(Index depth) override { return emit({.op = Op::br, .a = depth}); }
  wabt::Result OnBrIfExpr(Index depth) override { return emit({.op = Op::br_if, .a = depth}); }
  wabt::Result OnBrTableExpr(Index count, Index* depths, Index otherwise) override {
    const auto first = static_cast<std::uint32_t>(in_->targets.size());
    in_->targets.insert(in_->targets.end(), depths, depths + count);
    in_->targets.push_back(otherwise);
    return emit({.op = Op::br_table, .a = first, .b = count + std::uint64_t{1}});
  }
  wabt::Result OnReturnExpr() override { return emit({.op = Op::return_}); }
  wabt::Result OnUnreachableExpr() override { return emit({.op = Op::unreachable}); }
  wabt::Result OnNopExpr() override { return emit({}); }
  wabt::Result OnDropExpr() override { return emit({.op = Op::drop}); }
  wabt::Result OnSelectExpr(Index, wabt::Type*) override { return emit({.op = Op::select}); }
  wabt::Result OnCallExpr(Index function) override { return emit({.op = Op::call, .a = function}); }
  wabt::Result OnCallIndirectExpr(Index type, Index table) override {
    return emit({.op = Op::call_indirect, .a = type, .b = table});
  }
  wabt::Result OnLocalGetExpr(Index local) override { return emit({.op = Op::local_get, .a = local}); }
  wabt::Result OnLocalSetExpr(Index local) override { return emit({.op = Op::local_set, .a = local}); }
  wabt::Result OnLocalTeeExpr(Index local) override { return emit({.op = Op::local_tee, .a = local}); }
  wabt::Result OnGlobalGetExpr(Index global) override {
    if (global >= globals_.size()) return wabt::Result::Error;
    return emit({.gives = globals_[global]});
  }
  wabt::Result OnGlobalSetExpr(Index) override { return emit({.pops = 1}); }
  wabt::Result OnI32ConstExpr(std::uint32_t value) override {
    return emit({.op = Op::constant, .width = 32, .b = value});
  }
  wabt::Result OnI64ConstExpr(std::uint64_t value) override {
    return emit({.op = Op::constant, .width = 64, .b = value});
  }
  wabt::Result OnF32ConstExpr(std::uint32_t) override { return emit({.gives = 1}); }
  wabt::Result OnF64ConstExpr(std::uint64_t) override { return emit({.gives = 1}); }
  wabt::Result OnV128ConstExpr(v128) override { return emit({.gives = 1}); }

  wabt::Result OnBinaryExpr(Opcode opcode) override { return emit(instruction_of(opcode)); }
  wabt::Result OnUnaryExpr(Opcode opcode) override { return emit(instruction_of(opcode)); }
  wabt::Result OnCompareExpr(Opcode opcode) override { return emit(instruction_of(opcode)); }
  wabt::Result OnConvertExpr(Opcode opcode) override { return emit(instruction_of(opcode)); }
  wabt::Result OnTernaryExpr(Opcode opcode) override { return emit(instruction_of(opcode)); }
  wabt::Result OnLoadExpr(Opcode opcode, Index, wabt::Address, wabt::Address) override {
    return emit(instruction_of(opcode));
  }
  wabt::Result OnStoreExpr(Opcode opcode, Index, wabt::Address, wabt::Address) override {
    return emit(instruction_of(opcode));
  }
  wabt::Result OnLoadSplatExpr(Opcode opcode, Index, wabt::Address, wabt::Address) override {
    return emit(instruction_of(opcode));
  }
  wabt::Result OnLoadZeroExpr(Opcode opcode, Index, wabt::Address, wabt::Address) override {
    return emit(instruction_of(opcode));
  }
  wabt::Result OnSimdLaneOpExpr(Opcode opcode, std::uint64_t) override {
    return emit(instruction_of(opcode));
  }
  wabt::Result OnSimdShuffleOpExpr(Opcode opcode, v128) override { return emit(instruction_of(opcode)); }
  // Its row in wabt's table has no operands.
  wabt::Result OnSimdLoadLaneExpr(Opcode, Index, wabt::Address, wabt::Address, std::uint64_t) override {
    return emit({.pops = 2, .gives = 1});
  }
  wabt::Result OnSimdStoreLaneExpr(Opcode, Index, wabt::Address, wabt::Address, std::uint64_t) override {
    return emit({.pops = 2});
  }

  wabt::Result OnMemorySizeExpr(Index) override { return emit({.op = Op::memory_size, .width = 32}); }
  wabt::Result OnMemoryGrowExpr(Index) override { return emit({.pops = 1, .gives = 32}); }
  wabt::Result OnMemoryCopyExpr(Index, Index) override { return emit({.op = Op::copies_bytes, .pops = 3}); }
  wabt::Result OnMemoryFillExpr(Index) override { return emit({.op = Op::copies_bytes, .pops = 3}); }
  wabt::Result OnMemoryInitExpr(Index, Index) override { return emit({.op = Op::copies_bytes, .pops = 3}); }
  wabt::Result OnDataDropExpr(Index) override { return emit({}); }
  wabt::Result OnTableCopyExpr(Index, Index) override { return change_table(3, 0); }
  wabt::Result OnTableInitExpr(Index, Index) override { return change_table(3, 0); }
  wabt::Result OnTableFillExpr(Index) override { return change_table(3, 0); }
  wabt::Result OnTableGrowExpr(Index) override { return change_table(2, 32); }
  wabt::Result OnTableSetExpr(Index) override {
    module.changes_tables = true;
    return emit({.pops = 2});
  }
  wabt::Result OnTableGetExpr(Index) override { return emit({.pops = 1, .gives = 1}); }
  wabt::Result OnTableSizeExpr(Index) override { return emit({.gives = 32}); }
  wabt::Result OnElemDropExpr(Index) override { return emit({}); }
  wabt::Result OnRefFuncExpr(Index function) override {
    if (in_ == nullptr)
      referred_outside_.push_back(function);
    else
      module.referred.push_back(function);
    return emit({.gives = 1});
  }
  wabt::Result OnRefNullExpr(wabt::Type) override { return emit({.gives = 1}); }
  wabt::Result OnRefIsNullExpr() override { return emit({.pops = 1, .gives = 32}); }

  // Wasmtime is configured to refuse these.
  wabt::Result OnReturnCallExpr(Index) override { return unknown(); }
  wabt::Result OnReturnCallIndirectExpr(Index, Index) override { return unknown(); }
  wabt::Result OnCallRefExpr() override { return unknown(); }
  wabt::Result OnTryExpr(wabt::Type) override { return unknown(); }
  wabt::Result OnCatchExpr(Index) override { return unknown(); }
  wabt::Result OnCatchAllExpr() override { return unknown(); }
  wabt::Result OnDelegateExpr(Index) override { return unknown(); }
  wabt::Result OnThrowExpr(Index) override { return unknown(); }
  wabt::Result OnRethrowExpr(Index) override { return unknown(); }
  wabt::Result OnAtomicLoadExpr(Opcode, Index, wabt::Address, wabt::Address) override { return unknown(); }
  wabt::Result OnAtomicStoreExpr(Opcode, Index, wabt::Address, wabt::Address) override { return unknown(); }
  wabt::Result OnAtomicRmwExpr(Opcode, Index, wabt::Address, wabt::Address) override { return unknown(); }
  wabt::Result OnAtomicRmwCmpxchgExpr(Opcode, Index, wabt::Address, wabt::Address) override {
    return unknown();
  }
  wabt::Result OnAtomicWaitExpr(Opcode, Index, wabt::Address, wabt::Address) override { return unknown(); }
  wabt::Result OnAtomicFenceExpr(std::uint32_t) override { return unknown(); }
  wabt::Result OnAtomicNotifyExpr(Opcode, Index, wabt::Address, wabt::Address) override { return unknown(); }

  wabt::Result EndModule() override {
    module.referred.insert(module.referred.end(), referred_outside_.begin(), referred_outside_.end());
    return wabt::Result::Ok;
  }

 private:
  [[nodiscard]] std::uint32_t here() const { return static_cast<std::uint32_t>(in_->instructions.size()); }

  wabt::Result emit(const Instruction& instruction) {
    if (in_ != nullptr) in_->instructions.push_back(instruction);  // else an initial value
    return wabt::Result::Ok;
  }
  wabt::Result unknown() {
    error = std::string("it uses ") + opcode_.GetName();
    return wabt::Result::Error;
  }
  wabt::Result change_table(std::uint8_t pops, std::uint8_t gives) {
    module.changes_tables = true;
    return emit({.op = Op::copies_elements, .pops = pops, .gives = gives});
  }
  wabt::Result open(Op op, wabt::Type type) {
    Block block{.begin = here(), .offset = at_};
    if (type.IsIndex()) {
      block.type = type.GetIndex();
      if (block.type >= module.types.size()) return wabt::Result::Error;
      block.parameters = static_cast<std::uint32_t>(module.types[block.type].parameters.size());
      block.results = static_cast<std::uint32_t>(module.types[block.type].results.size());
    } else {
      block.result_width = width_of(type);
      block.results = block.result_width != 0 ? 1 : 0;
    }
    open_.push_back(static_cast<std::uint32_t>(in_->blocks.size()));
    in_->blocks.push_back(block);
    return emit({.op = op, .a = open_.back()});
  }

  Function* in_ = nullptr;
  std::vector<std::uint32_t> open_;  // blocks of the function that is being read
  std::vector<std::uint32_t> referred_outside_;
  std::vector<std::uint8_t> globals_;  // widths
  Opcode opcode_ = Opcode::Invalid;
  std::uint32_t at_ = 0;
};

}  // namespace

Result<Module> read_module(std::span<const std::byte> wasm) {
  wabt::Features features;  // its defaults are the WebAssembly 2.0 that Wasmtime is configured for
  features.enable_extended_const();
  wabt::ReadBinaryOptions options(features, nullptr, true, true, false);
  Builder builder;
  const wabt::Result read = wabt::ReadBinary(wasm.data(), wasm.size(), &builder, options);
  if (wabt::Failed(read))
    return fail(Errc::unsupported, "read the module",
                builder.error.empty() ? "wabt does not understand it" : builder.error);
  return std::move(builder.module);
}

}  // namespace pgrid::code
