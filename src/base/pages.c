/* Large blocks, with a hint to the kernel. */
#define _GNU_SOURCE
#include "base/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

void *
voco_pages_alloc(size_t bytes)
{
    const size_t page = (size_t)2 << 20;
    const size_t rounded = (bytes + page - 1) / page * page;
    void *p;

    if (bytes < page || rounded < bytes)
        return malloc(bytes);
    p = aligned_alloc(page, rounded);
#ifdef MADV_HUGEPAGE
    if (p)
        (void)madvise(p, rounded, MADV_HUGEPAGE);   /* refusal costs speed only */
#endif
    return p;
}
