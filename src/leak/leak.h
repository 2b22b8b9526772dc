/*
 * Scans that two sets have in common: the same one, or a resampled, cropped, windowed,
 * turned, noisy or differently compressed copy of it.  doc/leak.md measures how well.
 */
#ifndef VOCO_LEAK_LEAK_H
#define VOCO_LEAK_LEAK_H

#include "base/err.h"
#include "leak/align.h"
#include "leak/scans.h"

/* In a pair: the scan of the first set, that of the second, and how they agree. */
struct voco_leak {
    int scan, against;
    int channel, against_channel;
    bool whole;                 /* the whole volumes agree, else a part of them */
    struct voco_alignment alignment;
};

struct voco_leaks {
    struct voco_leak *pair;     /* by descending score */
    int n;
};

/* Every pair with at least this score, each once, with its best channels.  Free *ret with
 * voco_leaks_free, also after a failure. */
enum voco_err voco_leaks_find(const struct voco_scans *scans,
                              const struct voco_scans *against, double least, int threads,
                              struct voco_leaks *ret);
void voco_leaks_free(struct voco_leaks *l);     /* accepts {0} */

/* The inputs of the results. */
struct voco_leak_page {
    const struct voco_scans *scans, *against;
    const struct voco_leaks *leaks;
    double least;
    int pictures;               /* pairs that the page shows, the highest scores first */
};

/* The report that data/store/leaklist.h reads; and a page with slices side by side.  Each
 * is whole or absent. */
enum voco_err voco_leak_json(const char *path, const struct voco_leak_page *page);
enum voco_err voco_leak_html(const char *path, const struct voco_leak_page *page);

#endif
