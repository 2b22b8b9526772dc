/*
 * A deflate compressor that codes literals and runs of one byte, and no other matches.
 *
 * Byte planes of voxels consist of background, which is runs, and tissue.  In tissue the
 * search for earlier copies of three or more bytes takes most of a compressor's time and
 * finds only chance hits.  Each block has a Huffman code of its own.
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

/* One block of n <= VOCO_RUNS_BLOCK bytes: coded, or stored if coding would save less than
 * an eighth; at most n + 5 bytes.  last: the block ends its stream, and the bits are
 * flushed. */
void voco_runs_block(struct voco_runs *r, const uint8_t *in, int n, bool last,
                     struct voco_bits *bits);

#endif
