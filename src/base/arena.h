/*
 * Stack arenas: the only memory a step uses.
 *
 * Address space is reserved once, far more than needed; pages are touched as the stack
 * grows and kept afterwards, so a step in steady state neither allocates nor faults.
 * Lifetimes nest: release goes back to a mark.  A planning arena is the same stack over
 * address space that nobody may touch: a dry run over it measures the real one, and any
 * access to tensor data faults at once.
 *
 * The stack never touches the memory that it hands out, which may be of another kind: a
 * device that has its own sets base, reserved, limit and free_memory itself.
 */
#ifndef VOCO_BASE_ARENA_H
#define VOCO_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct voco_arena {
    char *base;             /* NULL before init */
    size_t reserved;        /* bytes of address space */
    size_t limit;           /* bytes that may be used */
    size_t used;
    size_t peak;            /* high-water mark of used */
    bool planning;          /* inaccessible: counts only */
    void (*free_memory)(void *base, size_t reserved);
};

enum { VOCO_ALIGN = 64 };

/* Rounded up to a multiple of that; wraps around near SIZE_MAX. */
static inline size_t
voco_aligned(size_t bytes)
{
    return (bytes + VOCO_ALIGN - 1) / VOCO_ALIGN * VOCO_ALIGN;
}

/* Reserve address space of the host.  planning: nothing is reserved and nothing is ever
 * accessible.  Free with voco_arena_free.  Fails with VOCO_EMEMORY when the address space
 * is refused. */
enum voco_err voco_arena_init(struct voco_arena *a, size_t limit, bool planning);

void voco_arena_free(struct voco_arena *a);

/* bytes from the top of the stack, 64-byte aligned, not cleared.  NULL when the limit
 * would be passed (used is then unchanged). */
void *voco_arena_push(struct voco_arena *a, size_t bytes);

size_t voco_arena_mark(const struct voco_arena *a);
void voco_arena_release(struct voco_arena *a, size_t mark);

#endif
