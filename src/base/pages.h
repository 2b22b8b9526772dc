/*
 * Memory for data that are read once or twice, such as a volume: in huge pages where the
 * machine has them, since the kernel clears 2 MiB in the time of a few small page faults.
 */
#ifndef VOCO_BASE_PAGES_H
#define VOCO_BASE_PAGES_H

#include <stddef.h>

/* Not cleared, on a cache line.  NULL if there is none; free() frees it. */
void *voco_pages_alloc(size_t bytes);

#endif
