#!/usr/bin/env python3
"""How many directions the feature maps of a Swin UNETR (use_v2) span, with random and with given weights.

  feature_rank.py MODEL.safetensors VOLUME.nii.gz...

Needs torch, monai, safetensors, nibabel.  Of each volume nine crops of 64^3 go through the encoder of
MONAI's network of the file's feature size; printed is the effective rank of the channels over 20,000
voxels of all crops: exp of the entropy of the squared singular values, 1 to the number of channels.
CT window -175..250.
"""
import sys
import nibabel, numpy as np, torch
from monai.networks.nets import SwinUNETR
from safetensors.torch import load_file


def network(weights=None):
    patch = next(k for k in weights if k.endswith("swinViT.patch_embed.proj.weight"))
    prefix, width = patch[:-len("swinViT.patch_embed.proj.weight")], weights[patch].shape[0]
    torch.manual_seed(0)
    net = SwinUNETR(in_channels=1, out_channels=2, feature_size=width, use_v2=True).eval()
    return net, {k[len(prefix):]: v.float() for k, v in weights.items() if k.startswith(prefix)}


def crops(paths):
    for path in paths:
        v = np.clip((nibabel.load(path).get_fdata(dtype=np.float32) + 175) / 425, 0, 1)
        at = [[round(i * (n - 64) / 4) for i in (1, 2, 3)] for n in v.shape[:2]]
        for x in at[0]:
            for y in at[1]:
                yield torch.from_numpy(v[x:x + 64, y:y + 64, :64].copy())[None, None]


def effective_rank(maps):
    a = torch.cat([m.flatten(2)[0].T for m in maps]).double()
    a = a[torch.from_numpy(np.random.default_rng(0).choice(len(a), min(len(a), 20000), replace=False))]
    p = torch.linalg.svdvals(a - a.mean(0)) ** 2
    p = p[p > 0] / p.sum()
    return float(torch.exp(-(p * p.log()).sum()))


def maps(net, volumes):
    found = {}
    with torch.no_grad():
        for x in crops(volumes):
            hidden = net.swinViT(x, True)
            named = {"encoder1": net.encoder1(x), "encoder2": net.encoder2(hidden[0])}
            named.update((f"swinViT 1/{2 ** (i + 1)}", h) for i, h in enumerate(hidden))
            for name, m in named.items():
                found.setdefault(name, []).append(m)
    return found


def main():
    net, given = network(load_file(sys.argv[1]))
    random = maps(net, sys.argv[2:])
    left_out = net.load_state_dict(given, strict=False)
    encoder = [k for k in left_out.missing_keys if not k.startswith(("decoder", "out"))]
    if encoder:
        sys.exit(f"{sys.argv[1]}: lacks {encoder[0]} and {len(encoder) - 1} more of the encoder")
    trained = maps(net, sys.argv[2:])
    print("map\tchannels\trandom\tgiven weights")
    for name in random:
        print(f"{name}\t{random[name][0].shape[1]}\t{effective_rank(random[name]):.1f}\t"
              f"{effective_rank(trained[name]):.1f}")


if __name__ == "__main__":
    main()
