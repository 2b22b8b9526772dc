#!/usr/bin/env python3
"""Steps of the dense pretexts through a whole Swin UNETR, for tests/test_dense.c.

  golden_dense.py OUT.h5

Needs torch, monai and h5py.  Double precision; crops, boxes, masks and parameters come from
the hash of the other golden files (HACKING.md), names begin with the group's: "mae/x",
"mae/encoder1...".  Feature size 12, two crops of 64 x 32 x 32, patch merging in MONAI's
order of before 1.5.  A group has the loss, picked outputs, and norm, sum and picked
elements of every parameter's gradient.
"""
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from monai.networks.nets import swin_unetr

M = (1 << 64) - 1
SEED = 7
SIZE = (64, 32, 32)
ITEMS = 2
LEGACY = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1), (1, 1, 1)]


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


def picks(name, n, k):
    return np.minimum((unit(name + "#pick", k) * n).astype(np.int64), n - 1)


def parameter(name, shape):
    if name.endswith("relative_position_bias_table"):
        lo, hi = -0.5, 0.5
    elif len(shape) >= 2:
        hi = (3.0 / (np.prod(shape) / shape[0])) ** 0.5
        lo = -hi
    else:
        lo, hi = (-0.1, 0.1) if name.endswith("bias") else (0.8, 1.2)
    x = (lo + (hi - lo) * unit(name, int(np.prod(shape)))).astype(np.float32)
    return torch.from_numpy(x.astype(np.float64).reshape(shape))


def image(name):
    """Half a number for each voxel, half one for each block of 8^3, in single precision."""
    grid = [s // 8 for s in SIZE]
    b = unit(name + "#block", ITEMS * int(np.prod(grid))).reshape(ITEMS, *grid)
    for axis in (1, 2, 3):
        b = b.repeat(8, axis)
    x = (unit(name, ITEMS * int(np.prod(SIZE))).reshape(ITEMS, *SIZE) + b) / 2
    return torch.from_numpy(x.astype(np.float32).astype(np.float64))[:, None]


def legacy_merging(self, x):
    return self.reduction(self.norm(torch.cat([x[:, i::2, j::2, k::2] for i, j, k in LEGACY], -1)))


def step(h, group, x, outputs, loss):
    net = swin_unetr.SwinUNETR(in_channels=1, out_channels=outputs, feature_size=12,
                               use_v2=True).double()
    for name, p in net.state_dict().items():
        if p.dtype.is_floating_point:
            p.copy_(parameter("%s/%s" % (group, name), tuple(p.shape)))
    y = net(x)
    value = loss(y)
    value.backward()
    g = h.create_group(group)
    g.attrs["loss"] = value.item()
    flat = y.detach().numpy().ravel()
    g["index"] = picks(group + "/y", flat.size, 512).astype(np.int32)
    g["value"] = flat[g["index"][()]]
    names = ["%s/%s" % (group, n) for n, _ in net.named_parameters()]
    rows = []
    for name, (_, p) in zip(names, net.named_parameters()):
        v = p.grad.numpy().ravel()
        rows.append(np.concatenate([[np.linalg.norm(v), v.sum()], v[picks(name, v.size, 8)]]))
    g["grad_names"] = np.array(names, dtype="S")
    g["grad_rows"] = np.array(rows)
    return g


def masks():
    """The int(0.6 n) blocks of 16^3 with the smallest numbers are 0."""
    n = int(np.prod(SIZE)) // 4096
    m = np.ones((ITEMS, n))
    for i in range(ITEMS):
        m[i, np.argsort(unit("mae/mask/%d" % i, n), kind="stable")[:int(0.6 * n)]] = 0
    return m.reshape(ITEMS, *[s // 16 for s in SIZE])


def boxes(i, n):
    u = unit("fusion/boxes/%d" % i, n * 7).reshape(n, 7)
    size = np.array(SIZE)
    extent = 8 + (u[:, 3:6] * ((0.625 * size).astype(int) - 8 + 1)).astype(int)
    start = (u[:, :3] * (size - extent + 1)).astype(int)
    return np.concatenate([start, extent, (u[:, 6:] * 5).astype(int)], 1)


def main():
    h = h5py.File(sys.argv[1], "w")
    h.attrs["seed"] = SEED
    swin_unetr.PatchMerging.forward = legacy_merging

    x, m = image("mae/x"), masks()
    wide = torch.from_numpy(m.repeat(16, 1).repeat(16, 2).repeat(16, 3))[:, None]
    g = step(h, "mae", x * wide, 1, lambda y: ((y - x) ** 2 * (1 - wide)).sum() / (1 - wide).sum())
    g["mask"] = m.astype(np.uint8)

    paths = np.stack([boxes(i, 9) for i in range(ITEMS)])
    c = np.zeros((ITEMS,) + SIZE, int)
    for i in range(ITEMS):
        for a, b, e, p, q, r, k in paths[i]:
            c[i, a:a + p, b:b + q, e:e + r] = k
    t = torch.from_numpy(c)
    share = t[:, None] / 4.0
    hot = F.one_hot(t, 5).movedim(-1, 1).double()

    def fusion_loss(y):
        p = y.softmax(1)
        dice = (2 * (p * hot).sum((2, 3, 4)) + 1e-5) / ((p + hot).sum((2, 3, 4)) + 1e-5)
        return F.cross_entropy(y, t) - dice.mean()

    x = share * image("fusion/foreground") + (1 - share) * image("fusion/background")
    step(h, "fusion", x, 5, fusion_loss)["boxes"] = paths

    x = image("genesis/y")
    step(h, "genesis", image("genesis/x"), 1, lambda y: ((torch.sigmoid(y) - x) ** 2).mean())
    h.close()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
