#!/bin/sh
# The transforms of volumes by voco and by MONAI on one core, A B A B: seconds in all.
# voco's hold its start and a store compressed, written and made durable, MONAI's neither
# the import of its libraries nor any writing.
#
#   compare-convert.sh PRESET VOLUME...          PRESET: abdomen or mr
#
# Run it in the build folder.  PYTHON names an interpreter that has torch, monai and
# nibabel.  Nothing else may run on the machine meanwhile.
set -eu
test $# -ge 2 || { sed -n '2,/^set /p' "$0" | sed 's/^# \{0,1\}//; /^set /d' >&2; exit 2; }
preset=$1
shift
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'round\tvoco s\tMONAI s\tratio\n'
for round in 1 2 3; do
    rm -rf "$work/store"
    start=$(date +%s.%N)
    taskset -c 0 ./voco -q convert --preset "$preset" --threads 1 -o "$work/store" "$@"
    end=$(date +%s.%N)
    taskset -c 0 "${PYTHON-python3}" -W ignore "$here/peer/convert.py" --preset "$preset" \
        "$@" > "$work/peer"
    sed -n 's/.*"seconds": \([0-9.]*\),.*/\1/p' "$work/peer" |
        awk -v r="$round" -v a="$start" -v b="$end" \
            '{ printf "%d\t%.2f\t%.2f\t%.1f\n", r, b - a, $1, $1 / (b - a) }'
done
cat "$work/peer"
