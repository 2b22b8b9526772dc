/* Stack arenas over reserved address space. */
#define _GNU_SOURCE
#include "base/arena.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

/*
 * Where planning arenas lie: the top of the address space, which belongs to the kernel on
 * every 64-bit Linux.  Nothing is reserved, so no limit (ulimit -v) can refuse it, and every
 * access faults.  Each arena has a place of its own until many have been made.
 */
static const uintptr_t planning_base = UINTPTR_MAX << 55;
static const size_t planning_most = (size_t)1 << 46;
enum { PLANNING_PLACES = 511 };

static void
unmap(void *base, size_t reserved)
{
    munmap(base, reserved);
}

static void
leave(void *base, size_t reserved)
{
    (void)base;
    (void)reserved;
}

static enum voco_err
plan(struct voco_arena *a, size_t limit)
{
    static atomic_uint made;
    const uintptr_t place = atomic_fetch_add(&made, 1) % PLANNING_PLACES;

    if (limit > planning_most)
        return voco_fail(VOCO_EMEMORY, "an arena of %zu bytes is too large", limit);
    *a = (struct voco_arena){ .base = (char *)(planning_base + place * planning_most),
                              .reserved = limit, .limit = limit, .planning = true,
                              .free_memory = leave };
    return VOCO_OK;
}

enum voco_err
voco_arena_init(struct voco_arena *a, size_t limit, bool planning)
{
    const size_t page = (size_t)2 << 20;
    const size_t bytes = (limit + page - 1) / page * page;
    void *p;

    if (planning)
        return plan(a, limit);
    if (bytes < limit)
        return voco_fail(VOCO_EMEMORY, "an arena of %zu bytes is too large", limit);
    p = mmap(NULL, bytes ? bytes : page, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return voco_fail_errno(VOCO_EMEMORY, "cannot reserve %zu MiB of address space "
                               "(is there an ulimit -v?)", bytes >> 20);
#ifdef MADV_HUGEPAGE
    (void)madvise(p, bytes, MADV_HUGEPAGE);         /* a hint: refusal costs speed only */
#endif
    *a = (struct voco_arena){ .base = p, .reserved = bytes ? bytes : page, .limit = limit,
                              .free_memory = unmap };
    return VOCO_OK;
}

void
voco_arena_free(struct voco_arena *a)
{
    if (a->base)
        a->free_memory(a->base, a->reserved);
    *a = (struct voco_arena){ 0 };
}

void *
voco_arena_push(struct voco_arena *a, size_t bytes)
{
    const size_t rounded = voco_aligned(bytes);
    char *p = a->base + a->used;

    if (rounded < bytes || rounded > a->limit - a->used)
        return NULL;
    a->used += rounded;
    if (a->used > a->peak)
        a->peak = a->used;
    return p;
}

size_t
voco_arena_mark(const struct voco_arena *a)
{
    return a->used;
}

void
voco_arena_release(struct voco_arena *a, size_t mark)
{
    VOCO_ASSERT(mark <= a->used);
    a->used = mark;
}
