/* Counter-based random numbers: Philox4x32-10 of Salmon, Moraes, Dror and Shaw (2011);
 * the hash stream is FNV-1a for the name and the splitmix64 finaliser for the index. */
#include "base/rng.h"

#include <math.h>

static void
philox_round(uint32_t c[4], uint32_t k0, uint32_t k1)
{
    const uint64_t a = (uint64_t)0xD2511F53u * c[0];
    const uint64_t b = (uint64_t)0xCD9E8D57u * c[2];

    c[0] = (uint32_t)(b >> 32) ^ c[1] ^ k0;
    c[1] = (uint32_t)b;
    c[2] = (uint32_t)(a >> 32) ^ c[3] ^ k1;
    c[3] = (uint32_t)a;
}

void
voco_rng_block(const struct voco_rng_key *key, uint32_t i, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)key->seed ^ (uint32_t)(key->step >> 32);
    uint32_t k1 = (uint32_t)(key->seed >> 32);

    out[0] = i;
    out[1] = key->sample;
    out[2] = (uint32_t)key->crop << 16 | key->purpose;
    out[3] = (uint32_t)key->step;
    for (int round = 0; round < 10; round++) {
        philox_round(out, k0, k1);
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

static uint32_t
word(const struct voco_rng_key *key, uint32_t i)
{
    uint32_t out[4];

    voco_rng_block(key, i / 4, out);
    return out[i % 4];
}

float
voco_rng_unit(const struct voco_rng_key *key, uint32_t i)
{
    return (float)(word(key, i) >> 8) * 0x1p-24f;
}

uint32_t
voco_rng_below(const struct voco_rng_key *key, uint32_t i, uint32_t n)
{
    return (uint32_t)(((uint64_t)word(key, i) * n) >> 32);
}

/* Box and Muller; number i takes words 2i and 2i+1. */
double
voco_rng_normal(const struct voco_rng_key *key, uint32_t i)
{
    const double u = ((double)word(key, 2 * i) + 1.0) * 0x1p-32;
    const double v = (double)word(key, 2 * i + 1) * 0x1p-32;

    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

void
voco_rng_permute(const struct voco_rng_key *key, uint32_t n, uint32_t *order)
{
    for (uint32_t i = 0; i < n; i++)
        order[i] = i;
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = voco_rng_below(key, i, i);
        const uint32_t held = order[i - 1];

        order[i - 1] = order[j];
        order[j] = held;
    }
}

uint64_t
voco_hash_base(uint64_t seed, const char *name)
{
    uint64_t h = 0xCBF29CE484222325u;

    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001B3u;
    return h + seed * 0xD1342543DE82EF95u;
}

double
voco_hash_unit(uint64_t base, uint64_t i)
{
    uint64_t z = base + (i + 1) * 0x9E3779B97F4A7C15u;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 40) * 0x1p-24;
}

void
voco_hash_uniform(uint64_t seed, const char *name, int64_t n, double lo, double hi,
                  float *out)
{
    const uint64_t base = voco_hash_base(seed, name);

    for (int64_t i = 0; i < n; i++)
        out[i] = (float)(lo + (hi - lo) * voco_hash_unit(base, (uint64_t)i));
}

void
voco_noise(float *x, int64_t n)
{
    uint32_t r = 1;

    for (int64_t i = 0; i < n; i++) {
        r = r * 1664525u + 1013904223u;
        x[i] = (float)(r >> 8) * 0x1p-24f - 0.5f;
    }
}
