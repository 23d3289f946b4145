#include "core/large_memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/kernels.h"

static const size_t huge_page = (size_t)2 << 20;

void *gr_allocate_large(size_t bytes) {
    void *memory;
    const bool huge = bytes >= huge_page;
    if (posix_memalign(&memory, huge ? huge_page : GR_ALIGNMENT, bytes) != 0) return NULL;
    /* A wish: without huge pages it is only slower. What is left past the last whole one stays on
     * small pages. */
    if (huge) madvise(memory, bytes / huge_page * huge_page, MADV_HUGEPAGE);
    return memset(memory, 0, bytes);
}
