#!/usr/bin/env python3
"""Makes the .pt files of tests/golden/pt; needs torch 2.

Usage: golden_pt.py OUTFOLDER

Element i of every tensor of floats is i / 4 - 1, of integers i - 1, so that any test can
compute what it should read.
"""
import argparse
import collections
import io
import pathlib
import sys
import zipfile

import torch


def floats(*shape, dtype=torch.float32):
    n = 1
    for d in shape:
        n *= d
    return (torch.arange(n, dtype=torch.float64) / 4 - 1).to(dtype).reshape(shape)


def repacked(value, change):
    """The archive of torch.save with entries changed: change(name, data) gives the new
    data, or None to leave the entry out."""
    buffer, out = io.BytesIO(), io.BytesIO()
    torch.save(value, buffer)
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            data = change(entry.filename, old.read(entry))
            if data is not None:
                new.writestr(zipfile.ZipInfo(entry.filename), data)
    return out.getvalue()


def version_1_6(name, data):
    later = (".format_version", ".storage_alignment", "byteorder", "serialization_id")
    return None if name.endswith(later) else data


def big_endian(name, data):
    return b"big" if name.endswith("byteorder") else data


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    weights = collections.OrderedDict(
        [("module.conv.weight", floats(2, 1, 2, 2, 2)), ("module.conv.bias", floats(2))])

    torch.save({"f32": floats(2, 3), "f64": floats(3, dtype=torch.float64),
                "f16": floats(5, dtype=torch.float16), "bf16": floats(2, 2, dtype=torch.bfloat16),
                "i64": torch.arange(4) - 1, "i32": torch.arange(4, dtype=torch.int32) - 1,
                "u8": torch.arange(1, 4, dtype=torch.uint8) - 1,
                "scalar": floats(1)[0], "empty": torch.zeros(0, 3),
                "parameter": torch.nn.Parameter(floats(3))}, out / "types.pt")

    base = floats(4, 6)
    torch.save({"base": base, "row": base[1], "column": base[:, 2], "transposed": base.t(),
                "block": base[1:3, 2:5], "step": base[::2, ::3],
                "permuted": floats(2, 3, 4).permute(2, 0, 1)}, out / "views.pt")

    torch.save({"epoch": 7, "best": 0.5, "names": ["a", "b"], "big": 1 << 80,
                "args": argparse.Namespace(lr=0.1, path=pathlib.PurePosixPath("/x")),
                "optimizer": {"state": {0: {"step": 3, "exp_avg": floats(2)}},
                              "param_groups": [{"lr": 0.1, "params": [0, 1]}]},
                "state_dict": weights}, out / "wrapped.pt")
    torch.save({"network_weights": {"net": weights}, "trainer_name": "x"}, out / "nested.pt")
    torch.save({"model_ema": weights, "step": 3}, out / "only.pt")
    torch.save(torch.nn.Linear(2, 2).state_dict(), out / "module.pt")
    torch.save(weights, out / "protocol4.pt", pickle_protocol=4)
    (out / "torch16.pt").write_bytes(repacked({"state_dict": weights}, version_1_6))
    (out / "big.pt").write_bytes(repacked(weights, big_endian))
    torch.save(weights, out / "before16.pt", _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    torch.save(weights, out / "nocrc.pt")


main()
