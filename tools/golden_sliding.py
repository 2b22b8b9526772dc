#!/usr/bin/env python3
"""Places, weights and averages of sliding windows from MONAI, for tests/test_sliding.c.

  golden_sliding.py OUT.h5

Needs torch, monai, h5py.  The network is a formula, logit[c] = (c+1) x + pattern[c] at the
window's voxel, so that averages depend on where windows stand; x and pattern come from the
hash of the other golden files (HACKING.md).
"""
import sys

import h5py
import numpy as np
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers import sliding_window_inference
from monai.inferers.utils import _get_scan_interval

M = (1 << 64) - 1
SEED, CLASSES = 13, 3
PLACES = [(64, 64, .5), (65, 64, .5), (100, 64, .25), (200, 96, .75), (333, 96, .5),
          (96, 32, 0.), (97, 32, 0.), (150, 64, .9), (33, 32, .95), (512, 96, .625)]
RUNS = [((50, 40, 37), (32, 32, 32), .5, "gaussian"), ((20, 70, 33), (32, 32, 32), .25,
        "constant"), ((40, 33, 90), (32, 32, 64), .6, "gaussian"),
        ((31, 30, 29), (32, 32, 32), .5, "gaussian")]


def unit(name, n):
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & M
    base = (h + SEED * 0xD1342543DE82EF95) & M
    with np.errstate(over="ignore"):
        z = np.uint64(base) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float64) * 2.0 ** -24


def main():
    h = h5py.File(sys.argv[1], "w")
    h.attrs["seed"] = SEED
    h["places"] = np.array(PLACES)
    for i, (size, roi, overlap) in enumerate(PLACES):
        step = _get_scan_interval((size,), (roi,), 1, (overlap,))
        h["starts%d" % i] = np.array([s[0].start for s in dense_patch_slices((size,), (roi,), step)])
    for i, (dim, roi, overlap, mode) in enumerate(RUNS):
        g = h.create_group("run%d" % i)
        g.attrs.update(dim=dim, roi=roi, overlap=overlap, gaussian=int(mode == "gaussian"))
        x = unit("x%d" % i, int(np.prod(dim))).astype(np.float32).reshape((1, 1) + dim)
        pattern = unit("pattern%d" % i, int(np.prod(roi)) * CLASSES).astype(np.float32)
        pattern = torch.from_numpy(np.moveaxis(pattern.reshape(roi + (CLASSES,)), -1, 0).copy())
        factor = torch.arange(1, CLASSES + 1, dtype=torch.float32).reshape(1, CLASSES, 1, 1, 1)
        y = sliding_window_inference(torch.from_numpy(x), roi, 2, lambda w: w * factor + pattern,
                                     overlap=overlap, mode=mode)[0].numpy()
        at = np.minimum((unit("at%d" % i, 2048) * y.size).astype(np.int64), y.size - 1)
        g["logit"] = np.moveaxis(y, 0, -1).ravel()[at]
        w = compute_importance_map(roi, mode=mode, sigma_scale=0.125).numpy()
        g["weight"] = w.ravel()[np.minimum(at * w.size // y.size, w.size - 1)]


if __name__ == "__main__":
    main()
