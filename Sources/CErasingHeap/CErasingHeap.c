// Whatever is given back to the heap is overwritten first. `SecretBytes` and `erase` do so for what is known to be secret; this
// does it for the copies that nobody sees: arrays that grew, strings of a library, a request that came in pieces.
//
// The memory itself stays the C library's; its manual allows to replace this function ("Replacing malloc"). `realloc` is left
// alone, because a writer that moves its buffers anew each time costs a tenth of all writes: SQLite grows with it what is sealed
// already, libcurl what an agent server answers, and Swift does not use it.

#include "CErasingHeap.h"

#include <malloc.h>
#include <stddef.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_A_HEAP_OF_ITS_OWN 1
#endif
#endif

#ifndef HAS_A_HEAP_OF_ITS_OWN

extern void __libc_free(void *);

void free(void *memory) {
  if (memory == NULL) return;
  explicit_bzero(memory, malloc_usable_size(memory));
  __libc_free(memory);
}

#endif
