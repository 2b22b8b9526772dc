#!/bin/sh
# The table of doc/leak.md: changed copies of real scans and phantoms looked up by voco leak.
# Usage: leak_table.sh VOCO FOLDER [VOLUME...]   (FOLDER is made; some minutes, 1.5 GB)
# Takes the T1 heads of Debian's mricron-data, the CT head of invesalius-examples, 30 phantoms
# and VOLUME... as further scans.  VOCO_PYTHON: a Python with numpy, scipy and nibabel.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
voco=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
python=${VOCO_PYTHON:-python3}
templates=/usr/share/mricron/templates
cranium=/usr/share/doc/invesalius-examples/examples/Cranium.inv3
out=$2
shift 2
mkdir -p "$out/scans" "$out/copies"
for name in ch2 ch2bet ch2better inia19-t1-brain; do
    cp "$templates/$name.nii.gz" "$out/scans"
done
for volume in "$@"; do
    cp "$volume" "$out/scans"
done
tar -xOf "$cranium" --wildcards '*/matrix.dat' > "$out/cranium.raw"
"$python" - "$out" << 'PYTHON'
import sys
import nibabel as nib
import numpy as np
x = np.fromfile(sys.argv[1] + "/cranium.raw", np.int16).reshape(108, 256, 256).transpose(2, 1, 0)
nib.save(nib.Nifti1Image(np.ascontiguousarray(x[::-1, ::-1]),
                         np.diag([0.9570312, 0.9570312, 1.5, 1])),
         sys.argv[1] + "/scans/cranium.nii.gz")
PYTHON
"$voco" -q phantom -n 30 --size 170,140,110 --spacing 2,2,2.5 -o "$out/phantoms"
cp "$out"/phantoms/*.nii.gz "$out/scans"
for name in ch2 inia19-t1-brain cranium phantom-00000 phantom-00001; do
    "$python" "$here/leak_variants.py" "$out/scans/$name.nii.gz" "$name" "$out/copies"
done
status=0
"$voco" leak --threshold 0.1 --pictures 0 -o "$out/report" "$out/scans" \
    --against "$out/copies" --against "$out/scans" > "$out/pairs.txt" || status=$?
test $status = 3
"$python" - "$out/report/leak.json" << 'PYTHON'
import json
import sys
pairs = json.load(open(sys.argv[1]))["pairs"]
names = ["ch2", "inia19-t1-brain", "cranium", "phantom-00000", "phantom-00001"]
score, other, heads = {}, [], []


def scan_of(name):
    name = name.rpartition("__")[2]
    return "one head" if name.startswith("ch2") else name


for p in pairs:
    a, s = p["against"], p["scan"]["id"]
    change, _, name = a["id"].rpartition("__")
    if a["input"] == 0 and name == s:
        score[change, name] = "%.3f" % p["score"]
    elif scan_of(name or a["id"]) != scan_of(s):
        other.append((p["score"], a["id"], s))
    elif a["input"] == 1 and a["id"] < s:
        heads.append((p["score"], a["id"], s))
print("| change |", " | ".join(names), "|\n|---|" + "---|" * len(names))
for change in dict.fromkeys(c for c, _ in sorted(score)):
    print("|", change.replace("_", " ").replace("pc", "%"), "|",
          " | ".join(score.get((change, n), "-") for n in names), "|")
print("\nOf the same person:")
for row in sorted(heads, reverse=True):
    print("%.3f %s %s" % row)
print("\nOf different scans, the highest of %d that were laid on each other:" % len(other))
for row in sorted(other, reverse=True)[:12]:
    print("%.3f %s %s" % row)
PYTHON
