#!/usr/bin/env python3
"""tests/golden/labels_small.h5: MONAI's transforms of images with label maps.

  golden_labels.py OUT.h5

Needs torch, monai, h5py.  One group per grid of golden_transform.py: `affine` (4x4, RAS) and
`mm`, `image0`, `image1` (two channels, integers) and `label`, then the result of two chains, both
with Orientation, CropForeground of the image and SpatialPad to 14x12x10: ct (channel 0 only, Spacing, bilinear
and for the label nearest, ScaleIntensityRange -175..250) and mr (both channels, no Spacing, which would make
rounding noise of zeros, NormalizeIntensity(nonzero, channel_wise)), as `ct_image`, `ct_label`, `mr_image0`, `mr_image1`, `mr_label`.
"""
import sys
import h5py, numpy as np, torch
from monai.data import MetaTensor
from monai.transforms import (Compose, CropForegroundd, NormalizeIntensityd, Orientationd, ScaleIntensityRanged,
                              Spacingd, SpatialPadd)
from golden_transform import CASES, affine


def chain(*middle):
    keys = ("image", "label")
    return Compose([Orientationd(keys, "RAS", labels=(("L", "R"), ("P", "A"), ("I", "S"))),
                    *middle,
                    CropForegroundd(keys, source_key="image"), SpatialPadd(keys, (14, 12, 10))])


def main():
    out, rng = h5py.File(sys.argv[1], "w", libver="latest"), np.random.default_rng(11)
    ct = ScaleIntensityRanged("image", -175, 250, 0, 1, clip=True)
    mr = NormalizeIntensityd("image", nonzero=True, channel_wise=True)
    for name, (dim, linear, mm) in CASES.items():
        g, m = out.create_group(name), affine(linear, rng.uniform(-90, 90, 3)).astype(np.float32).astype(float)
        v = np.rint(rng.normal(40, 150, (2,) + dim)) 
        v[0, :2 if dim[0] > 3 else 0], v[:, :, -1:] = -1000, 0  # air, and nothing
        v[1, -1:] = 0
        label = rng.integers(0, 5, (1,) + dim)
        g.create_dataset("affine", data=m[:, :, None])
        g.create_dataset("mm", data=np.array(mm)[:, None, None])
        for i in range(2):
            g.create_dataset(f"image{i}", data=v[i].astype(np.int16))
        g.create_dataset("label", data=label[0].astype(np.uint8))
        spacing = Spacingd(("image", "label"), mm, mode=("bilinear", "nearest"))
        for kind, middle, n in (("ct", (spacing, ct), 1), ("mr", (mr,), 2)):
            d = {"image": MetaTensor(torch.from_numpy(v[:n].astype(np.float32)), affine=torch.from_numpy(m)),
                 "label": MetaTensor(torch.from_numpy(label.astype(np.float32)), affine=torch.from_numpy(m))}
            d = chain(*middle)(d)
            for i in range(n):
                g.create_dataset(f"{kind}_image{i if n > 1 else ''}", data=d["image"][i].numpy())
            g.create_dataset(f"{kind}_label", data=d["label"][0].numpy().astype(np.uint8))


if __name__ == "__main__":
    main()
