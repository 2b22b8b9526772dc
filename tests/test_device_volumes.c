/* Blending, boxes, rotation and upsampling of volumes, of every device against the oracle,
 * and with other numbers of threads. */
#include "base/rng.h"
#include "tests/devices.h"
#include "tests/harness.h"
#include "tests/tensors.h"
#include "tests/test.h"

static const double POINTWISE = 1e-6;

/* ---- blend: m, c ---- */

static void
run_blend(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor a = operand(h, -1, 1, SHAPE(p[0], p[1]));
    const struct voco_tensor b = operand(h, -1, 1, a), alpha = operand(h, 0, 1, a);
    const struct voco_tensor shares = operand(h, 0, 1, REAL(p[0], p[1]));
    const struct voco_tensor y = overwritten(h, a);

    dev->blend(h->ctx, &a, &b, &alpha, &y);
    result(h, "y", &y, POINTWISE);
    dev->blend(h->ctx, &a, &b, &shares, &y);
    result(h, "y of real shares", &y, POINTWISE);
    dev->blend(h->ctx, &a, &b, &alpha, &b);
    result(h, "y in place of b", &b, POINTWISE);
    dev->blend(h->ctx, &a, &y, &alpha, &alpha);
    result(h, "y in place of alpha", &alpha, POINTWISE);
}

/* ---- boxes: n, d, h, w, c, boxes ---- */

enum { BOXES_MAX = 40 };

/* Boxes that overlap, some of them empty, some as large as the volume. */
static void
make_boxes(const struct harness *h, const int64_t *p, struct voco_box *box)
{
    for (int b = 0; b < p[5]; b++) {
        const struct voco_rng_key key = { .seed = h->seed, .sample = (uint32_t)b,
                                          .purpose = VOCO_RNG_TEST };

        box[b].item = (int)voco_rng_below(&key, 0, (uint32_t)p[0]);
        box[b].from = (int)voco_rng_below(&key, 1, (uint32_t)p[0]);
        box[b].value = voco_rng_below(&key, 2, 100) / 8.0;      /* a bfloat16, too */
        for (int i = 0; i < 3; i++) {
            const uint32_t n = (uint32_t)p[1 + i] + 1, k = (uint32_t)i;

            box[b].extent[i] = voco_rng_below(&key, 3 + k, n);
            box[b].start[i] = voco_rng_below(&key, 6 + k, n - (uint32_t)box[b].extent[i]);
        }
    }
}

static void
run_boxes(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1], p[2], p[3], p[4]));
    const struct voco_tensor y = operand(h, -1, 1, x);
    const struct voco_tensor z = operand(h, -1, 1, REAL(p[0], p[1], p[2], p[3], p[4]));
    struct voco_box box[BOXES_MAX];

    make_boxes(h, p, box);
    dev->box_fill(h->ctx, box, (int)p[5], &z);
    result(h, "reals filled", &z, 0);
    dev->box_copy(h->ctx, box, (int)p[5], &x, &y);
    result(h, "copied", &y, 0);
    dev->box_fill(h->ctx, box, (int)p[5], &y);
    result(h, "filled", &y, 0);
    dev->box_copy(h->ctx, box, (int)p[5], &x, &x);
    result(h, "copied within x", &x, 0);
    dev->box_copy(h->ctx, box, 0, &y, &x);
    result(h, "no boxes", &x, 0);
}

/* ---- rotation: n, d, h, w, c, plane, turns of the first item, by how many more of the
 * next ---- */

static void
run_rotate(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const int plane[2] = { (int)p[5], (int)p[6] }, back[2] = { plane[1], plane[0] };
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1], p[2], p[3], p[4]));
    const struct voco_tensor again = overwritten(h, x);
    struct voco_tensor shape = x, y;
    int turns[8];

    for (int i = 0; i < p[0]; i++)
        turns[i] = (int)(p[7] + i * p[8]) % 4;
    if (p[7] % 2) {
        shape.dim[plane[0]] = x.dim[plane[1]];
        shape.dim[plane[1]] = x.dim[plane[0]];
    }
    y = overwritten(h, shape);
    dev->rotate(h->ctx, &x, turns, plane, &y);
    result(h, "y", &y, 0);
    dev->rotate(h->ctx, &y, turns, back, &again);
    result(h, "and back", &again, 0);
}

/* ---- upsampling: n, d, h, w, c ---- */

static void
run_upsample(struct harness *h, const int64_t *p)
{
    const struct voco_device *dev = h->ctx->dev;
    const struct voco_tensor x = operand(h, -1, 1, SHAPE(p[0], p[1], p[2], p[3], p[4]));
    const struct voco_tensor y = overwritten(h, SHAPE(p[0], 2 * p[1], 2 * p[2], 2 * p[3],
                                                      p[4]));
    const struct voco_tensor dy = operand(h, -1, 1, y), dx = overwritten(h, x);
    const struct voco_tensor real = overwritten(h, REAL(p[0], p[1], p[2], p[3], p[4]));

    dev->upsample_forward(h->ctx, &x, &y);
    result(h, "y", &y, POINTWISE);
    dev->upsample_backward(h->ctx, &dy, &dx);
    result(h, "dx", &dx, sum_tolerance(h, 64));
    dev->upsample_backward(h->ctx, &dy, &real);
    result(h, "real dx", &real, sum_tolerance(h, 64));
}

static const struct harness_case cases[] = {
    { "blend", run_blend, { 1, 1 } },
    { "blend", run_blend, { 3, 343 } },
    { "blend", run_blend, { 17, 2049 } },

    { "boxes", run_boxes, { 1, 1, 1, 1, 1, 1 } },
    { "boxes", run_boxes, { 2, 9, 7, 5, 1, 12 } },
    { "boxes", run_boxes, { 3, 4, 6, 33, 3, 25 } },
    { "boxes", run_boxes, { 1, 17, 16, 15, 1, 40 } },

    { "rotate", run_rotate, { 1, 1, 1, 1, 1, 2, 3, 1, 0 } },
    { "rotate", run_rotate, { 8, 5, 6, 6, 1, 2, 3, 0, 1 } },
    { "rotate", run_rotate, { 5, 7, 3, 7, 2, 1, 3, 2, 3 } },
    { "rotate", run_rotate, { 4, 4, 4, 9, 3, 2, 1, 3, 1 } },
    { "rotate", run_rotate, { 2, 5, 3, 7, 1, 2, 3, 1, 2 } },
    { "rotate", run_rotate, { 3, 5, 3, 17, 1, 1, 2, 0, 2 } },

    { "upsample", run_upsample, { 1, 1, 1, 1, 1 } },
    { "upsample", run_upsample, { 2, 3, 1, 2, 5 } },
    { "upsample", run_upsample, { 1, 4, 5, 6, 17 } },
    { "upsample", run_upsample, { 2, 2, 3, 7, 400 } },
    { "upsample", run_upsample, { 1, 2, 2, 2, 3 } },
};

START_TEST(device_agrees_with_the_oracle)
{
    const int i = _i % COUNT(cases);

    ck_assert_msg(harness_run(devices[_i / COUNT(cases)], &cases[i]), "%s: %s",
                  devices[_i / COUNT(cases)]->name, cases[i].name);
}
END_TEST

START_TEST(threads_do_not_change_a_bit)
{
    const int i = _i % COUNT(cases);

    ck_assert_msg(harness_threads(devices[_i / COUNT(cases)], &cases[i]), "%s: %s",
                  devices[_i / COUNT(cases)]->name, cases[i].name);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("device_volumes");
    TCase *tc = tcase_create("entries");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, device_agrees_with_the_oracle, 0, ALL_DEVICES * COUNT(cases));
    tcase_add_loop_test(tc, threads_do_not_change_a_bit, 0, ALL_DEVICES * COUNT(cases));
    suite_add_tcase(suite, tc);
    return suite;
}
