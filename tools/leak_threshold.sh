#!/bin/sh
# What voco leak would find at several thresholds, on scans that the table of doc/leak.md does not
# have: phantoms of another seed and size, and volumes that are given.
# Usage: leak_threshold.sh VOCO FOLDER [VOLUME.nii.gz...]     (FOLDER is made; some minutes)
# VOCO_PYTHON: a Python with numpy, scipy and nibabel.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
voco=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
python=${VOCO_PYTHON:-python3}
out=$2
shift 2
mkdir -p "$out/scans" "$out/copies"
"$voco" -q phantom -n 120 --seed 4000 --size 120,104,76 --spacing 2.8,2.8,3.5 -o "$out/scans"
names='phantom-00003 phantom-00004 phantom-00005 phantom-00006'
for volume in "$@"; do
    name=$(basename "$volume" .nii.gz)
    cp "$volume" "$out/scans/$name.nii.gz"
    names="$names $name"
done
for name in $names; do
    "$python" "$here/leak_variants.py" "$out/scans/$name.nii.gz" "$name" "$out/copies"
done
status=0
"$voco" leak --threshold 0.1 --pictures 0 -o "$out/report" "$out/scans" \
    --against "$out/copies" --against "$out/scans" > "$out/pairs.txt" || status=$?
test $status = 3
"$python" - "$out/report/leak.json" "$out/copies" << 'PYTHON'
import json
import os
import sys
pairs = json.load(open(sys.argv[1]))["pairs"]
same, other = {}, []
for p in pairs:
    a, s = p["against"], p["scan"]["id"]
    copied = a["id"].rpartition("__")[2]
    if copied != s:
        other.append(p["score"])
    elif a["input"] == 0:
        same[a["id"]] = p["score"]
copies = sum("__" in name for name in os.listdir(sys.argv[2]))
print("%d copies; different scans at most %.3f" % (copies, max(other)))
print("| threshold | copies found | different scans found |\n|---|---|---|")
for t in range(76, 97, 2):
    print("| %.2f | %d | %d |" % (t / 100, sum(v >= t / 100 for v in same.values()),
                                  sum(v >= t / 100 for v in other)))
print("\nThe copies below 0.9:")
for name, v in sorted(same.items(), key=lambda x: x[1]):
    if v < 0.9:
        print("%.3f %s" % (v, name))
PYTHON
