#!/bin/sh
# The transforms of volumes by voco and by MONAI on one core, A B A B: seconds in all.
# voco's convert holds its start and a store compressed, written and made durable; its
# transforms are reading and transforming alone, the least of some rounds, as are MONAI's,
# without the import of its libraries and without any writing.
#
#   compare-convert.sh PRESET VOLUME...          PRESET: abdomen or mr
#
# Run it in the build folder, after make bench.  PYTHON names an interpreter that has torch, monai and
# nibabel.  Nothing else may run on the machine meanwhile.
set -eu
test $# -ge 2 || { sed -n '2,/^set /p' "$0" | sed 's/^# \{0,1\}//; /^set /d' >&2; exit 2; }
preset=$1
shift
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf 'round\tconvert s\ttransforms s\tMONAI s\tratios\n'
for round in 1 2 3; do
    rm -rf "$work/store"
    start=$(date +%s.%N)
    taskset -c 0 ./voco -q convert --preset "$preset" --threads 1 -o "$work/store" "$@"
    end=$(date +%s.%N)
    alone=$(taskset -c 0 bench/transform "$preset" "$@" |
            awk -F '\t' 'END { print ($4 + $5) / 1000 }')
    taskset -c 0 "${PYTHON-python3}" -W ignore "$here/peer/convert.py" --preset "$preset" \
        "$@" > "$work/peer"
    sed -n 's/.*"seconds": \([0-9.]*\),.*/\1/p' "$work/peer" |
        awk -v r="$round" -v a="$start" -v b="$end" -v t="$alone" \
            '{ printf "%d\t%.2f\t%.3f\t%.2f\t%.1f %.1f\n", r, b - a, t, $1, $1 / (b - a),
                      $1 / t }'
done
cat "$work/peer"
