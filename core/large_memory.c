#include "core/large_memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/kernels.h"

static const size_t huge_page = (size_t)2 << 20;

/* A wish: without huge pages all is only slower. Where they can lie the system decides. */
static void wish_for_huge_pages(char *memory, size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t before = -(uintptr_t)memory % page;
    if (bytes >= huge_page) madvise(memory + before, (bytes - before) / page * page, MADV_HUGEPAGE);
}

void *gr_allocate_large(size_t bytes) {
    void *memory;
    if (posix_memalign(&memory, GR_ALIGNMENT, bytes) != 0) return NULL;
    wish_for_huge_pages(memory, bytes);
    return memset(memory, 0, bytes);
}
