#!/bin/sh
# The same fine-tuning step in voco and in PyTorch + MONAI, one after the other, A B A B:
# the whole network from the same weights on the same crop of 96^3, so that losses and norms
# of gradients can be compared, too.  Nothing else may run on the machine meanwhile.
#
# Usage: bench/compare-finetune.sh PYTHON [FEATURE CROPS ROUNDS [PEER-OPTION...]]
#   PYTHON   of an environment with torch, monai, einops, nibabel and safetensors
#            (bench/peer/README.md)
#   FEATURE CROPS ROUNDS     48 1 2
#   PEER-OPTION              --channels-last --dtype bf16 ...
#
# Run it in the build folder, after `make voco tests/make_segweights`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
test $# -ge 1 || { sed -n '2,/^set /p' "$0" | sed 's/^# \{0,1\}//; /^set /d'; exit 2; }
python=$1 feature=${2-48} crops=${3-1} rounds=${4-2}
shift $(($# < 4 ? $# : 4))
work=$(mktemp -d "${TMPDIR:-/tmp}/voco-compare-XXXXXX")
trap 'rm -rf "$work"' EXIT

say() { "$@" > "$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }; }

# A phantom that is one crop, as it is.
say ./voco phantom --size 96,96,96 --spacing 1.5 -o "$work/image" --labels "$work/label"
say ./voco convert --preset abdomen --spacing 0 --no-foreground --pad none \
    --pad-first none -o "$work/store" --labels 0-11 --label-folder "$work/label" "$work/image"
say tests/make_segweights "$work/w.safetensors" "$feature" 1 14 96 abdomen 1
volume=phantom-00000.nii.gz

# Seconds, loss and norm of the gradient of the last of three steps: the first one touches
# its memory for the first time.
ours()
{
    rm -rf "$work/run"
    say /usr/bin/env time -f '%M' -o "$work/rss" ./voco finetune seg -s "$work/store" \
        -w "$work/w.safetensors" -o "$work/run" --merging fixed --folds 1 --classes 14 \
        --samples "$crops" --epochs 3 --warmup-epochs 0 --flip 0 --turn 0 --shift 0
    sed -n '3s/.*"loss":\([0-9.]*\).*"grad_norm":\([0-9.]*\).*"seconds":\([0-9.]*\).*/\3	\1	\2/p' \
        "$work/run/metrics.jsonl"
}

theirs()
{
    "$python" "$here/peer/finetune_step.py" --weights "$work/w.safetensors" \
        --image "$work/image/$volume" --label "$work/label/$volume" --crops "$crops" \
        --warm-up 2 --steps 1 "$@" > "$work/peer" 2> "$work/log" ||
        { cat "$work/log" >&2; exit 1; }
    tail -n 1 "$work/peer"
}

echo "round	voco_s	voco_loss	voco_grad_norm	voco_GiB	peer"
for round in $(seq "$rounds"); do
    a=$(ours)
    gib=$(awk '{ printf "%.2f", $1 / 1048576 }' "$work/rss")
    b=$(theirs "$@")
    printf '%s\t%s\t%s\t%s\n' "$round" "$a" "$gib" "$b"
done
