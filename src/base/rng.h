/*
 * Random numbers without state.
 *
 * Philox4x32-10 (Salmon et al., SC 2011) keyed by the run's seed; the counter is the
 * purpose of the number.  The same (seed, step, sample, crop, purpose, i) gives the same
 * number in any thread, in any order and after any resume.
 *
 * The hash stream at the end is the deterministic filling that the reference numbers
 * use: a function of (seed, name, index) that is four lines in any language.
 */
#ifndef VOCO_BASE_RNG_H
#define VOCO_BASE_RNG_H

#include <stdint.h>

/* The purpose of a number; part of the key, so that two purposes never share numbers.
 * Append only: a resumed run must find the same values. */
enum voco_purpose {
    VOCO_RNG_INIT = 1,      /* parameter initialisation */
    VOCO_RNG_ORDER,         /* permutation of volumes in an epoch */
    VOCO_RNG_SLAB,          /* place of the 192x192x64 block in the volume */
    VOCO_RNG_CENTER,        /* centre of a random crop */
    VOCO_RNG_FLIP,
    VOCO_RNG_ROT90,
    VOCO_RNG_SHIFT,         /* intensity shift */
    VOCO_RNG_ROWDROP,       /* dropped embeddings */
    VOCO_RNG_PHANTOM,
    VOCO_RNG_TEST,
    VOCO_RNG_LABELLED,      /* crop around a labelled voxel or not, and which voxel */
    VOCO_RNG_SCALE,         /* intensity scale */
    VOCO_RNG_BOOTSTRAP,     /* cases of a replicate */
    VOCO_RNG_SIGNS,         /* of a permutation test */
    VOCO_RNG_CHANGE,        /* changes of a view, and their numbers */
    VOCO_RNG_GRAIN,         /* noise of a view */
    VOCO_RNG_VIEW,          /* turn and cut-out boxes of a view */
    VOCO_RNG_FILL,          /* noise that fills a cut-out box */
    VOCO_RNG_PROBE,         /* crops and voxels of a probe */
    VOCO_RNG_MASK,          /* hidden blocks of a crop */
    VOCO_RNG_BOXES,         /* boxes of classes, their number and places */
    VOCO_RNG_DISTORT,       /* which distortions a crop gets, and their parameters */
    VOCO_RNG_SHUFFLE,       /* shuffled blocks, and the order of their voxels */
    VOCO_RNG_NOISE          /* noise in place of voxels */
};

struct voco_rng_key {
    uint64_t seed;
    uint64_t step;          /* or epoch */
    uint32_t sample;        /* volume in the batch, or index in a list */
    uint16_t crop;
    uint16_t purpose;       /* enum voco_purpose */
};

/* out[0..3] = block number i of the stream of this key.  Key: seed. Counter: i (32 bit),
 * sample, crop|purpose, step; the upper half of step is folded into the key. */
void voco_rng_block(const struct voco_rng_key *key, uint32_t i, uint32_t out[4]);

/* Number i of the stream: uniform in [0,1), 24 bits / uniform integer in [0,n), n >= 1
 * (no modulo bias beyond 2^-32) / standard normal. */
float voco_rng_unit(const struct voco_rng_key *key, uint32_t i);
uint32_t voco_rng_below(const struct voco_rng_key *key, uint32_t i, uint32_t n);
double voco_rng_normal(const struct voco_rng_key *key, uint32_t i);

/* order[0..n) = a permutation of 0..n-1 (Fisher-Yates over the stream). */
void voco_rng_permute(const struct voco_rng_key *key, uint32_t n, uint32_t *order);

/* Element i of the hash stream of (seed, name), in [0,1), a multiple of 2^-24. */
uint64_t voco_hash_base(uint64_t seed, const char *name);
double voco_hash_unit(uint64_t base, uint64_t i);

/* out[i] = (float)(lo + (hi-lo)*unit): row-major filling of n elements. */
void voco_hash_uniform(uint64_t seed, const char *name, int64_t n, double lo, double hi,
                       float *out);

/* x[n] = cheap numbers in [-0.5,0.5), always the same, for timings: zeros would flatter,
 * large ones overflow where gradients add up. */
void voco_noise(float *x, int64_t n);

#endif
