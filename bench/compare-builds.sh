#!/bin/sh
# Primitives in two builds, A B A B, and the ratio of their times, second / first: above 1 the
# first is faster.  TSV: problem, us of both, ratio, the ratios of the rounds, all medians.
#
#   compare-builds.sh BENCH-A BENCH-B [PROBLEM... | < shapes.txt]
#
# BENCH-x: the program bench/bench of a build folder.  ROUNDS (3) and REPS (10) may be set in
# the environment; so may OMP_NUM_THREADS.  Nothing else may run on the machine meanwhile; if
# something does, FIELD=8 compares the best of REPS instead of the median (5, the column).
set -eu
test $# -ge 2 || { sed -n '2,/^set /p' "$0" | sed 's/^# \{0,1\}//; /^set /d' >&2; exit 2; }
a=$1 b=$2
shift 2
test $# -gt 0 || set -- $(sed 's/[ #].*//')

# time_of BENCH PROBLEM: microseconds
time_of()
{
    "$1" --reps "${REPS-10}" "$2" | awk -F '\t' -v f="${FIELD-5}" 'NR == 2 { print $f }'
}

printf 'problem\tfirst us\tsecond us\tratio\trounds\n'
for problem; do
    for _ in $(seq "${ROUNDS-3}"); do
        x=$(time_of "$a" "$problem")
        y=$(time_of "$b" "$problem")
        echo "$x $y"
    done | awk -v problem="$problem" '
        NF != 2 { bad = 1; exit }           # a bench said why
        { x[NR] = $1; y[NR] = $2; r[NR] = $2 / $1 }
        function median_of(v, n,    i, j, t) {
            for (i = 2; i <= n; i++)
                for (j = i; j > 1 && v[j] < v[j - 1]; j--) {
                    t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
                }
            return v[int((n + 1) / 2)]
        }
        END {
            if (bad || NR == 0)
                exit 1
            m = median_of(r, NR)
            printf "%s\t%.1f\t%.1f\t%.3f\t", problem, median_of(x, NR), median_of(y, NR), m
            for (i = 1; i <= NR; i++)
                printf "%s%.3f", (i > 1 ? " " : ""), r[i]
            print ""
        }'
done
