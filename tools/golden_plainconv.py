#!/usr/bin/env python3
"""Outputs and gradients of nnU-Net's PlainConvUNet, for tests/test_plainconv.c.

  golden_plainconv.py OUT.h5

Needs torch, h5py, dynamic-network-architectures.  Double precision; the image, the
parameters and the gradients of the outputs come from the hash of the other golden files
(HACKING.md).
"""
import sys

import h5py
import numpy as np
import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from torch import nn

M = (1 << 64) - 1
SEED = 17
NETS = {    # items, size, channels, classes, widths, kernels, strides, convs, up convs
    "cube": (2, (16, 8, 12), 1, 3, [4, 8, 12], [[3, 3, 3]] * 3,
             [[1, 1, 1], [2, 2, 2], [2, 2, 2]], [2, 2, 2], [2, 2]),
    "thick": (1, (6, 16, 24), 2, 4, [4, 6, 8, 8], [[1, 3, 3], [1, 3, 3], [3, 3, 3], [3, 3, 3]],
              [[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2]], [1, 2, 3, 2], [2, 1, 3]),
}


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


def uniform(name, shape, lo, hi):
    """As voco_hash_uniform: rounded to single precision."""
    x = (lo + (hi - lo) * unit(name, int(np.prod(shape)))).astype(np.float32)
    return torch.from_numpy(x.astype(np.float64).reshape(shape))


def parameter(group, name, shape):
    if len(shape) >= 2:
        a = (3.0 / (np.prod(shape) / shape[0])) ** 0.5
        return uniform("%s/%s" % (group, name), shape, -a, a)
    lo, hi = (-0.1, 0.1) if name.endswith("bias") else (0.8, 1.2)
    return uniform("%s/%s" % (group, name), shape, lo, hi)


def is_copy(name):
    return name.startswith("decoder.encoder.") or ".all_modules." in name


def main():
    h = h5py.File(sys.argv[1], "w")
    h.attrs["seed"] = SEED
    for group, (n, size, cin, classes, widths, kernels, strides, convs, up) in NETS.items():
        net = PlainConvUNet(cin, len(widths), widths, nn.Conv3d, kernels, strides, convs, classes,
                            up[::-1], conv_bias=True, norm_op=nn.InstanceNorm3d,
                            norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU,
                            nonlin_kwargs={"inplace": True}, deep_supervision=True).double()
        state = net.state_dict()
        for name, p in state.items():
            if not is_copy(name):
                p.copy_(parameter(group, name, tuple(p.shape)))
        x = uniform("%s/x0" % group, (n, cin) + size, -1, 1).requires_grad_()
        y = net(x)
        g = h.create_group(group)
        for i, yi in enumerate(y):
            g["y%d" % i] = yi.detach().numpy()
        dy = [uniform("%s/dy%d" % (group, i), tuple(yi.shape), -1, 1) for i, yi in enumerate(y)]
        torch.autograd.backward(y, dy)
        g["dx0"] = x.grad.numpy()
        for name, p in net.named_parameters():      # each once, by the first of its names
            if name.startswith("encoder.") or not is_copy(name):
                g["grad/" + name] = p.grad.numpy()
        g.attrs["parameters"] = sum(p.numel() for p in net.parameters())


if __name__ == "__main__":
    main()
