#!/bin/sh
# The same pre-training step in voco and in PyTorch + MONAI, one after the other, A B A B,
# and the ratio.  Nothing else may run on the machine meanwhile.
#
# Usage: bench/compare-step.sh VOCO PYTHON [FEATURE BATCH ROUNDS [PEER-OPTION...]]
#   VOCO     the built program
#   PYTHON   of an environment with torch, monai and einops (bench/peer/README.md)
#   FEATURE BATCH ROUNDS     48 4 2
#   PEER-OPTION              --crops 4 --channels-last ...
# PRECISION=bf16 in the environment is voco's; the peer's is --dtype bf16.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
test $# -ge 2 || { sed -n '2,/^set /p' "$0" | sed 's/^# \{0,1\}//; /^set /d'; exit 2; }
voco=$1 python=$2 feature=${3-48} batch=${4-4} rounds=${5-2}
shift $(($# < 5 ? $# : 5))
work=$(mktemp -d "${TMPDIR:-/tmp}/voco-compare-XXXXXX")
trap 'rm -rf "$work"' EXIT

# Seconds of the second of two steps: the first one touches its memory for the first time.
ours()
{
    rm -rf "$work/run"
    /usr/bin/env time -f '%M' -o "$work/rss" "$voco" -q pretrain --init hash:1 \
        --precision "${PRECISION-f32}" \
        --replay "hash:1:$batch:2" --feature-size "$feature" --steps 2 \
        --schedule constant --merging fixed --out "$work/run" 2> "$work/log" ||
        { cat "$work/log" >&2; exit 1; }
    sed -n '2s/.*"seconds":\([0-9.]*\).*/\1/p' "$work/run/metrics.jsonl"
}

theirs()
{
    "$python" "$here/peer/pretrain_step.py" --feature-size "$feature" --batch "$batch" \
        --warm-up 1 --steps 1 --hash 1 "$@" > "$work/peer" 2> "$work/log" ||
        { cat "$work/log" >&2; exit 1; }
    tail -n 1 "$work/peer"
}

echo "round	voco_s	voco_GiB	peer"
for round in $(seq "$rounds"); do
    a=$(ours)
    gib=$(awk '{ printf "%.2f", $1 / 1048576 }' "$work/rss")
    b=$(theirs "$@")
    printf '%s\t%s\t%s\t%s\n' "$round" "$a" "$gib" "$b"
done
