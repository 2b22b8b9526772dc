/* Large blocks, with a hint to the kernel. */
#define _GNU_SOURCE
#include "base/pages.h"

#include <stdlib.h>
#include <sys/mman.h>

enum { LINE = 64, PAGE = 2 << 20 };

void *
voco_pages_alloc(size_t bytes)
{
    const size_t unit = bytes < PAGE ? LINE : PAGE;
    const size_t rounded = (bytes + unit - 1) / unit * unit;
    void *p;

    if (rounded < bytes)
        return NULL;
    p = aligned_alloc(unit, rounded ? rounded : unit);
    if (unit == LINE)
        return p;
#ifdef MADV_HUGEPAGE
    if (p)
        (void)madvise(p, rounded, MADV_HUGEPAGE);   /* refusal costs speed only */
#endif
    return p;
}
