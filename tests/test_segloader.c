/* Crops for segmentation: a function of (store, options, step) alone, where MONAI would
 * cut them, as often as it would, and labels turned with their images. */
#include <math.h>

#include "base/log.h"
#include "objective/segment/batch.h"
#include "loader_util.h"
#include "store_util.h"
#include "tests/test.h"

enum { CLASSES = 5 };

/* Class of a voxel of volume k: a slanted slab and some dots; most is background. */
static int
class_of(int k, int64_t x, int64_t y, int64_t z)
{
    const int64_t t = x + 2 * y - z + 3 * k;

    return t >= 20 && t < 24 ? 1 + (int)(t % 4) : (x * 7 + y * 5 + z * 3) % 53 == 0;
}

/* Channel c: the class can be read off it, and a corner of the volume has no image. */
static float
image_of(int k, int c, int64_t x, int64_t y, int64_t z)
{
    if (class_of(k, x, y, z) == 0 && x + y < 6)
        return 0;
    return 0.125f * (float)(1 + class_of(k, x, y, z)) + 0.0625f * (float)c;
}

static const int64_t DIM[][3] = {{22, 20, 19}, {17, 24, 9}, {11, 20, 26}, {20, 21, 22}};
enum { VOLUMES = sizeof DIM / sizeof *DIM };

static void
fill_volume(struct voco_volume *v, int k, int channel)
{
    int64_t i = 0;

    *v = volume_of(0, DIM[k][0], DIM[k][1], DIM[k][2], 1, 0);
    for (int64_t x = 0; x < v->dim[0]; x++)
        for (int64_t y = 0; y < v->dim[1]; y++)
            for (int64_t z = 0; z < v->dim[2]; z++)
                v->voxel[i++] = channel < 0 ? (float)class_of(k, x, y, z)
                                            : image_of(k, channel, x, y, z);
}

static struct voco_store *
seg_store(const char *folder, int channels)
{
    const struct voco_store_options o = {.type = VOCO_STORE_F32, .chunk = 8};
    struct voco_store_writer *w;
    struct voco_store *s;

    ok(voco_store_create(folder, &o, &w));
    for (int k = 0; k < VOLUMES; k++) {
        char *id = voco_format("case%d", k);
        struct voco_store_entry e = entry_of(id, "seg");
        struct voco_volume channel[2];
        struct voco_case c = {.channel = channel, .n_channels = channels};

        for (int i = 0; i < channels; i++)
            fill_volume(&channel[i], k, i);
        fill_volume(&c.label, k, -1);
        e.label.source = "in/label.nii";
        ok(voco_store_add_case(w, &e, &c, NULL));
        for (int i = 0; i < channels; i++)
            free(channel[i].voxel);
        free(c.label.voxel);
        free(id);
    }
    ok(voco_store_finish(w));
    ok(voco_store_open(folder, &s));
    return s;
}

static const int every[] = {0, 1, 2, 3};

static enum voco_err
open_loader(const struct voco_store *s, const struct voco_seg_options *o, int64_t first,
            struct loader *ret)
{
    struct voco_seg_loader *source;
    enum voco_err err = voco_seg_open(s, o, &source);

    if (err)
        return err;
    ret->source = source;
    err = start_batches(ret, &voco_labelled_kind, o->batch, first);
    if (err)
        voco_seg_close(source);
    return err;
}

static void
close_loader(struct loader *l)
{
    voco_batches_close(l->batches);
    voco_seg_close(l->source);
}

static struct voco_seg_options
options(int threads)
{
    loader_threads = threads;
    loader_ahead = 2;
    return (struct voco_seg_options){
        .seed = 5, .volume = every, .n_volumes = VOLUMES, .batch = 3, .samples = 2,
        .roi = {12, 12, 10}, .positive = 0.5, .classes = CLASSES,
        .augment = {.flip = 0.5f, .turn = 0.5f, .scale = 0.5f, .scale_by = 0.1f,
                    .shift = 0.5f, .shift_by = 0.1f}};
}

static uint32_t
crc_of(const struct voco_seg_batch *b)
{
    const size_t n = (size_t)b->n * (size_t)(b->roi[0] * b->roi[1] * b->roi[2]);
    uint32_t crc = voco_crc32c(0, b->image, n * (size_t)b->channels * sizeof *b->image);

    crc = voco_crc32c(crc, b->label, n);
    crc = voco_crc32c(crc, b->start, (size_t)b->n * 3 * sizeof *b->start);
    return voco_crc32c(crc, b->head.volume, (size_t)b->n * sizeof *b->head.volume);
}

static uint32_t
image_crc(const struct voco_seg_batch *b)
{
    return voco_crc32c(0, b->image, (size_t)b->n * (size_t)(b->roi[0] * b->roi[1] * b->roi[2])
                                    * (size_t)b->channels * sizeof *b->image);
}

/* Crops of volumes whose labels are not read: anywhere in them, each place as often. */
START_TEST(crops_without_labels_lie_anywhere_and_are_a_function_of_the_step)
{
    enum { STEPS = 400, PLACES = 22 - 12 + 1 };
    char *folder = scratch_folder();
    struct voco_store *s = seg_store(folder, 2);
    struct voco_seg_options o = options(2);
    uint32_t first[4];
    int met[PLACES] = {0};

    o.unlabelled = true;
    for (int again = 0; again < 2; again++) {
        struct voco_seg_loader *source;
        struct voco_batches *batches;

        ok(voco_seg_open(s, &o, &source));
        ok(voco_batches_open(&voco_unlabelled_kind, source, o.batch, again ? 1 : 3, 2,
                             again ? 2 : 0, &batches));
        for (int step = again ? 2 : 0; step < (again ? 4 : STEPS); step++) {
            const struct voco_seg_batch *b;
            const void *next;

            ok(voco_batches_next(batches, &next, NULL));
            b = next;
            ck_assert_ptr_null(b->label);
            if (again)
                ck_assert_uint_eq(image_crc(b), first[step]);
            else if (step < 4)
                first[step] = image_crc(b);
            for (int i = 0; i < b->n && !again; i++)
                if (b->head.volume[i] == 0)
                    met[b->start[3 * i]]++;
        }
        voco_batches_close(batches);
        voco_seg_close(source);
    }
    /* 600 crops of volume 0, 55 for each of 11 places: 5 standard deviations are 36 */
    for (int i = 0; i < PLACES; i++)
        ck_assert_int_lt(abs(met[i] - 600 / PLACES), 36);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

static void
sums(const struct voco_store *s, const struct voco_seg_options *o, int64_t first, int n,
     uint32_t *crc)
{
    struct loader l;
    const struct voco_seg_batch *b;

    ok(open_loader(s, o, first, &l));
    for (int i = 0; i < n; i++) {
        ok(next_batch(&l, &b, NULL));
        ck_assert_int_eq(b->head.step, first + i);
        crc[i] = crc_of(b);
    }
    close_loader(&l);
}

START_TEST(threads_and_resume_change_nothing)
{
    enum { STEPS = 12 };
    char *folder = scratch_folder();
    struct voco_store *s = seg_store(folder, 2);
    struct voco_seg_options o = options(1);
    uint32_t one[STEPS], many[STEPS], later[STEPS], other[STEPS];

    sums(s, &o, 0, STEPS, one);
    o = options(4);
    sums(s, &o, 0, STEPS, many);
    loader_ahead = 5;
    sums(s, &o, 7, STEPS - 7, later);
    ck_assert_mem_eq(one, many, sizeof one);
    ck_assert_mem_eq(one + 7, later, (STEPS - 7) * sizeof *later);
    o.seed++;
    sums(s, &o, 0, STEPS, other);
    for (int i = 0; i < STEPS; i++)
        ck_assert_uint_ne(one[i], other[i]);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(every_volume_comes_once_an_epoch)
{
    char *folder = scratch_folder();
    struct voco_store *s = seg_store(folder, 1);
    static const int some[] = {3, 0, 1};
    struct voco_seg_options o = options(2);
    struct loader l;
    const struct voco_seg_batch *b;
    int met[VOLUMES] = {0};

    o.volume = some;
    o.n_volumes = 3;
    o.batch = 1;
    ok(open_loader(s, &o, 0, &l));
    for (int step = 0; step < 30; step++) {
        ok(next_batch(&l, &b, NULL));
        ck_assert_int_eq(b->n, 2);
        ck_assert_int_eq(b->head.volume[0], b->head.volume[1]);
        met[b->head.volume[0]]++;
        if (step % 3 == 2) {
            ck_assert_int_eq(met[0], step / 3 + 1);
            ck_assert_int_eq(met[1], step / 3 + 1);
            ck_assert_int_eq(met[2], 0);
            ck_assert_int_eq(met[3], step / 3 + 1);
        }
    }
    close_loader(&l);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

/* Unchanged crops hold the voxels of their places, and 0 around the volume. */
START_TEST(crops_hold_the_voxels_of_their_places)
{
    char *folder = scratch_folder();
    struct voco_store *s = seg_store(folder, 2);
    struct voco_seg_options o = options(2);
    struct loader l;
    const struct voco_seg_batch *b;
    int padded = 0;

    o.augment = (struct voco_seg_augment){.flip = 0};
    ok(open_loader(s, &o, 0, &l));
    for (int step = 0; step < 12; step++) {
        ok(next_batch(&l, &b, NULL));
        for (int crop = 0, i = 0; crop < b->n; crop++) {
            const int k = b->head.volume[crop];
            const int64_t *at = b->start + 3 * crop;

            for (int64_t x = at[0]; x < at[0] + 12; x++)
                for (int64_t y = at[1]; y < at[1] + 12; y++)
                    for (int64_t z = at[2]; z < at[2] + 10; z++, i++) {
                        const bool in = x >= 0 && x < DIM[k][0] && y >= 0 && y < DIM[k][1]
                            && z >= 0 && z < DIM[k][2];

                        padded += !in;
                        ck_assert_int_eq(b->label[i], in ? class_of(k, x, y, z) : 0);
                        for (int c = 0; c < 2; c++)
                            ck_assert_float_eq(b->image[2 * i + c],
                                               in ? image_of(k, c, x, y, z) : 0);
                    }
        }
    }
    ck_assert_int_gt(padded, 1000);         /* volumes 1 and 2 are smaller than a crop */
    close_loader(&l);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

/* MONAI's correct_crop_centers and SpatialCrop, with its floor divisions. */
static int64_t
monai_start(int64_t center, int64_t dim, int64_t size)
{
    const int64_t valid_start = size / 2;
    int64_t valid_end = (int64_t)((double)(dim + 1) - (double)size / 2);

    if (valid_start == valid_end)
        valid_end++;
    if (center < valid_start)
        center = valid_start;
    if (center > valid_end - 1)
        center = valid_end - 1;
    return center - size / 2 > 0 ? center - size / 2 : 0;
}

START_TEST(crops_begin_where_monai_begins_them)
{
    for (int64_t dim = 1; dim < 14; dim++)
        for (int64_t size = 1; size <= dim; size++)
            for (int64_t at = 0; at < dim; at++) {
                const int64_t dims[3] = {dim, 20, 5}, sizes[3] = {size, 7, 9};
                const int64_t ats[3] = {at, 19, 2};
                int64_t start[3];

                voco_seg_start(ats, dims, sizes, start);
                ck_assert_int_eq(start[0], monai_start(at, dim, size));
                ck_assert_int_eq(start[1], 13);
                ck_assert_int_eq(start[2], -2);     /* SpatialPad: 2 before, 2 behind */
            }
}
END_TEST

/* Crops of one voxel are their centres: the share of labelled ones is that asked for, and
 * both kinds are uniform, by chi-squared (mean = degrees of freedom f, deviation
 * sqrt(2f); five deviations). */
START_TEST(centres_are_drawn_as_defined)
{
    enum { STEPS = 1500, EACH = 32, DRAWS = STEPS * EACH };
    static const double positive[] = {0.5, 0.9, 0, 1};
    char *folder = scratch_folder();
    struct voco_store *s = seg_store(folder, 1);
    const int64_t voxels = DIM[1][0] * DIM[1][1] * DIM[1][2];
    int *met = calloc((size_t)voxels, sizeof *met);

    ck_assert_ptr_nonnull(met);
    for (size_t p = 0; p < sizeof positive / sizeof *positive; p++) {
        static const int one[] = {1};
        struct voco_seg_options o = options(2);
        struct loader l;
        const struct voco_seg_batch *b;
        double count[2] = {0}, kinds[2] = {0}, chi[2] = {0};

        o.volume = one;
        o.n_volumes = o.batch = 1;
        o.samples = EACH;
        o.roi[0] = o.roi[1] = o.roi[2] = 1;
        o.positive = positive[p];
        o.seed = 77 + p;
        memset(met, 0, (size_t)voxels * sizeof *met);
        ok(open_loader(s, &o, 0, &l));
        for (int step = 0; step < STEPS; step++) {
            ok(next_batch(&l, &b, NULL));
            for (int i = 0; i < EACH; i++) {
                const int64_t *at = b->start + 3 * i;

                met[(at[0] * DIM[1][1] + at[1]) * DIM[1][2] + at[2]]++;
                count[b->label[i] > 0]++;
            }
        }
        close_loader(&l);
        ck_assert_double_le(fabs(count[1] / DRAWS - positive[p]),
                            5 * sqrt(positive[p] * (1 - positive[p]) / DRAWS));
        for (int pass = 0; pass < 2; pass++)
            for (int64_t i = 0; i < voxels; i++) {
                const int64_t x = i / DIM[1][2] / DIM[1][1];
                const int64_t y = i / DIM[1][2] % DIM[1][1], z = i % DIM[1][2];
                const bool labelled = class_of(1, x, y, z) > 0;

                if (!labelled && image_of(1, 0, x, y, z) <= 0) {
                    ck_assert_int_eq(met[i], 0);
                } else if (pass == 0) {
                    kinds[labelled]++;
                } else if (count[labelled] > 0) {
                    const double want = count[labelled] / kinds[labelled];

                    chi[labelled] += (met[i] - want) * (met[i] - want) / want;
                }
            }
        for (int k = 0; k < 2; k++)
            if (count[k] > 0)
                ck_assert_msg(fabs(chi[k] - (kinds[k] - 1)) < 5 * sqrt(2 * kinds[k]),
                              "positive %g, kind %d: chi-squared %g of %g", positive[p],
                              k, chi[k], kinds[k] - 1);
    }
    free(met);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

/* The voxel of a crop's row-major index after a flip pattern and so many turns, by the
 * definitions of numpy: flip, then rot90 in the plane (0,1). */
static int64_t
source_of(int64_t i, const int64_t roi[3], int flips, int turns)
{
    int64_t x = i / roi[2] / roi[1], y = i / roi[2] % roi[1], z = i % roi[2];

    for (int t = 0; t < turns; t++) {           /* rot90: out[x][y] = in[y][n-1-x] */
        const int64_t was = x;

        x = y;
        y = roi[0] - 1 - was;
    }
    x = flips & 4 ? roi[0] - 1 - x : x;
    y = flips & 2 ? roi[1] - 1 - y : y;
    z = flips & 1 ? roi[2] - 1 - z : z;
    return (x * roi[1] + y) * roi[2] + z;
}

/* Each crop is one of the 32 turns of what lies at its place, image and label alike, with
 * one scale and one shift; each change about as often as asked. */
START_TEST(images_and_labels_are_changed_together)
{
    enum { STEPS = 120 };
    char *folder = scratch_folder();
    struct voco_store *s = seg_store(folder, 1);
    struct voco_seg_options o = options(2);
    struct loader l;
    const struct voco_seg_batch *b;
    int crops = 0, flipped[3] = {0}, turned[4] = {0}, scaled = 0, shifted = 0;
    static float plain[1440];
    static int classes[1440];

    ok(open_loader(s, &o, 0, &l));
    for (int step = 0; step < STEPS; step++) {
        ok(next_batch(&l, &b, NULL));
        for (int crop = 0; crop < b->n; crop++, crops++) {
            const int64_t *at = b->start + 3 * crop, n = 1440;
            const float *image = b->image + crop * n;
            const uint8_t *label = b->label + crop * n;
            const int k = b->head.volume[crop];
            int found = -1;

            for (int64_t i = 0; i < n; i++) {
                const int64_t x = at[0] + i / 120, y = at[1] + i / 10 % 12;
                const int64_t z = at[2] + i % 10;
                const bool in = x >= 0 && x < DIM[k][0] && y >= 0 && y < DIM[k][1]
                    && z >= 0 && z < DIM[k][2];

                plain[i] = in ? image_of(k, 0, x, y, z) : 0;
                classes[i] = in ? class_of(k, x, y, z) : 0;
            }
            for (int way = 0; way < 32 && found < 0; way++) {
                bool same = true;

                for (int64_t i = 0; i < n && same; i++)
                    same = label[i] == classes[source_of(i, o.roi, way & 7, way >> 3)];
                found = same ? way : -1;
            }
            ck_assert_int_ge(found, 0);
            /* two voxels of different value give scale and shift, the others follow */
            float low = 9, high = -9, low_to = 0, high_to = 0;
            for (int64_t i = 0; i < n; i++) {
                const float was = plain[source_of(i, o.roi, found & 7, found >> 3)];

                if (was < low) {
                    low = was;
                    low_to = image[i];
                }
                if (was > high) {
                    high = was;
                    high_to = image[i];
                }
            }
            const float scale = (high_to - low_to) / (high - low);
            const float shift = low_to - low * scale;
            for (int64_t i = 0; i < n; i++)
                ck_assert_float_le(fabsf(image[i] - shift - scale
                                         * plain[source_of(i, o.roi, found & 7,
                                                           found >> 3)]), 1e-6f);
            ck_assert_float_le(fabsf(scale - 1), 0.1001f);
            ck_assert_float_le(fabsf(shift), 0.1001f);
            scaled += fabsf(scale - 1) > 1e-5f;
            shifted += fabsf(shift) > 1e-5f;
            turned[found >> 3]++;
            for (int a = 0; a < 3; a++)
                flipped[a] += found >> (2 - a) & 1;
        }
    }
    close_loader(&l);
    /* 0.5 within five deviations; turns by 180 with two flips look like none: a third of
     * the turns may be counted as flips, which are as likely with them as without */
    const double slack = 5 * 0.5 * sqrt(crops);
    ck_assert_double_le(fabs(scaled - 0.5 * crops), slack);
    ck_assert_double_le(fabs(shifted - 0.5 * crops), slack);
    for (int a = 0; a < 3; a++)
        ck_assert_double_le(fabs(flipped[a] - 0.5 * crops), slack);
    ck_assert_int_gt(turned[1], crops / 10);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(whole_volumes_read_back)
{
    char *folder = scratch_folder();
    struct voco_store *s = seg_store(folder, 2);
    struct voco_store_scratch scratch = {0};
    struct voco_seg_volume v;

    for (int k = 0; k < VOLUMES; k++) {
        int64_t i = 0;

        ok(voco_seg_volume_read(s, k, CLASSES, &scratch, &v));
        ck_assert_int_eq(v.channels, 2);
        for (int64_t x = 0; x < DIM[k][0]; x++)
            for (int64_t y = 0; y < DIM[k][1]; y++)
                for (int64_t z = 0; z < DIM[k][2]; z++, i++) {
                    ck_assert_int_eq(v.label[i], class_of(k, x, y, z));
                    ck_assert_float_eq(v.image[2 * i + 1], image_of(k, 1, x, y, z));
                }
        voco_seg_volume_free(&v);
    }
    fails(VOCO_EFORMAT, voco_seg_volume_read(s, 0, 3, &scratch, &v));
    says("case0: its label map has class 4, expected classes below 3");
    voco_store_scratch_free(&scratch);
    voco_store_close(s);
    scratch_remove(folder);
}
END_TEST

START_TEST(what_cannot_be_sampled_is_refused)
{
    char *folder = scratch_folder(), *plain = scratch_folder();
    struct voco_store *s = seg_store(folder, 1), *unlabelled;
    const struct voco_store_options p = {.type = VOCO_STORE_U16, .chunk = 8};
    struct voco_seg_options o = options(1);
    struct loader l;

    o.classes = 4;
    fails(VOCO_EFORMAT, open_loader(s, &o, 0, &l));
    says("class 4");
    o = options(1);
    o.roi[0] = 14;
    fails(VOCO_EUSAGE, open_loader(s, &o, 0, &l));
    says("14 x 12 x 10 cannot be turned");
    o = options(1);
    o.n_volumes = 0;
    fails(VOCO_EUSAGE, open_loader(s, &o, 0, &l));
    o = options(0);
    fails(VOCO_EUSAGE, open_loader(s, &o, 0, &l));
    says("loader threads is 0");
    o = options(1);
    loader_ahead = 65;
    fails(VOCO_EUSAGE, open_loader(s, &o, 0, &l));
    store_of(plain, &p, 4, 16, 16, 16);
    ok(voco_store_open(plain, &unlabelled));
    o = options(1);
    fails(VOCO_EFORMAT, open_loader(unlabelled, &o, 0, &l));
    says("case000 has no label map");
    voco_store_close(unlabelled);
    voco_store_close(s);
    scratch_remove(plain);
    scratch_remove(folder);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("segloader");
    TCase *t = tcase_create("segloader");

    tcase_add_test(t, threads_and_resume_change_nothing);
    tcase_add_test(t, crops_without_labels_lie_anywhere_and_are_a_function_of_the_step);
    tcase_add_test(t, every_volume_comes_once_an_epoch);
    tcase_add_test(t, crops_hold_the_voxels_of_their_places);
    tcase_add_test(t, crops_begin_where_monai_begins_them);
    tcase_add_test(t, centres_are_drawn_as_defined);
    tcase_add_test(t, images_and_labels_are_changed_together);
    tcase_add_test(t, whole_volumes_read_back);
    tcase_add_test(t, what_cannot_be_sampled_is_refused);
    tcase_set_timeout(t, 120);
    suite_add_tcase(suite, t);
    return suite;
}
