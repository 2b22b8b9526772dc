#!/usr/bin/env python3
"""The same prediction in PyTorch and MONAI, on the clock, and how far voco's is from it.

  predict.py WEIGHTS.safetensors VOLUME OUT.nii.gz [--spacing 1.5] [--window LOW HIGH]
      [--roi 96] [--overlap 0.5] [--blend gaussian] [--batch 4] [--threads N]
      [--allocator keep|default]
      [--labels VOCO.nii.gz] [--probabilities VOCO_prob.nii.gz]

Transforms: RAS, spacing, window, foreground crop; sliding_window_inference; argmax; back to
the volume's own space (nearest).  --labels compares: Dice of each class.  --probabilities
compares logits, up to the constant of each voxel; wants a volume that the transforms
leave on its grid (--spacing 0, --window none).  Needs torch, monai, safetensors, nibabel.
"""
import argparse
import os
import resource
import time

import nibabel
import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.networks.nets import SwinUNETR
from monai.networks.nets import swin_unetr
from monai.transforms import (Compose, CropForegroundd, EnsureChannelFirstd, Invertd,
                              LoadImaged, Orientationd, ScaleIntensityRanged, Spacingd)
from safetensors import safe_open

import peer

LEGACY = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 0), (0, 0, 1),
          (1, 1, 1)]


def legacy_merging(self, x):
    _, d, h, w, _ = x.shape
    x = torch.nn.functional.pad(x, (0, 0, 0, w % 2, 0, h % 2, 0, d % 2))
    parts = [x[:, i::2, j::2, k::2] for i, j, k in LEGACY]
    return self.reduction(self.norm(torch.cat(parts, -1)))


def load_network(path, **options):
    with safe_open(path, "pt") as f:
        state = {k: f.get_tensor(k) for k in f.keys()}
        meta = f.metadata()
    if meta.get("voco.merging") == "legacy":
        swin_unetr.PatchMerging.forward = legacy_merging
    first, last = state["encoder1.layer.conv1.conv.weight"], state["out.conv.conv.weight"]
    net = SwinUNETR(in_channels=first.shape[1], out_channels=last.shape[0],
                    feature_size=first.shape[0],
                    **{"use_v2": "swinViT.layers1c.0.layer.conv1.conv.weight" in state,
                       **options})
    net.load_state_dict(state)
    return net.eval()


def transforms(a):
    k = dict(keys=["image"])
    chain = [LoadImaged(**k), EnsureChannelFirstd(**k), Orientationd(axcodes="RAS", **k)]
    if a.spacing > 0:
        chain.append(Spacingd(pixdim=(a.spacing,) * 3, mode="bilinear", **k))
    if a.window:
        chain += [ScaleIntensityRanged(a_min=a.window[0], a_max=a.window[1], b_min=0.0,
                                       b_max=1.0, clip=True, **k),
                  CropForegroundd(source_key="image", **k)]
    return Compose(chain)


def dice(a, b, classes):
    for c in range(classes):
        n = (a == c).sum() + (b == c).sum()
        print("class %d: Dice %.6f of %d voxels" % (c, 2 * ((a == c) & (b == c)).sum() / n
                                                    if n else float("nan"), (a == c).sum()))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("weights"), p.add_argument("volume"), p.add_argument("out")
    p.add_argument("--spacing", type=float, default=1.5)
    p.add_argument("--window", nargs="+", default=["-175", "250"])
    p.add_argument("--roi", type=int, default=96)
    p.add_argument("--overlap", type=float, default=0.5)
    p.add_argument("--blend", default="gaussian")
    p.add_argument("--batch", type=int, default=4)
    p.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    p.add_argument("--allocator", choices=("keep", "default"), default="keep")
    p.add_argument("--labels"), p.add_argument("--probabilities")
    a = p.parse_args()
    a.window = None if a.window == ["none"] else [float(x) for x in a.window]
    peer.restart(a)
    torch.set_num_threads(a.threads)

    start = time.time()
    net, chain = load_network(a.weights), transforms(a)
    data = chain({"image": a.volume})
    ready = time.time()
    with torch.inference_mode():
        logits = sliding_window_inference(data["image"][None], (a.roi,) * 3, a.batch, net,
                                          overlap=a.overlap, mode=a.blend)[0]
    done = time.time()
    data["pred"] = logits.argmax(0, keepdim=True)
    back = Invertd(keys="pred", transform=chain, orig_keys="image", nearest_interp=True,
                   to_tensor=True)
    labels = back(data)["pred"][0].numpy().astype(np.uint8)
    affine = nibabel.load(a.labels).affine if a.labels else np.eye(4)
    nibabel.save(nibabel.Nifti1Image(labels, affine), a.out)
    print("monai: %.1f s before, %.1f s windows, %.1f s in all, %.0f MiB at the peak" % (
        ready - start, done - ready, time.time() - start,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))

    if a.labels:
        ours = np.asarray(nibabel.load(a.labels).dataobj)
        if ours.shape != labels.shape:
            raise SystemExit("shapes differ: %s and %s" % (ours.shape, labels.shape))
        dice(labels, ours, logits.shape[0])
        print("voxels that differ: %d of %d" % ((ours != labels).sum(), labels.size))
    if a.probabilities:
        ours = np.asarray(nibabel.load(a.probabilities).dataobj).astype(np.float64)
        want = np.moveaxis(logits.numpy().astype(np.float64), 0, -1)
        image = nibabel.load(a.volume)
        if nibabel.aff2axcodes(image.affine) != ("R", "A", "S"):
            turn = nibabel.orientations.ornt_transform(
                nibabel.io_orientation(np.diag([1, 1, 1, 1])),
                nibabel.io_orientation(image.affine))
            want = nibabel.orientations.apply_orientation(want, turn)
        got = np.log(ours)
        off = np.abs((got - got[..., :1]) - (want - want[..., :1]))
        print("logits: largest difference %.2e, mean %.2e, of a range %.2f" % (
            off.max(), off.mean(), want.max() - want.min()))


if __name__ == "__main__":
    main()
