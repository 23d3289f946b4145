/* Memory that every iteration goes through from end to end. */
#ifndef CORE_LARGE_MEMORY_H
#define CORE_LARGE_MEMORY_H

#include <stddef.h>

/* `bytes` of zeros, aligned to GR_ALIGNMENT; the caller frees them with free(). NULL: no memory.
 * From 2 MiB on they lie on huge pages where the system has some: with pages of 4 KiB a training
 * has more of them than the processor remembers the addresses of. */
void *gr_allocate_large(size_t bytes);

#endif
