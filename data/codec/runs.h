/*
 * A deflate compressor that knows literals and runs of one byte, nothing else.
 *
 * Byte planes of voxels are background, which is runs, and tissue, where looking for
 * earlier copies of three bytes and more takes most of a compressor's time and finds
 * chance hits.  Huffman codes do the rest, one for each block.
 */
#ifndef VOCO_DATA_CODEC_RUNS_H
#define VOCO_DATA_CODEC_RUNS_H

#include <stdbool.h>
#include <stdint.h>

enum { VOCO_RUNS_BLOCK = 1 << 15 };

/* Memory to work with, of one thread; needs no preparation. */
struct voco_runs {
    uint16_t token[VOCO_RUNS_BLOCK];    /* literals, 256 + the length of a run - 3 */
    uint32_t count[4][512];             /* of tokens, in turn: no counter waits */
    uint32_t code[512];                 /* bits of a token << 5 | how many */
};

/* Where bits go, the lowest first.  Up to 8 bytes behind them may be overwritten. */
struct voco_bits {
    uint8_t *to;
    uint64_t held;
    int n;                              /* bits in held, below 8 between calls */
};

/* One block of n <= VOCO_RUNS_BLOCK bytes: coded, or as it is where that would save less
 * than an eighth; n + 5 bytes at most.  last: of its stream, and the bits end. */
void voco_runs_block(struct voco_runs *r, const uint8_t *in, int n, bool last,
                     struct voco_bits *bits);

#endif
