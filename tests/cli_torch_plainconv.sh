#!/bin/sh
# nnU-Net's network in voco against PyTorch and the package dynamic-network-architectures,
# where VOCO_PYTHON (default python3) has them.  TAP.
set -u
python=${VOCO_PYTHON:-python3}
if ! "$python" -c 'import dynamic_network_architectures, torch' > /dev/null 2>&1; then
    echo "1..0 # SKIP $python has no dynamic-network-architectures; VOCO_PYTHON names one that has"
    exit 77
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/voco-nnunet-XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT
"$python" -W ignore "${srcdir:-.}/tests/torch_plainconv.py" "$PWD/voco" "$work" > "$work/tap"
status=$?
cat "$work/tap"
test $status = 0 && ! grep -q '^not ok' "$work/tap"
