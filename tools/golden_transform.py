#!/usr/bin/env python3
"""tests/golden/transform_small.h5: MONAI's transforms on small volumes with awkward grids.

  golden_transform.py OUT.h5

Needs torch, monai, h5py.  One group per case: attributes `affine` (4x4, RAS) and `mm`; dataset
`voxel` (x y z, integers), then stage by stage the result with its affine as attribute: orient,
spacing (linear), crop (after the window -175..250), crop_multiple (widened to multiples of 4x3x8), resize
(of crop, to 13x6x8); and nearest, the spacing step with nearest neighbours instead.  The affine after resize is left out: its definition changed in
MONAI 1.6.
"""
import sys
import h5py, numpy as np, torch
from monai.data import MetaTensor
from monai.transforms import CropForeground, Orientation, Resize, ScaleIntensityRange, Spacing


def rotation(axis, degrees):
    a, r = np.radians(degrees), np.eye(3)
    i, j = [k for k in range(3) if k != axis]
    r[i, i] = r[j, j] = np.cos(a)
    r[i, j], r[j, i] = -np.sin(a), np.sin(a)
    return r


def affine(linear, origin):
    m = np.eye(4)
    m[:3, :3], m[:3, 3] = linear, origin
    return m


SHEAR = np.array([[1, 0, 0], [0, 1, 0.2871], [0, 0, 1]])
COARSE = np.array([[0, 0, 1.0], [1, 0, 0], [0, 1, 0]])
# Numbers such that no sample lies halfway between two voxels: there, rounding noise picks the nearest.
CASES = {
    # name: dim, linear part, wanted spacing
    "ras_down": ((13, 11, 9), np.diag([.7, .7, .9]), (1.5, 1.5, 1.5)),
    "ras_up": ((6, 7, 5), np.diag([2., 2, 5]), (1.3, 1.3, 1.7)),
    "lps_mixed": ((11, 9, 7), np.diag([-.83, -.83, 2.6]), (1.5, 1.5, 1.5)),
    "permuted": ((6, 12, 9), COARSE @ np.diag([1.21, -.9, 3.1]), (1.5, 1.5, 1.5)),
    "permuted_back": ((8, 5, 10), np.diag([1, -1, 1.]) @ COARSE.T @ np.diag([2.1, .83, -1.1]), (1, 1, 1)),
    "oblique": ((9, 8, 7), rotation(0, 20) @ rotation(2, -13) @ np.diag([-.9, 1.1, 3]), (1.25, 1.25, 5)),
    "oblique_steep": ((8, 9, 10), rotation(1, 44) @ rotation(0, 50) @ np.diag([1, 1.1, 1.63]), (1.4, 1.4, 1.4)),
    "gantry_tilt": ((10, 9, 8), SHEAR @ np.diag([-.9, -.9, 2.1]), (1.5, 1.5, 1.5)),
    "gantry_tilt_back": ((10, 9, 8), SHEAR.T @ np.diag([.9, -.9, 2.1]), (1, 1.2, 1.5)),
    "one_slice": ((12, 10, 1), np.diag([-.55, .55, 4.]), (1.25, 1.25, 5)),
    "near_enough": ((7, 6, 5), np.diag([1.4995, 1.5, 1.5004]), (1.5, 1.5, 1.5)),
    "one_axis_near": ((7, 6, 5), np.diag([1.4995, .75, 1.5004]), (1.5, 1.5, 1.5)),
    "keep_z": ((9, 8, 6), np.diag([.6, .7, 2.2]), (1., 1., 0.)),
    "to_one_voxel": ((3, 9, 6), np.diag([.4, 1, 1.]), (3, 1.31, .71)),
}


MULTIPLE = (4, 3, 8)


def store(group, name, data, dtype, with_affine=True):
    d = group.create_dataset(name, data=np.asarray(data[0], dtype=dtype))
    if with_affine:
        d.attrs["affine"] = np.asarray(data.affine, dtype=np.float64)
    return data


def main():
    out, rng = h5py.File(sys.argv[1], "w", libver="latest"), np.random.default_rng(5)
    for name, (dim, linear, mm) in CASES.items():
        g, m = out.create_group(name), affine(linear, rng.uniform(-90, 90, 3))
        v = np.rint(rng.normal(40, 150, dim))
        v[:2 if dim[0] > 3 else 0], v[:, -1:] = -1000, -1000     # air that the crop takes away
        g.attrs["affine"], g.attrs["mm"] = m, mm
        g.create_dataset("voxel", data=v.astype(np.int16))
        x = MetaTensor(torch.from_numpy(v.astype(np.float32))[None], affine=torch.from_numpy(m))
        x = Orientation("RAS", labels=(("L", "R"), ("P", "A"), ("I", "S")))(x)
        store(g, "orient", x, np.int16)
        store(g, "nearest", Spacing(mm, mode="nearest")(x), np.int16)
        x = store(g, "spacing", Spacing(mm, mode="bilinear")(x), np.float32)
        x = ScaleIntensityRange(-175, 250, 0, 1, clip=True)(x)
        store(g, "crop_multiple", CropForeground(k_divisible=MULTIPLE)(x), np.float32)
        x = store(g, "crop", CropForeground()(x), np.float32)
        store(g, "resize", Resize((13, 6, 8), mode="trilinear", align_corners=True)(x), np.float32, False)


if __name__ == "__main__":
    main()
