#!/usr/bin/env python3
"""One VoCo pre-training step in PyTorch + MONAI on a CPU, timed: the peer of `voco pretrain`.

The backbone is MONAI's SwinUNETR (use_v2) without its decoder; heads, losses and the
step are written here after the method's description.  Prints one line of JSON.

    pretrain_step.py --feature-size 48 --batch 4 --threads 2 --channels-last

No two crops meet inside the backbone, so the step goes over groups of crops: embed all,
heads and losses and their backward, then each group again, forward and backward.  The
activations of the last --keep groups are kept, which saves their second forward; with
--keep all this is the ordinary joint step.  Either way the gradient is the joint one.
"""
import argparse
import json
import sys

import peer

BASES, ROI = 9, 64


def arguments():
    p = argparse.ArgumentParser(description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    peer.add_options(p, lr=1e-4)
    p.add_argument("--batch", type=int, default=4, help="volumes in a step")
    p.add_argument("--sw", type=int, default=2, help="random crops of a volume")
    p.add_argument("--keep", default="0", help="groups whose activations are kept, or all")
    p.add_argument("--crops", type=int, default=0, metavar="K",
                   help="run the backbone on K crops only and scale its time to all; "
                        "0: all crops, nothing is scaled")
    p.add_argument("--hash", type=int, metavar="SEED",
                   help="parameters and batch from the hash stream of the reference "
                        "numbers instead of random ones")
    p.add_argument("--replay", metavar="FILE.h5",
                   help="the batch of voco pretrain --replay FILE.h5 instead (needs h5py)")
    p.add_argument("--metrics", metavar="FILE.jsonl",
                   help="a line for every step, as voco's metrics.jsonl: voco plot draws it")
    return p.parse_args()


args = arguments()
peer.restart(args)

import torch                                                            # noqa: E402
from monai.networks.nets import SwinUNETR                               # noqa: E402
from torch import nn                                                    # noqa: E402


class Backbone(nn.Module):
    """[n,1,64,64,64] -> [n, 24f]: global average pools of five of the encoder's maps."""

    def __init__(self):
        super().__init__()
        self.net = SwinUNETR(in_channels=1, out_channels=1, feature_size=args.feature_size,
                             **peer.network_options(args))
        for name in ("decoder5", "decoder4", "decoder3", "decoder2", "decoder1", "out"):
            delattr(self.net, name)

    def forward(self, x):
        net = self.net
        hidden = net.swinViT(x, net.normalize)
        maps = (net.encoder1(x), net.encoder2(hidden[0]), net.encoder3(hidden[1]),
                net.encoder4(hidden[2]), net.encoder10(hidden[4]))
        return torch.cat([m.float().mean((2, 3, 4)) for m in maps], 1)


class Head(nn.Module):
    def __init__(self, width, hidden=1024):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Linear(width, hidden), self.norm(hidden), nn.ReLU())
        self.layer2 = nn.Sequential(nn.Linear(hidden, hidden), self.norm(hidden), nn.ReLU())
        self.layer3 = nn.Sequential(nn.Linear(hidden, hidden))

    @staticmethod
    def norm(width):
        return nn.BatchNorm1d(width, affine=False, track_running_stats=False)

    def forward(self, x):
        return self.layer3(self.layer2(self.layer1(x)))


def similarity(a, b):
    """ReLU of the cosine of every row of a with every row of b."""
    a, b = nn.functional.normalize(a, dim=1), nn.functional.normalize(b, dim=1)
    return torch.relu(a @ b.T)


def weighted_entropy(truth, p):
    near = -truth * torch.log(1 - (truth - p).abs() + 1e-6)
    empty = (truth == 0).to(p.dtype)
    far = -empty * torch.log(1 - p + 1e-6)
    return near.sum() / (truth.sum() + 1e-6) + far.sum() / (empty.sum() + 1e-6)


def contrast(student, teacher, labels):
    """intra, inter, reg; rows are all random crops, then all base crops."""
    volumes, sw = labels.shape[:2]
    split = [sw] * volumes + [BASES] * volumes
    s, t = student.float().split(split), teacher.float().split(split)
    pairs = torch.triu_indices(BASES, BASES, 1)
    intra = inter = reg = 0
    for i in range(volumes):
        j = (i + 1) % volumes
        target = similarity(t[i], t[volumes + j])
        intra += weighted_entropy(labels[i], similarity(s[i], t[volumes + i]))
        inter += weighted_entropy(target, similarity(s[i], s[volumes + j]))
        bases = s[volumes + i]
        reg += (similarity(bases, bases.detach())[pairs[0], pairs[1]] ** 2).mean()
    return intra / volumes, inter / volumes, reg / volumes


# ---- where the numbers come from ----

def hash_unit(seed, name, n):
    """Elements 0..n-1 of the hash stream of (seed, name), in [0,1)."""
    import numpy as np
    base = 0xCBF29CE484222325
    for byte in name.encode():
        base = (base ^ byte) * 0x100000001B3 % 2**64
    base = (base + seed * 0xD1342543DE82EF95) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(base) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return torch.from_numpy((z >> np.uint64(40)).astype(np.float64) / 2**24)


def hash_parameter(seed, name, shape):
    fan = torch.Size(shape[1:]).numel()
    wide = (3 / fan) ** 0.5
    low, high = ((-0.5, 0.5) if name.endswith("relative_position_bias_table") else
                 (-wide, wide) if len(shape) >= 2 else
                 (-0.1, 0.1) if name.endswith("bias") else (0.8, 1.2))
    u = hash_unit(seed, name, torch.Size(shape).numel())
    return (low + (high - low) * u).float().view(shape)


def make_batch(seed, volumes, sw, steps):
    """Crops [rows,1,64,64,64], labels [volumes,sw,9], kept rows [steps,rows]."""
    rows = volumes * (sw + BASES)
    if seed is None:
        generator = torch.Generator().manual_seed(1)
        x = torch.rand(rows, 1, ROI, ROI, ROI, generator=generator)
        center = torch.randint(32, 160, (volumes * sw, 2), generator=generator)
        keep = torch.rand(steps, rows, generator=generator) >= 0.2
    else:
        x = torch.cat([hash_unit(seed, name, n * ROI**3).float().view(n, 1, ROI, ROI, ROI)
                       for name, n in (("img", volumes * sw), ("crops", volumes * BASES))])
        u = hash_unit(seed, "centers", volumes * sw * 2)
        center = (32 + u * 128).floor().long().view(-1, 2)
        keep = (hash_unit(seed, "keep", steps * rows) >= 0.2).view(steps, rows)
    start = torch.arange(3) * ROI
    overlap = (ROI - (center[:, :, None] - ROI // 2 - start).abs()).clamp(min=0) / ROI
    labels = overlap[:, 0, :, None] * overlap[:, 1, None, :]
    return x, labels.view(volumes, sw, BASES), keep


def read_batch(path, steps):
    """The same from a file; without `keep` in it, all rows are kept."""
    import h5py
    with h5py.File(path) as f:
        x = torch.cat([torch.from_numpy(f[name][:]).float() for name in ("img", "crops")])
        labels = torch.from_numpy(f["labels"][:]).float()
        keep = (torch.from_numpy(f["keep"][:]) > 0 if "keep" in f
                else torch.ones(steps, len(x), dtype=torch.bool))
    if len(keep) < steps:
        sys.exit(f"{path}: keep has {len(keep)} rows, {steps} steps need one each")
    return x, labels, keep


# ---- the step ----

class Step:
    def __init__(self):
        width = 24 * args.feature_size
        self.model = nn.Module()
        self.model.backbone = Backbone()
        self.model.student, self.model.teacher = Head(width), Head(width)
        steps = args.warm_up + args.steps
        self.x, self.labels, self.row_keep = (
            read_batch(args.replay, steps) if args.replay
            else make_batch(args.hash, args.batch, args.sw, steps))
        if args.hash is not None:
            for name, p in self.model.named_parameters():
                name = name.replace("backbone.net.", "backbone.")
                p.data.copy_(hash_parameter(args.hash, name, tuple(p.shape)))
        if args.channels_last:
            self.model.backbone.to(memory_format=torch.channels_last_3d)
            self.x = self.x.contiguous(memory_format=torch.channels_last_3d)
        self.embed = torch.compile(self.model.backbone) if args.compile else self.model.backbone
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=args.lr, amsgrad=True,
                                           weight_decay=0.01, fused=True)
        self.crops = args.crops or len(self.x)
        self.groups = [slice(i, min(i + args.group, self.crops))
                       for i in range(0, self.crops, args.group)]
        kept = len(self.groups) if args.keep == "all" else int(args.keep)
        self.first_kept = max(len(self.groups) - kept, 0)

    def run(self, number):
        """Seconds by phase and the loss's terms."""
        clock, graphs, parts = peer.Clock(), {}, []
        with clock("forward"), peer.autocast(args):
            for g, crops in enumerate(self.groups):
                with torch.set_grad_enabled(g >= self.first_kept):
                    e = self.embed(self.x[crops])
                if g >= self.first_kept:
                    graphs[g] = e
                parts.append(e.detach())
        with clock("head"):
            embeddings = torch.cat(parts)
            times = -(-len(self.x) // self.crops)       # with --crops rows stand in for others
            embeddings = embeddings.repeat(times, 1)[:len(self.x)].requires_grad_()
            terms = self.contrast(embeddings, self.row_keep[number])
            self.optimizer.zero_grad(set_to_none=True)
            sum(terms).backward()
        for g in reversed(range(len(self.groups))):
            crops = self.groups[g]
            if g not in graphs:
                with clock("forward_again"), peer.autocast(args):
                    graphs[g] = self.embed(self.x[crops])
            with clock("backward"):
                graphs.pop(g).backward(embeddings.grad[crops])
        with clock("update"):
            self.optimizer.step()
        return clock.seconds, [float(t.detach()) for t in terms]

    def contrast(self, embeddings, keep):
        m = self.model
        with peer.autocast(args):
            student = m.student(embeddings * (keep.float() / 0.8)[:, None])
            with torch.no_grad():
                for t, s in zip(m.teacher.parameters(), m.student.parameters()):
                    t.mul_(0.9).add_(s, alpha=0.1)
                teacher = m.teacher(embeddings)
        return contrast(student, teacher, self.labels)


def whole_step(seconds, scale):
    return sum(s * (1 if name in ("head", "update") else scale)
               for name, s in seconds.items())


def write_metrics(i, seconds, terms):
    row = dict(zip(("intra", "inter", "reg"), terms), loss=sum(terms), lr=args.lr,
               seconds=sum(seconds.values()), step=i)
    with open(args.metrics, "a" if i else "w") as out:
        out.write(json.dumps(row) + "\n")


def main():
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    step = Step()
    scale = len(step.x) / step.crops
    results = []
    for i in range(args.warm_up + args.steps):
        results.append(step.run(i))
        if args.metrics:
            write_metrics(i, *results[-1])
    timed = [seconds for seconds, _ in results[args.warm_up:]]
    passes = len(step.x) / scale

    again = sum(step.groups[g].stop - step.groups[g].start for g in range(step.first_kept))
    peer.report(
        args, [whole_step(s, scale) for s in timed],
        batch=args.batch, sw=args.sw, crops=len(step.x), crops_run=step.crops,
        scaled=scale != 1, groups_kept=len(step.groups) - step.first_kept,
        groups=len(step.groups),
        forward_per_crop=peer.median(timed, "forward", "forward_again") / (passes + again),
        backward_per_crop=peer.median(timed, "backward") / passes,
        head=peer.median(timed, "head"), update=peer.median(timed, "update"),
        intra_inter_reg=[terms for _, terms in results])


main()
