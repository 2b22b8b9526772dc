/* Every scan of one set looked up among all of the other. */
#include "leak/leak.h"

#include <stdlib.h>

#include "base/log.h"
#include "dev/list.h"
#include "leak/match.h"

/* The thumbnails of a set in one row, and whose they are. */
struct row {
    const struct voco_thumb **thumb;
    int *scan, *channel;
    int n;
};

static void
row_free(struct row *r)
{
    free(r->thumb);
    free(r->scan);
    free(r->channel);
}

static enum voco_err
row_make(const struct voco_scans *s, struct row *ret)
{
    size_t n = 1;

    for (int i = 0; i < s->n; i++)
        n += (size_t)s->scan[i].n_channels;
    *ret = (struct row){ malloc(n * sizeof *ret->thumb), malloc(n * sizeof *ret->scan),
                         malloc(n * sizeof *ret->channel), 0 };
    if (!ret->thumb || !ret->scan || !ret->channel)
        return voco_fail(VOCO_EMEMORY, "no memory for %zu thumbnails", n);
    for (int i = 0; i < s->n; i++)
        for (int c = 0; c < s->scan[i].n_channels; c++) {
            ret->thumb[ret->n] = &s->scan[i].thumb[c];
            ret->scan[ret->n] = i;
            ret->channel[ret->n++] = c;
        }
    return VOCO_OK;
}

/* Another channel of the same pair of scans is no second pair; the better one stays. */
static enum voco_err
add(struct voco_leaks *l, const struct voco_leak *pair)
{
    for (int i = l->n; i-- > 0 && l->pair[i].against == pair->against; )
        if (l->pair[i].scan == pair->scan) {
            if (pair->alignment.score > l->pair[i].alignment.score)
                l->pair[i] = *pair;
            return VOCO_OK;
        }
    if (!(l->n & (l->n + 1)) || l->n == 0) {            /* full at 0, 1, 3, 7 ... */
        struct voco_leak *more = realloc(l->pair, ((size_t)l->n * 2 + 1) * sizeof *more);

        if (!more)
            return voco_fail(VOCO_EMEMORY, "no memory for %d pairs", l->n);
        l->pair = more;
    }
    l->pair[l->n++] = *pair;
    return VOCO_OK;
}

static int
by_score(const void *a, const void *b)
{
    const struct voco_leak *x = a, *y = b;

    if (x->alignment.score != y->alignment.score)
        return x->alignment.score < y->alignment.score ? 1 : -1;
    return x->against != y->against ? x->against - y->against : x->scan - y->scan;
}

static enum voco_err
search(struct voco_ctx *ctx, const struct row *scans, const struct row *against, double least,
       struct voco_leaks *ret)
{
    struct voco_gallery g;
    struct voco_progress progress;
    enum voco_err err = voco_gallery_make(scans->thumb, scans->n, &g);

    voco_progress_start(&progress, "compare", 0, against->n);
    for (int i = 0; i < against->n && !err; i++) {
        struct voco_match *match = NULL;
        int n = 0;

        err = voco_gallery_search(ctx, &g, against->thumb[i], least, &match, &n);
        for (int k = 0; k < n && !err; k++) {
            const struct voco_match *m = &match[k];
            const struct voco_leak pair = {
                .scan = scans->scan[m->index], .channel = scans->channel[m->index],
                .against = against->scan[i], .against_channel = against->channel[i],
                .whole = m->whole, .alignment = m->alignment
            };

            err = add(ret, &pair);
        }
        free(match);
        voco_progress_show(&progress, i + 1, "%d pair%s", ret->n, voco_plural(ret->n));
    }
    if (!err)
        voco_progress_end(&progress, "%d x %d thumbnails: %d pair%s", scans->n, against->n,
                          ret->n, voco_plural(ret->n));
    voco_gallery_free(&g);
    return err;
}

enum voco_err
voco_leaks_find(const struct voco_scans *scans, const struct voco_scans *against,
                double least, int threads, struct voco_leaks *ret)
{
    struct row a = { NULL }, b = { NULL };
    struct voco_ctx ctx = { NULL };
    enum voco_err err = row_make(scans, &a);

    *ret = (struct voco_leaks){ .pair = NULL };
    if (!err)
        err = row_make(against, &b);
    if (!err)
        err = voco_ctx_open(&ctx, voco_device_default(),
                            &(struct voco_ctx_options){ .threads = threads });
    if (!err)
        err = search(&ctx, &a, &b, least, ret);
    if (!err && ret->n)
        qsort(ret->pair, (size_t)ret->n, sizeof *ret->pair, by_score);
    voco_ctx_close(&ctx);
    row_free(&a);
    row_free(&b);
    return err;
}

void
voco_leaks_free(struct voco_leaks *l)
{
    free(l->pair);
    *l = (struct voco_leaks){ .pair = NULL };
}
