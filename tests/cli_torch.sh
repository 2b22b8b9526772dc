#!/bin/sh
# Weights of MONAI and PyTorch into voco and back, against the programs themselves, where
# VOCO_PYTHON (default python3) has torch, monai and h5py.  TAP.
set -u
python=${VOCO_PYTHON:-python3}
if ! "$python" -c 'import torch, monai, h5py' > /dev/null 2>&1; then
    echo "1..0 # SKIP $python has no torch, monai and h5py; VOCO_PYTHON names one that has"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/voco-torch-XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
"$python" -W ignore "${srcdir:-.}/tests/torch_roundtrip.py" "$PWD/voco" "$work" > "$work/tap"
status=$?
cat "$work/tap"
test $status = 0 && ! grep -q '^not ok' "$work/tap"
