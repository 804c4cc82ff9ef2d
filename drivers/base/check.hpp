// Programmer errors. Never used on input: bad bytes, bad guests and bad configuration are ordinary values elsewhere.
#pragma once

#include <cstdio>
#include <cstdlib>

/// Always on. For set-up, control, and at most once per burst on a poll core.
#define PG_CHECK(condition)                                                                          \
  do {                                                                                               \
    if (!(condition)) [[unlikely]] {                                                                 \
      std::fprintf(stderr, "internal error: %s is false (%s:%d)\n", #condition, __FILE__, __LINE__); \
      std::abort();                                                                                  \
    }                                                                                                \
  } while (0)

/// Per packet; compiled out of release builds.
#ifdef NDEBUG
#define PG_DCHECK(condition) ((void)0)
#else
#define PG_DCHECK(condition) PG_CHECK(condition)
#endif
