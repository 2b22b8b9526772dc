#!/usr/bin/env python3
"""Losses of rows, rotation, upsampling, SGD and rates from PyTorch, for
tests/test_golden_entries.c.

  golden_entries.py OUT.h5

Needs torch, h5py.  In double, with inputs from the hash of the other golden files (HACKING.md):
GROUP/x0 is the input, whose shape is an attribute, GROUP/dy the gradient of y.
"""
import sys

import h5py
import numpy as np
import torch
import torch.nn.functional as F

from golden_sliding import SEED, unit

torch.set_default_dtype(torch.float64)


def uniform(name, shape, lo, hi):
    u = unit(name, int(np.prod(shape)))
    return torch.from_numpy((lo + (hi - lo) * u).astype(np.float32).astype(np.float64).reshape(shape))


def group(h, name, f, shape, lo=-1, hi=1):
    """y = f(x0), and x0's gradient for dy."""
    x = uniform(name + "/x0", shape, lo, hi).requires_grad_()
    y = f(x)
    y.backward(uniform(name + "/dy", tuple(y.shape) or (1,), -1, 1).reshape(y.shape))
    g = h.create_group(name)
    g.attrs["x0_shape"] = shape
    g["y"] = y.detach().reshape(tuple(y.shape) or (1,)).numpy()
    g["dx0"] = x.grad.numpy()


def over_items(loss, *tensors):
    return torch.stack([loss(*t) for t in zip(*tensors)]).mean()


def cross_entropies(h):
    n, rows, c = 3, 9, 5
    label = (uniform("ce/labels", (n, rows), 0, 1) * (c + 1)).floor().long() - 1
    one = lambda x, t: F.cross_entropy(x / 0.4, t, ignore_index=-1)
    group(h, "softmax_ce", lambda x: over_items(one, x, label), (n, rows, c), -2, 2)
    share = uniform("ce/shares", (n, rows, c), 0, 1)
    share = share / share.sum(2, keepdim=True)
    h["ce_shares"] = share
    group(h, "softmax_ce_soft", lambda x: over_items(one, x, share), (n, rows, c), -2, 2)
    positive = (torch.arange(rows) + 4) % rows          # of each row's similarities to all rows
    self = torch.eye(rows, dtype=torch.bool)
    group(h, "softmax_ce_self", lambda x: over_items(
        lambda s: one(s.masked_fill(self, -torch.inf), positive), x), (n, rows, rows), -2, 2)


def errors(h):
    shape = (3, 20, 2)
    t = uniform("error/target", shape, -1, 1)
    mask = (uniform("error/mask", shape[:2], 0, 1) > 0.4)
    mean = lambda f: lambda x, y, m: f(x[m], y[m])
    group(h, "masked_l1", lambda x: over_items(mean(F.l1_loss), x, t, mask), shape)
    group(h, "masked_l2", lambda x: over_items(mean(F.mse_loss), x, t, mask), shape)


def optimizers(h):
    for name, o in (("sgd_nesterov", dict(momentum=.99, nesterov=True, weight_decay=3e-5)),
                    ("sgd_momentum", dict(momentum=.9, weight_decay=1e-2)),
                    ("sgd", dict(weight_decay=1e-2)), ("sgd_clipped", dict())):
        p = torch.nn.Parameter(uniform("opt/p", (32,), -1, 1))
        sgd = torch.optim.SGD([p], lr=1e-2, **o)
        h[name] = np.zeros((6, 32))
        for s in range(6):
            p.grad = uniform("opt/g%d" % s, (32,), -1, 1)
            if name == "sgd_clipped":
                torch.nn.utils.clip_grad_norm_([p], 0.5 + 0.8 * s)
            sgd.step()
            h[name][s] = p.detach()


def rates(h):
    p = torch.nn.Parameter(torch.zeros(1))
    sgd = torch.optim.SGD([p], lr=1.)
    poly = torch.optim.lr_scheduler.PolynomialLR(sgd, total_iters=30, power=0.9)
    h["poly"] = np.zeros(31)
    for s in range(31):
        h["poly"][s] = poly.get_last_lr()[0]
        sgd.step()
        poly.step()


def main():
    h = h5py.File(sys.argv[1], "w")
    h.attrs["seed"] = SEED
    cross_entropies(h)
    errors(h)
    group(h, "l2norm", lambda x: F.normalize(x, dim=1), (6, 17))
    group(h, "sigmoid", torch.sigmoid, (6, 17), -9, 9)
    group(h, "upsample", lambda x: F.interpolate(x, scale_factor=2, mode="trilinear",
                                                 align_corners=False), (2, 3, 3, 1, 4))
    g = h.create_group("rotate")
    g.attrs["x0_shape"] = (1, 2, 3, 4, 5)
    x = uniform("rotate/x0", (1, 2, 3, 4, 5), -1, 1)
    for a, b in ((1, 2), (2, 3), (3, 1)):
        for k in range(4):                              # torch's axes have c in front
            g["y%d%d%d" % (a, b, k)] = np.rot90(x.numpy(), k, (a + 1, b + 1))
    optimizers(h)
    rates(h)


if __name__ == "__main__":
    main()
