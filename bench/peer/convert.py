#!/usr/bin/env python3
"""The transforms of `voco convert --preset abdomen` or `mr` in MONAI, on one core.

Prints one line of JSON: seconds of each volume, the least of the rounds, without the import
of the libraries and without writing anything; versions.

usage: convert.py --preset abdomen|mr [--rounds N] VOLUME...
"""
import argparse
import json
import time

import monai
import torch
from monai import transforms as t

parser = argparse.ArgumentParser()
parser.add_argument("--preset", choices=["abdomen", "mr"], required=True)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("volume", nargs="+")
args = parser.parse_args()

torch.set_num_threads(1)
if args.preset == "mr":
    spacing = 1.0
    scale = t.ScaleIntensityRangePercentilesd("image", 0.5, 99.5, 0, 1, clip=True)
else:
    spacing = 1.5
    scale = t.ScaleIntensityRanged("image", -175, 250, 0, 1, clip=True)
transform = t.Compose([
    t.LoadImaged("image", ensure_channel_first=True),
    t.Orientationd("image", axcodes="RAS"),
    t.Spacingd("image", pixdim=[spacing] * 3, mode="bilinear"),
    scale,
    t.CropForegroundd("image", source_key="image"),
    t.SpatialPadd("image", [192, 192, 64]),
])
seconds, shapes = {}, {}
for path in args.volume:
    for _ in range(args.rounds):
        start = time.perf_counter()
        image = transform({"image": path})["image"]
        spent = time.perf_counter() - start
        seconds[path] = min(seconds.get(path, spent), spent)
    shapes[path] = list(image.shape[1:])
print(json.dumps({"seconds": sum(seconds.values()), "each": list(seconds.values()),
                  "shapes": list(shapes.values()), "torch": torch.__version__,
                  "monai": monai.__version__}))
