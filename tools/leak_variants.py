#!/usr/bin/env python3
"""Changed copies of a scan, for tools/leak_table.sh: leak_variants.py IN.nii.gz NAME OUT

Writes OUT/CHANGE__NAME.nii.gz for every change of the list at the end, or in another
format where that is the change.  Needs numpy, scipy and nibabel.
"""
import os
import sys

import nibabel as nib
import numpy as np
from scipy import ndimage


def resample(x, mm, to):
    """Linear, after a blur where voxels get larger, as most programs do it."""
    sigma = [max(t / m - 1, 0) / 2 for m, t in zip(mm, to)]
    y = ndimage.gaussian_filter(x, sigma)
    n = [max(1, round(s * m / t)) for s, m, t in zip(x.shape, mm, to)]
    at = [(np.arange(k) + 0.5) * t / m - 0.5 for k, m, t in zip(n, mm, to)]
    return ndimage.map_coordinates(y, np.meshgrid(*at, indexing="ij"), order=1,
                                   mode="nearest"), to


def crop(x, share, where):
    """A box with this share of each edge; where: 0 at the begin, 1 at the end."""
    box = []
    for n, w in zip(x.shape, where):
        size = max(1, int(n * share))
        start = int((n - size) * w)
        box.append(slice(start, start + size))
    return x[tuple(box)]


def quantiles(x):
    body = x[x > x.min()]
    return np.quantile(body, [0.02, 0.1, 0.5, 0.9, 0.98])


def changes(x, mm, rng):
    """(change, voxels, spacing, affine or None)"""
    q = quantiles(x)
    ct = x.min() < -200
    for to in (1.5, 2, 3):
        yield f"resampled to {to} mm", *resample(x, mm, (to,) * 3)
    yield "slices of 5 mm", *resample(x, mm, (mm[0], mm[1], 5))
    for share in (0.9, 0.8, 0.7, 0.6, 0.5):
        yield f"crop to {share:.0%} of the edges, middle", crop(x, share, (0.5,) * 3), mm
    yield "crop to 70% of the edges, corner", crop(x, 0.7, (0, 1, 1)), mm
    yield "crop to 50% of the edges, corner", crop(x, 0.5, (1, 0, 1)), mm
    soft = (-175, 250) if ct else (q[1], q[3])
    narrow = (-20, 120) if ct else (q[1], q[2])
    bone = (200, 1200) if ct else (q[2], q[4])
    for name, (lo, hi) in ("soft tissue", soft), ("narrow", narrow), ("high", bone):
        yield f"window {name}", np.clip((x - lo) / (hi - lo), 0, 1), mm
    yield "intensities times 3.7 plus 50", 3.7 * x + 50, mm
    yield "gamma 0.5", np.sqrt((x - x.min()) / (x.max() - x.min())), mm
    spread = q[4] - q[0]
    for share in (0.05, 0.2):
        yield f"noise of {share:.0%} of the range", \
            x + rng.normal(0, share * spread, x.shape), mm
    yield "u8", np.round(255 * np.clip((x - q[0]) / spread, 0, 1)), mm
    for axes in ((0,), (1,), (2,), (0, 1, 2)):
        yield "flipped " + "".join("xyz"[a] for a in axes), np.flip(x, axes), mm
    for order in ((1, 0, 2), (2, 0, 1)):
        yield "axes " + "".join("xyz"[a] for a in order), x.transpose(order), \
            tuple(mm[a] for a in order)
    yield "no spacing", x, (1, 1, 1)
    part = crop(x, 0.6, (0.4, 0.6, 0.5))
    yield "crop to 60% and resampled to 2 mm", *resample(part, mm, (2,) * 3)
    yield "crop to 60%, resampled to 3 mm, window", *resample(
        np.clip(part, *soft), mm, (3,) * 3)
    yield "crop to 70%, axes yxz, flipped x", \
        np.flip(crop(x, 0.7, (0.5, 0.4, 0.6)).transpose((1, 0, 2)), 0), (mm[1], mm[0], mm[2])
    yield "turned by 5 degrees", ndimage.rotate(x, 5, (0, 1), reshape=False, order=1,
                                                mode="nearest"), mm
    yield "turned by 15 degrees", ndimage.rotate(x, 15, (0, 1), reshape=False, order=1,
                                                 mode="nearest"), mm


def main(path, name, out):
    image = nib.as_closest_canonical(nib.load(path))
    x = np.asarray(image.dataobj, dtype=np.float32)
    x = x.reshape(x.shape[:3])
    mm = tuple(float(v) for v in image.header.get_zooms()[:3])
    rng = np.random.default_rng(1)
    for change, y, to in changes(x, mm, rng):
        file = change.replace(" ", "_").replace("%", "pc").replace(",", "")
        nib.save(nib.Nifti1Image(np.ascontiguousarray(y, dtype=np.float32),
                                 np.diag([*to, 1.0])), f"{out}/{file}__{name}.nii.gz")
    nib.save(nib.Nifti1Image(x, image.affine), f"{out}/uncompressed__{name}.nii")


if __name__ == "__main__":
    os.makedirs(sys.argv[3], exist_ok=True)
    main(*sys.argv[1:4])
