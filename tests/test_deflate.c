/* What voco deflates, zlib inflates to the same bytes, and in no more room than promised. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/rng.h"
#include "data/codec/deflate.h"
#include "tests/test.h"

static uint32_t
draw(uint32_t i, uint32_t below)
{
    const struct voco_rng_key key = {.seed = 5, .step = i, .purpose = VOCO_RNG_TEST};

    return voco_rng_below(&key, 0, below);
}

/* Returns the bytes that it took. */
static size_t
round_trip(int level, const uint8_t *in, size_t plane, size_t n_planes)
{
    const size_t n = plane * n_planes, bound = voco_deflate_bound(n);
    uint8_t *packed = malloc(bound), *out = malloc(n);
    uLongf got = n;
    struct voco_deflater *d;
    struct voco_inflater *f;

    ck_assert_int_eq(voco_deflater_new(level, &d), VOCO_OK);
    ck_assert_int_eq(voco_inflater_new(&f), VOCO_OK);
    const size_t used = voco_deflate(d, in, plane, n_planes, packed);
    ck_assert(used > 0 && used <= bound);
    ck_assert_int_eq(uncompress(out, &got, packed, used), Z_OK);
    ck_assert(got == n && memcmp(in, out, n) == 0);
    memset(out, 0, n);
    ck_assert_int_eq(voco_inflate(f, packed, used, out, n), VOCO_OK);
    ck_assert(memcmp(in, out, n) == 0);
    voco_deflater_free(d);
    voco_inflater_free(f);
    free(packed);
    free(out);
    return used;
}

/* Bytes of fewer and fewer values, so that codes go from 8 bits to 1. */
START_TEST(noise_of_any_entropy_returns)
{
    enum { PLANE = 32 * 32 * 32 };
    uint8_t *in = malloc(2 * PLANE);

    for (uint32_t values = 1; values <= 256; values += values < 8 ? 1 : 31) {
        for (uint32_t i = 0; i < 2 * PLANE; i++)
            in[i] = (uint8_t)draw(i, i < PLANE ? 256 : values);
        for (int level = 1; level <= 9; level += 4) {
            const size_t used = round_trip(level, in, PLANE, 2);

            ck_assert_msg(values > 8 || used < PLANE + PLANE / 2, "%zu bytes", used);
        }
    }
    free(in);
}
END_TEST

/* Every length around those of one symbol, of two and of many, at both ends of a plane. */
START_TEST(runs_of_any_length_return)
{
    uint8_t in[1200];

    for (size_t run = 1; run < 800; run++)
        for (size_t before = 0; before <= 2; before++) {
            const size_t n = before + run + before;

            memset(in, 7, n);
            for (size_t i = 0; i < before; i++)
                in[i] = in[n - 1 - i] = (uint8_t)(1 + i);
            round_trip(1, in, n, 1);
        }
}
END_TEST

/* Counts that grow as Fibonacci's numbers want codes of up to 20 bits; 15 are allowed. */
START_TEST(codes_that_would_be_too_long_return)
{
    enum { VALUES = 21 };
    size_t n = 0, a = 1, b = 1;
    uint8_t *in = malloc(1 << 16);

    for (int v = 0; v < VALUES; v++) {
        for (size_t i = 0; i < a; i++)
            in[n++] = (uint8_t)(v * 11);
        b += a;
        a = b - a;
    }
    ck_assert(n < 1 << 15);
    for (size_t i = n - 1; i > 0; i--) {                /* shuffled: no runs */
        const size_t j = draw((uint32_t)i, (uint32_t)i + 1);
        const uint8_t held = in[i];

        in[i] = in[j];
        in[j] = held;
    }
    ck_assert(round_trip(1, in, n, 1) < n / 2);
    free(in);
}
END_TEST

/* A plane may be one byte, a block of exactly the largest size, or many of them. */
START_TEST(planes_of_any_size_return)
{
    static const size_t SIZE[] = {1, 2, 3, 4, 5, 511, 32767, 32768, 32769, 65536, 300000};
    uint8_t *in = malloc(4 * 300000);

    for (size_t s = 0; s < sizeof SIZE / sizeof *SIZE; s++)
        for (size_t planes = 1; planes <= 4; planes *= 2) {
            for (size_t i = 0; i < SIZE[s] * planes; i++)
                in[i] = (uint8_t)(draw((uint32_t)i, 9) > 3 ? 0 : i / SIZE[s] * i);
            round_trip(1, in, SIZE[s], planes);
            memset(in, 0, SIZE[s] * planes);
            const size_t used = round_trip(1, in, SIZE[s], planes);
            ck_assert_msg(used < SIZE[s] * planes / 100 + 64 * planes, "%zu", used);
        }
    free(in);
}
END_TEST

/* A plane of noise is stored: no larger than it is, and 11 bytes of frame. */
START_TEST(noise_is_not_made_larger)
{
    enum { PLANE = 32 * 32 * 32 };
    uint8_t *in = malloc(PLANE);

    for (uint32_t i = 0; i < PLANE; i++)
        in[i] = (uint8_t)draw(i, 256);
    ck_assert_uint_eq(round_trip(1, in, PLANE, 1), PLANE + 11);
    free(in);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("deflate");
    TCase *t = tcase_create("deflate");

    tcase_set_timeout(t, 60);
    tcase_add_test(t, noise_of_any_entropy_returns);
    tcase_add_test(t, runs_of_any_length_return);
    tcase_add_test(t, codes_that_would_be_too_long_return);
    tcase_add_test(t, planes_of_any_size_return);
    tcase_add_test(t, noise_is_not_made_larger);
    suite_add_tcase(suite, t);
    return suite;
}
