#!/usr/bin/env python3
"""One fixed batch out of a store, for voco pretrain --replay.

  replay_from_store.py STORE OUT.h5 [SW [SEED [STEPS]]]

Takes the middle 192x192x64 block of every volume, cuts it into 3x3 base crops of 64^3
and SW random ones, and writes img, crops, labels, and for STEPS steps the rows that
row dropout keeps.  Needs h5py and numpy; the store must be of type u16.
"""
import glob
import sys

import h5py
import numpy as np

ROI, GRID, DROPOUT = 64, 3, 0.2
BLOCK = (GRID * ROI, GRID * ROI, ROI)


def block(dataset):
    start = [max(n - m, 0) // 2 for n, m in zip(dataset.shape, BLOCK)]
    v = dataset[tuple(slice(s, s + m) for s, m in zip(start, BLOCK))].astype("f4") / 65535
    return np.pad(v, [(0, m - n) for n, m in zip(v.shape, BLOCK)])


def overlap(center, k):
    """Share of the random crop's square that lies on base crop k."""
    area = 1
    for edge, c in zip(divmod(k, GRID), center):
        area *= max(0, min((edge + 1) * ROI, c + ROI // 2) - max(edge * ROI, c - ROI // 2))
    return area / ROI ** 2


def main(store, out, sw=2, seed=0, steps=0):
    rng = np.random.default_rng(int(seed))
    img, crops, labels = [], [], []
    for path in sorted(glob.glob(store + "/shard-*.h5")):
        with h5py.File(path) as shard:
            for name in shard:
                v = block(shard[name])
                print(name, shard[name].shape)
                crops += [v[i * ROI:(i + 1) * ROI, j * ROI:(j + 1) * ROI]
                          for i in range(GRID) for j in range(GRID)]
                centers = rng.integers(ROI // 2, GRID * ROI - ROI // 2, (int(sw), 2))
                img += [v[x - ROI // 2:x + ROI // 2, y - ROI // 2:y + ROI // 2]
                        for x, y in centers]
                labels.append([[overlap(c, k) for k in range(GRID ** 2)] for c in centers])
    with h5py.File(out, "w") as f:
        f["img"] = np.array(img, "f4")[:, None]
        f["crops"] = np.array(crops, "f4")[:, None]
        f["labels"] = np.array(labels, "f4")
        if int(steps):
            f["keep"] = (rng.random((int(steps), len(img) + len(crops))) >= DROPOUT).astype("u1")


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
