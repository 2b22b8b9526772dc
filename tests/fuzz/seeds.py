#!/usr/bin/env python3
"""seeds.py VOCO FOLDER: small valid inputs of the fuzz targets, FOLDER/TARGET/NAME.

Needs only Python's library; VOCO is the program, which makes the stores.  `campaign.sh` reads
the folder beside the corpora; what a merge keeps of it is in tests/fuzz/corpus.
"""
import glob
import gzip
import json
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import zlib

voco, out = os.path.abspath(sys.argv[1]), sys.argv[2]
top = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def seed(target, name, data):
    folder = os.path.join(out, target)
    os.makedirs(folder, exist_ok=True)
    if isinstance(data, (dict, list)):
        data = json.dumps(data)
    if isinstance(data, str):
        data = data.encode()
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def read(path):
    with open(path, "rb") as f:
        return f.read()


# ---- images ----

def nifti1(order="<", datatype=4, bitpix=16, dim=(3, 3, 2, 2, 1, 1, 1, 1), magic=b"n+1\0",
           sform=1, qform=0, offset=352.0, slope=1.0, units=2):
    h = bytearray(348)
    struct.pack_into(order + "i", h, 0, 348)
    struct.pack_into(order + "8h", h, 40, *dim)
    struct.pack_into(order + "2h", h, 70, datatype, bitpix)
    struct.pack_into(order + "8f", h, 76, 1, 1, 2, 3, 1, 1, 1, 1)
    struct.pack_into(order + "3f", h, 108, offset, slope, 0)
    h[123] = units
    struct.pack_into(order + "2h", h, 252, qform, sform)
    struct.pack_into(order + "6f", h, 256, 0, 0, 1, 4, 5, 6)
    struct.pack_into(order + "12f", h, 280, 1, 0, 0, 4, 0, 2, 0, 5, 0, 0, 3, 6)
    h[344:348] = magic
    return bytes(h)


def nifti2(order="<"):
    h = bytearray(540)
    struct.pack_into(order + "i", h, 0, 540)
    h[4:12] = b"n+2\0\r\n\x1a\n"
    struct.pack_into(order + "2h", h, 12, 16, 32)
    struct.pack_into(order + "8q", h, 16, 4, 2, 2, 2, 2, 1, 1, 1)
    struct.pack_into(order + "8d", h, 104, -1, 1, 2, 3, 1, 1, 1, 1)
    struct.pack_into(order + "q2d", h, 168, 544, 2, 1)
    struct.pack_into(order + "2i", h, 344, 1, 0)
    struct.pack_into(order + "6d", h, 352, 0.5, 0.5, 0.5, 1, 2, 3)
    struct.pack_into(order + "i", h, 500, 3)
    return bytes(h)


whole = {
    "i16": nifti1() + bytes(4) + bytes(range(24)),
    "big": nifti1(order=">", datatype=16, bitpix=32, sform=0, qform=1) + bytes(4) + bytes(48),
    "u8-4d": nifti1(datatype=2, bitpix=8, dim=(4, 2, 2, 2, 3, 1, 1, 1)) + bytes(4 + 24),
    "f64": nifti1(datatype=64, bitpix=64, sform=0, units=1, dim=(3, 1, 1, 2, 1, 1, 1, 1))
           + bytes(4 + 16),
    "pair": nifti1(datatype=2, bitpix=8, magic=b"ni1\0", offset=0.0),
    "scaled": nifti1(datatype=1280, bitpix=64, slope=2.5, dim=(3, 1, 2, 1, 0, 0, 0, 0))
              + bytes(4 + 16),
    "rgb": nifti1(datatype=128, bitpix=24) + bytes(4 + 36),
    "two": nifti2() + bytes(4) + bytes(64),
    "two-big": nifti2(">") + bytes(4) + bytes(64),
}
for name, data in whole.items():
    seed("nifti", name, data)
    seed("niftigz", name, data)
    seed("kind", name, data[:512])
    seed("nifti", name + ".gz", gzip.compress(data, 9, mtime=0))
seed("niftigz", "far", nifti1(offset=1000.0) + bytes(1000))

text = b"bytes of a file, bytes of a file, bytes of a file."
for name, data in {
    "gzip": gzip.compress(text, mtime=0), "zlib": zlib.compress(text),
    "members": gzip.compress(text[:20], mtime=0) + gzip.compress(text[20:], mtime=0),
    "padded": gzip.compress(text, mtime=0) + bytes(40),
    "tail": gzip.compress(text, mtime=0) + b"tail", "plain": text,
    "zeros": gzip.compress(bytes(4000), mtime=0),
}.items():
    for odd in (0, 1):
        length = (4000 if name == "zeros" else len(text)) & ~1
        seed("gzip", f"{name}{odd}", struct.pack("<H", length + odd) + data)

mha = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = %s
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = 0 1.5 -2e1
CenterOfRotation = 0 0 0
AnatomicalOrientation = RAI
ElementSpacing = 1 1 2.5
DimSize = 2 3 2
ElementType = %s
ElementDataFile = LOCAL
"""
for name, packed, kind, size in (("short", False, "MET_SHORT", 24), ("f32", False, "MET_FLOAT", 48),
                                 ("u8", False, "MET_UCHAR", 12), ("gz", True, "MET_USHORT", 24)):
    body = bytes(range(size))
    seed("metaimage", name, (mha % (packed, kind)).encode() + (zlib.compress(body) if packed else body))
    seed("kind", "mha-" + name, mha % (packed, kind))
seed("metaimage", "more", "NDims = 3\nDimSize = 1 1 1\nElementSize = 1 1 1\nDistanceUnits = cm\n"
     "Position = 1 2 3\nRotation = 0 1 0 1 0 0 0 0 1\nElementByteOrderMSB = True\n"
     "ElementNumberOfChannels = 1\nElementToIntensityFunctionSlope = 2\nHeaderSize = 0\n"
     "ElementType = MET_DOUBLE\nElementDataFile = LOCAL\n12345678")
seed("metaimage", "elsewhere", "NDims = 3\nDimSize = 2 2 2\nElementSpacing = 1 1 1\nHeaderSize = -1\n"
     "ElementType = MET_UCHAR\nElementDataFile = volume.mha\n")

nrrd = """NRRD0004
# comment
type: %s
dimension: 3
space: left-posterior-superior
sizes: 2 3 2
space directions: (1,0,0) (0,1,0) (0,0,2.5)
kinds: domain domain domain
endian: little
encoding: %s
space origin: (1,-2,3e1)
key:=value

"""
for name, kind, encoding, size in (("short", "short", "raw", 24), ("float", "float", "gzip", 48),
                                   ("uint8", "uint8", "raw", 12)):
    body = bytes(range(size))
    seed("nrrd", name, (nrrd % (kind, encoding)).encode()
         + (gzip.compress(body, mtime=0) if encoding == "gzip" else body))
    seed("kind", "nrrd-" + name, nrrd % (kind, encoding))
seed("nrrd", "spacings", "NRRD0005\ntype: double\ndimension: 4\nsizes: 1 1 2 1\nspacings: nan 1 2 3\n"
     'units: "" "mm" "cm" "um"\nkinds: list space space space\nendian: big\nencoding: raw\n'
     "axis mins: 0 0 0 0\nold min: 0\nline skip: 1\nbyte skip: 2\n\nx\n..0123456789abcdef")
seed("nrrd", "none", "NRRD0001\ntype: uchar\ndimension: 4\nspace: RAS\nspace dimension: 3\n"
     'space units: "mm" "mm" "mm"\nsizes: 1 2 2 2\nspace directions: none (1,0,0) (0,1,0) (0,0,1)\n'
     "encoding: raw\nbyte skip: -1\n\n01234567")
seed("nrrd", "detached", "NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nencoding: raw\n"
     "data file: volume.nrrd\n")


def element(group, number, vr, value):
    if vr in (b"OB", b"OW", b"SQ", b"UN"):
        return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


meta = element(2, 0, b"UL", struct.pack("<I", 60)) + element(2, 1, b"OB", b"\0\1")
seed("kind", "dicom", bytes(128) + b"DICM" + meta
     + element(2, 2, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"))
seed("kind", "dicomdir", bytes(128) + b"DICM" + meta
     + element(2, 2, b"UI", b"1.2.840.10008.1.3.10"))
seed("kind", "bare", element(8, 5, b"CS", b"ISO_IR 100") + element(8, 0x16, b"UI", b"1.2.3.45"))
seed("kind", "implicit", struct.pack("<HHI", 8, 5, 4) + b"abcd" + struct.pack("<HHI", 8, 16, 2) + b"xx"
     + bytes(8))
seed("kind", "gz", gzip.compress(whole["i16"], mtime=0))

# ---- lists ----

seed("listtext", "plain", "# images\na.nii\n\nsub/a.nii\r\n ./a.nii \nimagesTr/a_0000.nii.gz\n")
seed("listtext", "repeats", "x/y/z/a.nii\nw/y/z/a.nii\nx/y/z/a.nii\nx//y/./z/a.mha\n/etc/hosts\n")
seed("listtext", "utf8", "\ufeffM\u00fcller \u4e2d.nii\nM\u00fcller_\u4e2d.nii\n..nii\n")
seed("listcsv", "three", "image,label,class\na.nii,labelsTr/a.nii.gz,1\n\"a,\"\"b.nii\",,\"two\nlines\"\n")
seed("listcsv", "semicolon", "Image;x;Label\r\na.nii;1;\r\n\r\nb.nii;2;c.nii\r\n")
seed("listcsv", "tab", "label\timage\n\ta.nii\n")

# ---- tables of features ----

def npy(descr, rows, width, data, order="False"):
    text = "{'descr': '%s', 'fortran_order': %s, 'shape': (%d, %d), }" % (descr, order, rows, width)
    text = text.ljust(128 - 11) + "\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text.encode() + data


seed("features", "csv", "id,source,crop,f0,f1\na,x,0,1,2\na,x,1,3,4e0\nb,y,0,-1,0.5\n")
seed("features", "holes", "f0;id\n;a\nnan;b\n1;b\n")
seed("features", "f4", npy("<f4", 2, 3, struct.pack("<6f", 1, 2, 3, 4, 5, 6)))
seed("features", "f8", npy("<f8", 2, 1, struct.pack("<2d", 1, float("nan"))))
seed("features", "long", npy("<f4", 3, 1, struct.pack("<3f", 1, 2, 3)))
seed("listjson", "decathlon", {"name": "Task", "modality": {"0": "T1", "1": "T2"},
                               "labels": {"0": "background", "1": "liver"}, "numTraining": 1,
                               "training": [{"image": "./imagesTr/a.nii.gz",
                                             "label": "./labelsTr/a.nii.gz"}],
                               "test": ["./imagesTs/c.nii.gz"]})
seed("listjson", "nnunet2", {"channel_names": {"0": "CT", "1": "PET"}, "file_ending": ".nii.gz",
                             "labels": {"background": 0, "organ": [1, 2], "tumour": 2},
                             "numTraining": 2})
seed("listjson", "cases", {"channel_names": {"0": "CT"}, "file_ending": ".nii.gz",
                           "dataset": {"a": {"images": ["a.nii"], "label": "labelsTr/a.nii.gz"}}})
seed("listjson", "voco", {"training": [{"image": "a.nii"}], "validation": [{"image": ["a.nii", "b.nii"],
                                                                            "class": 3}]})
seed("listjson", "array", ["a.nii", {"image": "b.nii", "label": "c.nii", "class": "x"}])
for path in sorted(glob.glob(os.path.join(top, "share/voco/tasks/*.json")))[::6]:
    seed("recipe", os.path.basename(path), read(path))
seed("recipe", "values", {"title": "t", "modality": "CT", "layout": "x", "channels": 1, "classes": 2,
                          "convert": {"spacing": [1, 1.5, "2"], "no-foreground": True},
                          "finetune": {"seed": 9007199254740991, "lr": 1e-4}})

# ---- stores ----

with tempfile.TemporaryDirectory() as tmp:
    def run(*words):
        subprocess.run([voco, "-q", *words], check=True, cwd=tmp, stdout=subprocess.DEVNULL)

    def plain(path):
        lines = read(path).decode().splitlines()
        return "".join(line[:line.rindex(',"check":')] + "}\n" for line in lines).encode()

    def small(shard):
        """The shard without most of its HDF5 structure, which no reader of ours looks at."""
        n = len(shard)
        h5, table = struct.unpack_from("<QQ", shard, n - 64 + 32)
        volumes, = struct.unpack_from("<I", shard, n - 64 + 24)
        head, index = bytearray(shard[:512]), bytearray()
        tail = bytearray(shard[table:])
        tables = []
        for v in range(volumes):
            at, chunks = struct.unpack_from("<QQ", tail, v * 56)
            width = 24 if tail[v * 56 + 52] else 16
            rows = bytearray(shard[at:at + chunks * width])
            for c in range(chunks):
                place, size = struct.unpack_from("<QI", rows, c * width)
                struct.pack_into("<Q", rows, c * width, len(head))
                head += shard[place:place + size]
            tables.append(rows)
        at = len(head)
        for v, rows in enumerate(tables):
            struct.pack_into("<Q", tail, v * 56, at)
            at += len(rows)
        struct.pack_into("<QQ", tail, volumes * 56 + 32, len(head), at)
        return bytes(head) + b"".join(tables) + bytes(tail)

    os.mkdir(f"{tmp}/ct")
    os.mkdir(f"{tmp}/lab")
    for case in range(2):
        seen = nifti1(dim=(3, 9, 8, 7, 1, 1, 1, 1), qform=1) + bytes(4)
        body = struct.pack("<504h", *((case + i % 9 * 20 - i % 7 * 30) for i in range(504)))
        classes = bytes((i // 60 + case) % 4 if i % 9 < 5 else 0 for i in range(504))
        for folder, data in (("ct", body), ("lab", struct.pack("<504h", *classes))):
            with open(f"{tmp}/{folder}/case{case}.nii", "wb") as f:
                f.write(seen + data)
            os.utime(f"{tmp}/{folder}/case{case}.nii", (1, 1))
    common = ["--spacing", "0", "--pad", "none", "--pad-first", "none", "--chunk", "8",
              "--no-foreground", "--threads", "1"]
    for name, more in (("u16", ["ct"]), ("i16", ["--store-type", "i16", "ct"]),
                       ("f32", ["--store-type", "f32", "--level", "6", "ct/case0.nii"]),
                       ("label", ["--labels", "any", "--label-folder", "lab", "ct"])):
        run("convert", "-o", name, *common, *more)
        lines, shard = plain(f"{tmp}/{name}/manifest.jsonl"), small(read(f"{tmp}/{name}/shard-00000.h5"))
        seed("manifest", name, lines)
        seed("shard", name, shard)
        seed("store", name, struct.pack("<H", len(lines)) + lines + shard)
        for line in lines.decode().splitlines()[1:2]:
            seed("transform", "record-" + name, json.dumps(json.loads(line)["transforms"]))
            seed("transform", "options-" + name,
                 json.dumps(json.loads(line)["transforms"]["options"]))
# A volume of 8^3 chunks that are all the same bytes: 2 GiB of voxels in 13 KB.
raw = zlib.compress(bytes(2 * 128 ** 3), 9)
head = bytes(512) + raw
rows = struct.pack("<QII", 512, len(raw), 0) * 512
tail = struct.pack("<QQIIqqqII", len(head), 512, 0, 0, 1024, 1024, 1024, 0, 0)
seed("shard", "same", head + rows + tail + b"vocoshrd"
     + struct.pack("<IIIIIIQQIIII", 1, 0, 0, 128, 1, 0, len(head), len(head) + len(rows), 0, 0, 0, 0))
seed("manifest", "rejected", '{"format":"voco-store","version":1,"type":"u16","chunk":32,"classes":["a","b"]}\n'
     '{"id":"x","status":"rejected","reason":"no","dataset":"","source":"x.nii","preset":"ct"}\n'
     '{"id":"x","status":"rejected","reason":"no","dataset":"","source":"x.nii","preset":"ct"}\n')
for i, data in enumerate((bytes(300), bytes(range(256)) * 2, b"abababab" * 40, bytes(7) + b"x" * 600)):
    for choice in range(4):
        seed("deflate", f"{i}-{choice}", bytes([choice]) + data)
seed("leaklist", "one", {"voco-leak": 1, "scans": [{"path": "store", "hash": "9df48de2"}],
                         "pairs": [{"scan": {"input": 0, "id": "case-a"}, "score": 0.9},
                                   {"scan": {"input": 1, "id": "x"}}]})

img, crops = bytes([5, 2, 0, 6, 7, 8, 70]), bytes([5, 3, 0, 6, 7, 8, 70])
labels, keep = bytes([3, 0, 2, 3, 80]), bytes([2, 11, 13, 127])
seed("replay", "all", img + crops + labels + keep)
seed("replay", "no-keep", img + crops + labels)
seed("replay", "two", bytes([5, 2, 0, 6, 7, 8, 70]) + bytes([5, 5, 0, 6, 7, 8, 70])
     + bytes([3, 2, 0, 3, 80]) + bytes([2, 11, 14, 127]))
seed("replay", "label", img + crops + bytes([3, 0, 2, 3, 255]))
crop, none = bytes([5, 0, 0, 6, 7, 8, 70]), bytes([128])
seed("densereplay", "genesis", crop + crop)
seed("densereplay", "mae", crop + none + bytes([4, 0, 2, 2, 2, 64]))
seed("densereplay", "mae-rank5", crop + none + bytes([5, 0, 0, 2, 6, 0, 128]))
seed("densereplay", "fusion", none * 3 + crop + crop + bytes([3, 0, 2, 4, 128]))
seed("densereplay", "fusion-rank2", none * 3 + crop + crop + bytes([2, 2, 4, 128]))
seed("densereplay", "outside", none * 3 + crop + crop + bytes([3, 0, 2, 4, 64]))

if os.path.exists(os.path.join(os.path.dirname(voco), "tests/make_replay")):
    for wrong in ("shape", "missing", "keep"):
        path = os.path.join(out, "batch.h5")
        subprocess.run([os.path.join(os.path.dirname(voco), "tests/make_replay"), path, wrong],
                       check=True)
        # without the voxels, which the file's end would hold
        seed("hdf5", wrong, read(path)[:4096])
        os.remove(path)
seed("hdf5", "unwritten", read(os.path.join(top, "tests/golden/unwritten.h5")))

# ---- weights and settings ----

seed("transform", "steps", {"source": {"dim": [4, 5, 6], "affine": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]},
                            "steps": [{"step": "orient", "axes": [1, 0, 2], "flip": [True, False, False]},
                                      {"step": "spacing", "to_source": [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]],
                                       "dim": [3, 4, 6]},
                                      {"step": "window"}, {"step": "crop", "start": [1, 0, 0], "dim": [2, 4, 6]},
                                      {"step": "pad", "before": [0, 1, 1], "dim": [4, 6, 8]},
                                      {"step": "resize", "dim": [8, 8, 8]}]})
options = json.dumps({"orient": True, "spacing": [1.5, 1.5, 2], "scaling": "range", "window": [-175, 250],
                      "foreground": "window", "pad-first": [0, 0, 0], "resize": [0, 0, 0], "pad": [96, 96, 96],
                      "keep-intensity": False, "nan-to": None, "into": [0, 2], "foreground-multiple": [8, 8, 8],
                      "channel": "all", "labels": "any"})
seed("transform", "options", options)
seed("transform", "report", '{"options":%s}' % options)
seed("metadata", "all", "96,96,64\1" + options + '\1abdomen\1["background","liver"]\1RAS\1'
     '{"voco":"1","store":{"path":"s","hash":"01234567","volumes":["a","b"]}}')
seed("metadata", "mixed", "\1\1\1\1mixed\1[]")
plans = {"transpose_forward": [2, 0, 1], "foreground_intensity_properties_per_channel":
         {"0": {"mean": 1.0, "std": 2.0, "percentile_00_5": -3.0, "percentile_99_5": 9.0}},
         "configurations": {"3d_fullres": {"patch_size": [64, 96, 96], "spacing": [3, 1, 1],
                                           "normalization_schemes": ["CTNormalization"],
                                           "use_mask_for_norm": [False]},
                            "3d_cascade": {"inherits_from": "3d_fullres"}}}
seed("plans", "plans", plans)
plans["configurations"]["3d_fullres"]["normalization_schemes"] = ["ZScoreNormalization"] * 2
plans["configurations"]["3d_fullres"]["use_mask_for_norm"] = [True, True]
seed("plans", "beside", {"init_args": {"plans": plans, "configuration": "3d_cascade",
                                       "dataset_json": {"labels": {"background": 0, "liver": 1}}},
                         "trainer_name": "nnUNetTrainer", "inference_allowed_mirroring_axes": [0, 1]})
state = {"step": 5, "updates": 5, "skipped_in_row": 0, "rollbacks": 0, "lr_scale": 1.0,
         "options": {"batch": 4, "seed": 0, "precision": "f32", "group": 2, "window": None,
                     "augment": True, "in-channels": 1, "store": ["a", "b"], "unknown": {}}}
seed("run", "state", state)
seed("run", "best", {"dice": 0.5, "step": 9})
seed("sums", "three", "".join("%08x %d %s\n" % (crc, n, name) for crc, n, name in (
    (0, 10, "model.safetensors"), (0, 10, "optimizer.safetensors"), (0, 2, "state.json"))))
seed("tune", "table", {"voco-tune": 1, "cpu": "cpu", "isa": "avx2", "threads": 2, "voco": "1",
                       "onednn": "2", "blas": "3", "shapes": [
                           {"op": "conv", "size": [2, 8, 8, 8, 16, 16, 3, 3, 3, 1, 1, 1, 1, 1, 1], "use": "dnnl"},
                           {"op": "linear", "size": [64, 48, 96], "use": "blas", "us": {"blas": 1.5}}]})
seed("metrics", "steps", "".join(json.dumps({"step": s, "loss": 9 - s, "lr": 1e-4, "seconds": 0.5}) + "\n"
                                 for s in range(6)))
seed("metrics", "null", '{"step":1,"loss":null,"nonfinite":{"loss":"nan"},"note":"skipped"}\nno JSON\n'
     '{"step":1,"loss":2}\n{"step":0,"x":1}\n{"step":7,"lo')
for flags in (0, 3, 12, 31):
    seed("plot", f"points{flags}", bytes([flags]) + b"".join(
        struct.pack("<Id", k, v) for k, v in enumerate((1, 2.5, float("nan"), 1e-3, float("inf"), 4))))
for path in glob.glob(os.path.join(top, "tests/fuzz/corpus/pickle/*")):
    seed("torchtree", os.path.basename(path), read(path))
for protocol in (2, 4):
    seed("pickle", f"values{protocol}", pickle.dumps(
        {"a": [1, 2.5, None, True, (1, 2, 3), "text", b"bytes", {1, 2}, 1 << 70], 7: {}}, protocol))
for path in glob.glob(os.path.join(top, "tests/golden/pt/*.pt")):
    if os.path.getsize(path) < 8192:
        seed("zip", os.path.basename(path), read(path))
        seed("torchfile", os.path.basename(path), read(path))
