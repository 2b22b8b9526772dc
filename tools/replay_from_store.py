#!/usr/bin/env python3
"""One fixed batch out of a store, for voco pretrain --replay.

  replay_from_store.py STORE OUT.h5 [--roi 64] [--sw 2] [--seed 0] [--steps N]

Takes the middle block of every volume, 3 x 3 x 1 crops large, cuts it into 9 base crops
and SW random ones, and writes img, crops and labels; with --steps also keep, the rows that
row dropout leaves in each of N steps.  Needs h5py and numpy; the store must be of type
u16.
"""
import argparse
import glob

import h5py
import numpy as np

GRID, DROPOUT = 3, 0.2


def block(dataset, roi):
    sizes = (GRID * roi, GRID * roi, roi)
    start = [max(n - m, 0) // 2 for n, m in zip(dataset.shape, sizes)]
    v = dataset[tuple(slice(s, s + m) for s, m in zip(start, sizes))].astype("f4") / 65535
    return np.pad(v, [(0, m - n) for n, m in zip(v.shape, sizes)])


def overlap(center, k, roi):
    """Share of the random crop's square that lies on base crop k."""
    area = 1
    for edge, c in zip(divmod(k, GRID), center):
        area *= max(0, min((edge + 1) * roi, c + roi // 2) - max(edge * roi, c - roi // 2))
    return area / roi ** 2


def main():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("store")
    p.add_argument("out")
    p.add_argument("--roi", type=int, default=64)
    p.add_argument("--sw", type=int, default=2)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--steps", type=int, default=0)
    a = p.parse_args()
    rng, roi = np.random.default_rng(a.seed), a.roi
    img, crops, labels = [], [], []
    for path in sorted(glob.glob(a.store + "/shard-*.h5")):
        with h5py.File(path) as shard:
            for name in shard:
                v = block(shard[name], roi)
                print(name, shard[name].shape)
                crops += [v[i * roi:(i + 1) * roi, j * roi:(j + 1) * roi]
                          for i in range(GRID) for j in range(GRID)]
                centers = rng.integers(roi // 2, GRID * roi - roi // 2, (a.sw, 2))
                img += [v[x - roi // 2:x + roi // 2, y - roi // 2:y + roi // 2]
                        for x, y in centers]
                labels.append([[overlap(c, k, roi) for k in range(GRID ** 2)]
                               for c in centers])
    with h5py.File(a.out, "w") as f:
        f["img"] = np.array(img, "f4")[:, None]
        f["crops"] = np.array(crops, "f4")[:, None]
        f["labels"] = np.array(labels, "f4")
        if a.steps:
            rows = len(img) + len(crops)
            f["keep"] = (rng.random((a.steps, rows)) >= DROPOUT).astype("u1")


if __name__ == "__main__":
    main()
