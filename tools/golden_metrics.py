#!/usr/bin/env python3
"""tests/golden/metrics_small.h5: MONAI's segmentation metrics on small label maps.

  golden_metrics.py OUT.h5

Needs torch, monai, h5py, scipy.  A group per pair of label maps: `predicted`, `truth` (x y z, classes 0 to 4),
`mm` [3,1,1], `tolerance` [1,1,1] in mm, and per class from 1 on, [4,1,1] each: `dice` (DiceMetric), `hd95`
(compute_hausdorff_distance, percentile 95), `surface_dice` (compute_surface_dice).  Classes are smooth blobs, some
at the border of the volume, some without a prediction, some without truth, some in neither.
"""
import sys
import h5py, numpy as np, torch
from monai.metrics import DiceMetric, compute_hausdorff_distance, compute_surface_dice
from scipy.ndimage import gaussian_filter

CLASSES = 5
CASES = {
    # name: dim, mm, tolerance
    "cubic": ((24, 22, 20), (1, 1, 1), 1),
    "anisotropic": ((26, 21, 13), (0.7, 0.8, 2.5), 1),
    "coarse": ((9, 11, 7), (5, 4, 3), 5),
    "flat": ((30, 28, 1), (0.5, 0.5, 4), 0.5),
    "exact_tolerance": ((20, 20, 20), (1.5, 1.5, 1.5), 3),
    "tenths": ((18, 19, 17), (0.1, 0.3, 0.7), 0.3),
}


def blobs(rng, dim):
    noise = np.stack([gaussian_filter(rng.normal(size=dim), 2, mode="nearest") for _ in range(CLASSES)])
    noise[0] += 0.05
    return noise


def main():
    out, rng = h5py.File(sys.argv[1], "w", libver="latest"), np.random.default_rng(3)
    for k, (name, (dim, mm, tolerance)) in enumerate(CASES.items()):
        mm = tuple(map(float, mm))
        g, field = out.create_group(name), blobs(rng, dim)
        truth = field.argmax(0)
        predicted = (field + 0.6 * blobs(rng, dim)).argmax(0)
        predicted[predicted == 1 + k % 4] = 0
        truth[truth == 1 + (k + 1) % 4] = 0
        if k % 3 == 2:
            predicted[predicted == 1 + (k + 1) % 4] = 0
        hot = [torch.nn.functional.one_hot(torch.from_numpy(v), CLASSES).permute(3, 0, 1, 2)[None]
               for v in (predicted, truth)]
        dice = DiceMetric(include_background=False, reduction="none")(*hot)[0]
        hd95 = compute_hausdorff_distance(*hot, percentile=95, spacing=mm)[0]
        near = compute_surface_dice(*hot, class_thresholds=[tolerance] * (CLASSES - 1), spacing=mm)[0]
        g.create_dataset("predicted", data=predicted.astype(np.uint8))
        g.create_dataset("truth", data=truth.astype(np.uint8))
        g.create_dataset("mm", data=np.array(mm, dtype=np.float64)[:, None, None])
        g.create_dataset("tolerance", data=np.full((1, 1, 1), tolerance, dtype=np.float64))
        for key, value in (("dice", dice), ("hd95", hd95), ("surface_dice", near)):
            g.create_dataset(key, data=np.asarray(value, dtype=np.float32)[:, None, None])
        print(name, dice.numpy(), hd95.numpy(), near.numpy())


if __name__ == "__main__":
    main()
