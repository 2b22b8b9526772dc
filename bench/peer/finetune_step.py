#!/usr/bin/env python3
"""A fine-tuning step in PyTorch + MONAI on a CPU, timed: the peer of `voco finetune seg`.

MONAI's SwinUNETR (use_v2), DiceCELoss without background, AdamW, the rate a cosine over
the steps; crops go through the network --group at a time and their gradients add up.
Prints one line of JSON.

    finetune_step.py --threads 2 --channels-last
    finetune_step.py --weights W.safetensors --image I.nii.gz --label L.nii.gz

With --weights, --image and --label losses and norms of gradients are those of voco; the
image has the size of a crop.  bench/compare-finetune.sh does that.
"""
import argparse
import math

import peer


def arguments():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    peer.add_options(p, lr=3e-4)
    p.add_argument("--crops", type=int, default=1, help="in a step")
    p.add_argument("--roi", type=int, default=96, help="edge of a crop")
    p.add_argument("--classes", type=int, default=14, help="with background")
    p.add_argument("--weights", metavar="FILE.safetensors",
                   help="start from these instead of random ones, and take feature size and "
                        "classes from them (needs safetensors)")
    p.add_argument("--image", metavar="FILE.nii.gz",
                   help="every crop is this volume in HU (needs nibabel)")
    p.add_argument("--label", metavar="FILE.nii.gz", help="and its label map")
    return p.parse_args()


args = arguments()
peer.restart(args)

import torch                                                            # noqa: E402
from monai.losses import DiceCELoss                                     # noqa: E402
from monai.networks.nets import SwinUNETR                               # noqa: E402


def make_network():
    if args.weights:
        from predict import load_network
        net = load_network(args.weights, **peer.network_options(args)).train()
        args.classes, args.feature_size = net.out.conv.conv.weight.shape[:2]
        return net
    return SwinUNETR(in_channels=1, out_channels=args.classes,
                     feature_size=args.feature_size, **peer.network_options(args))


def read_volume(path):
    import nibabel
    import numpy as np
    volume = nibabel.as_closest_canonical(nibabel.load(path)).get_fdata(dtype=np.float32)
    if volume.shape != (args.roi,) * 3:
        raise SystemExit(f"{path}: {volume.shape}, expected {args.roi} voxels on each axis")
    return torch.from_numpy(volume.copy())[None, None].repeat(args.crops, 1, 1, 1, 1)


def make_batch():
    """Crops [crops,1,roi,roi,roi] of 0 to 1 and labels of the same shape."""
    if args.image and args.label:
        return ((read_volume(args.image) + 175) / 425).clamp(0, 1), read_volume(args.label)
    generator = torch.Generator().manual_seed(1)
    shape = (args.crops, 1) + (args.roi,) * 3
    return (torch.rand(shape, generator=generator),
            torch.randint(0, args.classes, shape, generator=generator).float())


class Step:
    def __init__(self):
        self.net = make_network()
        self.x, self.label = make_batch()
        if args.channels_last:
            self.net.to(memory_format=torch.channels_last_3d)
            self.x = self.x.contiguous(memory_format=torch.channels_last_3d)
        self.run_network = torch.compile(self.net) if args.compile else self.net
        self.loss = DiceCELoss(include_background=False, to_onehot_y=True, softmax=True)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=args.lr,
                                           weight_decay=1e-5, fused=True)

    def run(self, rate):
        """Seconds by phase, loss, norm of the gradient."""
        clock, total = peer.Clock(), 0
        for i in range(0, args.crops, args.group):
            x, label = self.x[i:i + args.group], self.label[i:i + args.group]
            with clock("forward"):
                with peer.autocast(args):
                    logits = self.run_network(x)
                loss = self.loss(logits.float(), label) * (len(x) / args.crops)
            with clock("backward"):
                loss.backward()
            total += loss.item()
        norm = math.sqrt(sum(p.grad.square().sum().item() for p in self.net.parameters()))
        with clock("update"):
            for group in self.optimizer.param_groups:
                group["lr"] = args.lr * rate
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        return clock.seconds, total, norm


def main():
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    step, steps = Step(), args.warm_up + args.steps
    results = [step.run((1 + math.cos(math.pi * i / steps)) / 2) for i in range(steps)]
    timed = [seconds for seconds, _, _ in results[args.warm_up:]]
    peer.report(
        args, [sum(s.values()) for s in timed],
        crops=args.crops, roi=args.roi, classes=args.classes,
        parameters=sum(p.numel() for p in step.net.parameters()),
        forward=peer.median(timed, "forward"), backward=peer.median(timed, "backward"),
        update=peer.median(timed, "update"),
        loss=[loss for _, loss, _ in results], grad_norm=[norm for _, _, norm in results])


main()
