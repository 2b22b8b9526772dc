#!/usr/bin/env python3
"""Makes the .pt files of tests/golden/pt; needs torch.

Usage: golden_pt.py OUTFOLDER            all of them, with torch 2.12 or later
       golden_pt.py OUTFOLDER --every    NAME-VERSION.pt: those that every torch can write,
                                         by the one that runs this (from 1.6 on)

Element i of every tensor of floats is i / 4 - 1, of integers i - 1, so that any test can
compute what it should read.  All but before16.pt, which has addresses of memory in it, are
the same bytes each time.
"""
import argparse
import collections
import io
import pathlib
import shutil
import struct
import sys
import tempfile
import zipfile
import zlib

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


def zip64(value):
    """The archive of torch.save with every size and place in zip64 fields, as it has them
    where files are larger than 4 GiB."""
    buffer, local, central = io.BytesIO(), b"", b""
    torch.save(value, buffer)
    with zipfile.ZipFile(buffer) as old:
        entries = [(e.filename.encode(), old.read(e)) for e in old.infolist()]
    for name, data in entries:
        crc, n = zlib.crc32(data), len(data)
        common = struct.pack("<HHHHHIIIH", 45, 0, 0, 0, 33, crc, 0xFFFFFFFF, 0xFFFFFFFF,
                             len(name))
        place = len(local)
        local += (b"PK\3\4" + common + struct.pack("<H", 20) + name
                  + struct.pack("<HHQQ", 1, 16, n, n) + data)
        central += (b"PK\1\2" + struct.pack("<H", 45) + common
                    + struct.pack("<HHHHII", 28, 0, 0, 0, 0, 0xFFFFFFFF) + name
                    + struct.pack("<HHQQQ", 1, 24, n, n, place))
    n = len(entries)
    end = struct.pack("<4sQHHIIQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, n, n, len(central), len(local))
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, len(local) + len(central), 1)
    return (local + central + end + locator
            + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def version_1_6(name, data):
    later = (".format_version", ".storage_alignment", "byteorder", "serialization_id")
    return None if name.endswith(later) else data


def big_endian(name, data):
    return b"big" if name.endswith("byteorder") else data


weights = collections.OrderedDict(
    [("module.conv.weight", floats(2, 1, 2, 2, 2)), ("module.conv.bias", floats(2))])


def every_version(out):
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
    linear = torch.nn.Linear(2, 2)
    linear.load_state_dict({"weight": floats(2, 2), "bias": floats(2)})
    torch.save(linear.state_dict(), out / "module.pt")


def this_version(out):
    torch.save({"model_ema": weights, "step": 3}, out / "only.pt")
    torch.save(weights, out / "protocol4.pt", pickle_protocol=4)
    (out / "torch16.pt").write_bytes(repacked({"state_dict": weights}, version_1_6))
    (out / "zip64.pt").write_bytes(zip64(weights))
    (out / "big.pt").write_bytes(repacked(weights, big_endian))
    torch.save(weights, out / "before16.pt", _use_new_zipfile_serialization=False)
    torch.serialization.set_crc32_options(False)
    torch.save(weights, out / "nocrc.pt")


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    if sys.argv[2:] != ["--every"]:
        every_version(out)
        this_version(out)
        return
    with tempfile.TemporaryDirectory() as folder:       # the name of a file is written into it
        every_version(pathlib.Path(folder))
        for path in sorted(pathlib.Path(folder).iterdir()):
            version = torch.__version__.split("+")[0]
            shutil.copyfile(path, out / f"{path.stem}-{version}.pt")


main()
