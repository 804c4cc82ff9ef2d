/* The six calls: send, receive, grant, revoke, allocate, free. A small surface over promisegrid.h and pg_control.h for functions
 * that need no more. They answer at once whether something was taken; what comes of a send, a grant or a revoke is received
 * later, as a message with the id that the call returned.
 *
 * Include it in one C file of a function: it keeps state. */
#ifndef PROMISEGRID_SIX_H
#define PROMISEGRID_SIX_H

#include "pg_control.h"

#ifdef __wasm__
#ifdef __cplusplus
extern "C" {
#endif

static struct pg_buffer pg_six_out_; /* not on the stack: a guest's stack is small */
static uint64_t pg_six_id_;

/* Copies without a library: clang makes calls to memcpy of plain loops. */
static inline void pg_copy_(void* to, const void* from, uint32_t length) {
  for (uint32_t i = 0; i < length; ++i) ((volatile uint8_t*)to)[i] = ((const uint8_t*)from)[i];
}

/* A request to a handle. > 0: its id, which what comes of it has too; < 0: enum pg_error. */
static inline int64_t pg_send(uint32_t handle, const void* body, uint32_t length) {
  int32_t failed;
  if (length > PG_BODY_MAX) return PG_ERROR_LENGTH;
  pg_copy_(pg_six_out_.body, body, length);
  failed = pg_request(&pg_six_out_, handle, ++pg_six_id_, length);
  return failed != 0 ? failed : (int64_t)pg_six_id_;
}

/* The next message: requests of others (answer them with pg_answer), and what came of one's own. 1, 0: none, < 0: enum pg_error. */
static inline int32_t pg_receive(struct pg_buffer* message) { return pg_receive_message(message); }

/* Gives the process `who` of this node a right like the one under `handle`, which may not be passed on or derived from. Result as
 * of pg_send. */
static inline int64_t pg_grant_to(const char* who, uint32_t handle) {
  const struct pg_limits sending = {PG_CAN_SEND, 0, 0, 0, 0, 0, 0};
  const int32_t failed = pg_grant(&pg_six_out_, ++pg_six_id_, handle, who, &sending);
  return failed != 0 ? failed : (int64_t)pg_six_id_;
}

/* Ends the right under `handle`, for everybody who has it or one derived from it. Result as of pg_send. */
static inline int64_t pg_revoke_all(uint32_t handle) {
  const int32_t failed = pg_revoke(&pg_six_out_, ++pg_six_id_, handle);
  return failed != 0 ? failed : (int64_t)pg_six_id_;
}

/* ---- memory: of the function itself, from its linear memory. Blocks of powers of two, each behind a header of 16 bytes; what is
 * freed is kept for the next one of its size. */

extern unsigned char __heap_base; /* the linker's: where the function's own data ends */

struct pg_block_ {
  uint32_t size_class; /* of 2^size_class bytes, header included */
  uint32_t mark;       /* which state it is in; anything else is no block */
  struct pg_block_* next;
  uint32_t reserved;
};
_Static_assert(sizeof(struct pg_block_) == 16, "so that what is behind it is aligned for everything");

enum { PG_BLOCK_USED_ = 0x67726964, PG_BLOCK_FREE_ = 0x64697267, PG_CLASS_MIN_ = 5, PG_CLASS_MAX_ = 31 };
static struct pg_block_* pg_free_[PG_CLASS_MAX_ + 1];
static uint32_t pg_heap_end_; /* 0: nothing was allocated yet */

/* `bytes` of memory, aligned to 16, with whatever was in it; a null pointer: the process's memory limit is reached. */
static inline void* pg_allocate(uint32_t bytes) {
  uint32_t size_class = PG_CLASS_MIN_;
  uint64_t end;
  struct pg_block_* block;
  while (size_class <= PG_CLASS_MAX_ && (1ull << size_class) < (uint64_t)bytes + sizeof *block) ++size_class;
  if (size_class > PG_CLASS_MAX_) return 0;
  block = pg_free_[size_class];
  if (block != 0) {
    pg_free_[size_class] = block->next;
    block->mark = PG_BLOCK_USED_;
    return block + 1;
  }
  if (pg_heap_end_ == 0) pg_heap_end_ = ((uint32_t)(uintptr_t)&__heap_base + 15u) & ~15u;
  end = (uint64_t)pg_heap_end_ + (1ull << size_class);
  if (end > 0xffffffffull) return 0;
  if (end > (uint64_t)__builtin_wasm_memory_size(0) << 16) {
    const uint32_t pages = (uint32_t)((end + 0xffff) >> 16) - (uint32_t)__builtin_wasm_memory_size(0);
    if (__builtin_wasm_memory_grow(0, pages) == (__SIZE_TYPE__)-1) return 0;
  }
  block = (struct pg_block_*)(uintptr_t)pg_heap_end_;
  pg_heap_end_ = (uint32_t)end;
  block->size_class = size_class;
  block->mark = PG_BLOCK_USED_;
  return block + 1;
}

/* Gives memory back that pg_allocate gave; a null pointer is nothing. What is no such memory, or was freed already, traps: going
 * on would corrupt what others have. */
static inline void pg_free(void* memory) {
  struct pg_block_* block;
  if (memory == 0) return;
  block = (struct pg_block_*)memory - 1;
  if (block->mark != PG_BLOCK_USED_ || block->size_class < PG_CLASS_MIN_ || block->size_class > PG_CLASS_MAX_) __builtin_trap();
  block->mark = PG_BLOCK_FREE_;
  block->next = pg_free_[block->size_class];
  pg_free_[block->size_class] = block;
}

#ifdef __cplusplus
}
#endif
#endif /* __wasm__ */
#endif
