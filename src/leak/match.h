/*
 * Which thumbnails of many look like one: everything against everything, cheaply, as
 * products of matrices, and then the few that remain cell by cell.
 */
#ifndef VOCO_LEAK_MATCH_H
#define VOCO_LEAK_MATCH_H

#include "dev/device.h"
#include "leak/align.h"

/* Many thumbnails side by side, as the products want them.  Thumbnails stay the caller's. */
struct voco_gallery {
    const struct voco_thumb *const *thumb;
    int n;
    float *coarse;              /* [n][VOCO_THUMB_COARSE_N] */
    float *value;               /* [first[n]][VOCO_FEATURE]: features of all */
    int64_t *first;             /* [n + 1]: where those of a thumbnail begin */
};

enum voco_err voco_gallery_make(const struct voco_thumb *const *thumb, int n,
                                struct voco_gallery *ret);
void voco_gallery_free(struct voco_gallery *g);         /* accepts {0} */

struct voco_match {
    int index;                  /* of the thumbnail in the gallery */
    bool whole;                 /* found by the cubes, else by a part of the grids */
    struct voco_alignment alignment;
};

/*
 * The thumbnails of the gallery that agree with b, which was made with every: those with
 * at least this score, by descending score, each once.  ctx is one of a device; free *ret.
 */
enum voco_err voco_gallery_search(struct voco_ctx *ctx, const struct voco_gallery *g,
                                  const struct voco_thumb *b, double least,
                                  struct voco_match **ret, int *ret_n);

#endif
