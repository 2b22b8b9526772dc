/*
 * How fast voxels come out of a store.
 *
 *   bench/loader crop STORE [SECONDS [EDGE]]       random cubes of EDGE voxels, one core
 *   bench/loader block STORE [SECONDS [ROI]]       random blocks of 3ROI x 3ROI x ROI
 *   bench/loader batch STORE [SECONDS [ROI [THREADS]]]  whole batches through the loader
 *   bench/loader seg STORE [SECONDS [ROI [THREADS]]]    crops of a labelled store
 *
 * Prints tab-separated values: what, element type, threads, items, bytes read and preads
 * per item, ms per item by the clock and of processor time, and millions of voxels per
 * second of processor time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/rng.h"
#include "data/store/chunk.h"
#include "objective/voco/batch.h"
#include "objective/segment/batch.h"
#include "data/store/store.h"

enum { AHEAD = 2 };             /* batches kept ready */

static int
stop(void)
{
    fprintf(stderr, "bench/loader: %s\n", voco_fail_text());
    return 1;
}

struct spent {
    double clock_s, processor_s;
};

static struct spent
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (struct spent){voco_seconds(), (double)t.tv_sec + 1e-9 * (double)t.tv_nsec};
}

static struct spent
since(struct spent begin)
{
    const struct spent end = now();

    return (struct spent){end.clock_s - begin.clock_s,
                          end.processor_s - begin.processor_s};
}

static void
print_row(const char *what, const struct voco_store *s, int threads, double items,
          double bytes, double reads, double voxels, struct spent t)
{
    printf("what\ttype\tthreads\titems\tbytes\tpreads\tms\tcpu ms\tMvoxel/s\n");
    printf("%s\t%s\t%d\t%.0f\t%.0f\t%.1f\t%.3f\t%.3f\t%.1f\n", what,
           voco_store_type_name(voco_store_element(s)), threads, items, bytes / items,
           reads / items, t.clock_s / items * 1e3, t.processor_s / items * 1e3,
           voxels / t.processor_s / 1e6);
}

/* Random boxes of one size. */
static int
boxes(const char *what, const struct voco_store *s, const int64_t size[3], double limit_s)
{
    const int64_t voxels = size[0] * size[1] * size[2];
    float *out = malloc((size_t)voxels * sizeof *out);
    struct voco_store_scratch scratch = {0};
    const struct spent begin = now();
    struct spent used = {0};
    int64_t n = 0;

    for (; out && used.clock_s < limit_s; n++) {
        const struct voco_rng_key key = {.seed = 1, .step = (uint64_t)n,
                                         .purpose = VOCO_RNG_TEST};
        const int v = (int)voco_rng_below(&key, 3, (uint32_t)voco_store_count(s));
        const struct voco_store_entry *e = voco_store_entry(s, v);
        int64_t start[3];

        for (uint32_t a = 0; a < 3; a++) {
            if (e->dim[a] < size[a]) {
                fprintf(stderr, "bench/loader: volume %s is smaller than the box\n",
                        e->id);
                return 1;
            }
            start[a] = voco_rng_below(&key, a, (uint32_t)(e->dim[a] - size[a] + 1));
        }
        if (voco_store_read(s, v, start, size, out, &scratch))
            return stop();
        used = since(begin);
    }
    print_row(what, s, 1, (double)n, (double)scratch.read_bytes, (double)scratch.reads,
              (double)(n * voxels), used);
    voco_store_scratch_free(&scratch);
    free(out);
    return 0;
}

static int
batches(const struct voco_store *s, int roi, int threads, double limit_s)
{
    const struct voco_loader_options o = {.seed = 1, .batch = 4, .sw = 2, .roi = roi,
                                          .grid = {.n = {3, 3, 1}, .edge = roi},
                                          .augment = true, .shift = 0.5};
    struct voco_loader *l;
    struct voco_batches *batches;
    const void *b;
    struct spent used = {0};
    int64_t n = 0;

    if (voco_loader_open(s, &o, &l)
        || voco_batches_open(&voco_crops_kind, l, o.batch, threads, AHEAD, 0, &batches))
        return stop();
    const struct spent begin = now();
    for (; used.clock_s < limit_s; n++) {
        if (voco_batches_next(batches, &b, NULL))
            return stop();
        used = since(begin);
    }
    voco_batches_close(batches);
    voco_loader_close(l);
    const double crops = (double)n * o.batch * (9 + o.sw);
    print_row("batch4", s, threads, (double)n, 0, 0, crops * roi * roi * roi, used);
    printf("crops/s\t%.1f\n", crops / used.clock_s);
    return 0;
}

/* Four crops a volume with all changes, half of them around labelled voxels. */
static int
segmentation(const struct voco_store *s, int roi, int threads, double limit_s)
{
    const int n_volumes = voco_store_count(s);
    int *volume = malloc(((size_t)n_volumes + 1) * sizeof *volume);
    const struct voco_seg_options o = {
        .seed = 1, .volume = volume, .n_volumes = n_volumes, .batch = 1, .samples = 4,
        .roi = {roi, roi, roi}, .positive = 0.5, .classes = 256,
        .augment = {.flip = 0.2f, .turn = 0.2f, .shift = 0.1f, .shift_by = 0.1f}
    };
    struct voco_seg_loader *l;
    struct voco_batches *batches;
    const void *b = NULL;
    struct spent used = {0};
    int64_t n = 0;

    for (int i = 0; volume && i < n_volumes; i++)
        volume[i] = i;
    if (!volume || voco_seg_open(s, &o, &l)
        || voco_batches_open(&voco_labelled_kind, l, o.batch, threads, AHEAD, 0,
                             &batches)) {
        free(volume);
        return stop();
    }
    const struct spent begin = now();
    for (; used.clock_s < limit_s; n++) {
        if (voco_batches_next(batches, &b, NULL))
            return stop();
        used = since(begin);
    }
    const double crops = (double)n * o.samples;
    const int channels = b ? ((const struct voco_seg_batch *)b)->channels : 1;
    print_row("seg4", s, threads, (double)n, 0, 0,
              crops * roi * roi * roi * channels, used);
    printf("crops/s\t%.1f\n", crops / used.clock_s);
    voco_batches_close(batches);
    voco_seg_close(l);
    free(volume);
    return 0;
}

int
main(int argc, char **argv)
{
    const double limit_s = argc > 3 ? atof(argv[3]) : 2;
    const int edge = argc > 4 ? atoi(argv[4]) : 64;
    const int threads = argc > 5 ? atoi(argv[5]) : 1;
    const int64_t cube[3] = {edge, edge, edge}, block[3] = {3 * edge, 3 * edge, edge};
    struct voco_store *s;
    int status = 2;

    if (argc < 3 || edge < 1) {
        fprintf(stderr, "usage: bench/loader crop|block|batch|seg STORE [SECONDS [EDGE "
                        "[THREADS]]]\n");
        return 2;
    }
    if (voco_store_open(argv[2], &s))
        return stop();
    if (strcmp(argv[1], "crop") == 0)
        status = boxes("crop", s, cube, limit_s);
    else if (strcmp(argv[1], "block") == 0)
        status = boxes("block", s, block, limit_s);
    else if (strcmp(argv[1], "batch") == 0)
        status = batches(s, edge, threads, limit_s);
    else if (strcmp(argv[1], "seg") == 0)
        status = segmentation(s, edge, threads, limit_s);
    else
        fprintf(stderr, "bench/loader: '%s' is not crop, block, batch or seg\n", argv[1]);
    voco_store_close(s);
    return status;
}
