#!/bin/sh
# Seconds a step and memory of every objective of pre-training, on one store.  TSV:
# objective, crops of a step, TFLOP of a step, seconds (the median of the steps behind the
# first, of an even number the lower middle one), ratio to the first objective's, MiB of
# memory as planned.
#
#   objectives.sh VOCO STORE [OPTION...]
#
# OPTION goes to every voco pretrain: --feature-size 48 --batch 2 --threads 2.  STEPS (4) may
# be set in the environment, and OBJECTIVES, a list of names (default: all).  LABELLED is a store
# with label maps, without which omni is left out; its steps are those with a teacher.  Nothing
# else may run on the machine meanwhile.
set -eu
test $# -ge 2 || { sed -n '2,/^set /p' "$0" | sed 's/^# \{0,1\}//; /^set /d' >&2; exit 2; }
voco=$1 store=$2
shift 2
folder=$(mktemp -d "${TMPDIR:-/tmp}/voco-objectives-XXXXXX")
trap 'rm -rf "$folder"' EXIT
all=$("$voco" pretrain --help | sed -n '/^Choices of --objective/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p')

# number NAME FILE: a member of the plan in a config.json
number() { sed -n "/\"plan\"/,\$s/.*\"$1\": *\([0-9.e+-]*\).*/\1/p" "$2" | head -n 1; }

printf 'objective\tcrops\tTFLOP\tseconds\tratio\tMiB\n'
first=
for objective in ${OBJECTIVES-$all}; do
    run=$folder/$objective
    semi=
    if [ "$objective" = omni ]; then
        test -n "${LABELLED-}" || continue
        semi="--semi-start 0"
    fi
    # shellcheck disable=SC2086
    "$voco" pretrain --objective "$objective" --store "$store" --out "$run" \
        --steps "${STEPS-4}" --schedule constant --quiet "$@" $semi \
        ${semi:+--labelled "$LABELLED"} || exit 1
    seconds=$(sed -n '2,$s/.*"seconds":\([0-9.e+-]*\).*/\1/p' "$run/metrics.jsonl" |
        sort -g | awk '{ x[NR] = $1 } END { print x[int((NR + 1) / 2)] }')
    : "${first:=$seconds}"
    awk -v name="$objective" -v s="$seconds" -v first="$first" \
        -v crops="$(number crops "$run/config.json")" \
        -v tflop="$(number tflop "$run/config.json")" \
        -v bytes="$(number bytes "$run/config.json")" 'BEGIN {
            printf "%s\t%d\t%.2f\t%.2f\t%.2f\t%.0f\n", name, crops, tflop, s, s / first,
                bytes / 1048576 }'
done
