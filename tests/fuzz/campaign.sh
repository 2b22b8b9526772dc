#!/bin/bash
# campaign.sh BUILD STATE [SECONDS [TARGET...]]: runs the fuzzers in BUILD (made by make fuzz)
# in turns of SECONDS each (default 60), for ever; stop it with a signal, start it again to go
# on.  Targets are those of targets.def; hdf5 besides, where the library is read as well.
# campaign.sh BUILD STATE table: what all turns so far came to, in Markdown.
# campaign.sh BUILD STATE merge CORPORA: what adds edges goes to CORPORA/TARGET, the smallest
# first.
#
# STATE/TARGET/corpus   grows; STATE/TARGET/seeds, if there, is read too (seeds.py)
# STATE/TARGET/found    inputs that crashed, leaked, took too much memory or over a second
# STATE/TARGET/turns    a line each turn: executions, seconds, edges
#
# An execution may take 1 s of the clock and ask for 64 MiB at once.  Where the machine was
# stopped or busy, an input that repeats none of that is not counted.
set -u
export LC_ALL=C OMP_NUM_THREADS=1
build=$(cd "$1" && pwd) || exit 2
mkdir -p "$2" && state=$(cd "$2" && pwd) || exit 2
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 3 ] && [ "$3" != merge ] && targets="${*:4}"
: "${targets:=$(sed -n 's/^TARGET(\(.*\))/\1/p' "$here/targets.def")}"
limits="-timeout=1 -rss_limit_mb=2048 -malloc_limit_mb=64 -report_slow_units=1"
export ASAN_OPTIONS=allocator_may_return_null=1:handle_abort=1:malloc_context_size=1

# number of files FOLDER/PATTERN...
count() {
    ls -d "$@" 2>/dev/null | wc -l
}

table() {
    echo "| target | executions | per second | crashes, leaks, memory | over 1 s | edges |"
    echo "|---|---:|---:|---:|---:|---:|"
    for t in $targets; do
        f=$state/$t/found
        [ -f "$state/$t/turns" ] && awk -v t="$t" \
            -v bad="$(count "$f"/crash-* "$f"/leak-* "$f"/oom-*)" \
            -v slow="$(count "$f"/timeout-* "$f"/slow-unit-*)" \
            '{n += $1; s += $2; if ($3 > edges) edges = $3}
             END {printf "| %s | %d | %d | %d | %d | %d |\n", t, n, s ? n / s : 0, bad, slow, edges}' \
            "$state/$t/turns"
    done
    for t in $targets; do
        cat "$state/$t/turns" 2>/dev/null
    done | awk '{n += $1; s += $2} END {
        printf "| all | %d | %d | | | |\n\n%.1f hours of one core; 10^8 take %.0f hours.\n",
            n, s ? n / s : 0, s / 3600, n ? s / n * 1e8 / 3600 : 0}'
}

# Removes what was found slow and is not: three tries, the fastest counts.
forget_slow() {
    for unit in "$state/$1/found"/timeout-* "$state/$1/found"/slow-unit-*; do
        [ -f "$unit" ] || continue
        for _ in 1 2 3; do
            if "$build/fuzz_$1" -timeout=1 -runs=1 "$unit" > /dev/null 2>&1; then
                rm "$unit"
                break
            fi
        done
    done
}

# One turn of a target: SECONDS.
turn() {
    local dir=$state/$1 log=$state/$1/log more=
    mkdir -p "$dir/corpus" "$dir/found"
    [ -d "$dir/seeds" ] && more=$dir/seeds
    [ -d "$here/corpus/$1" ] && more="$more $here/corpus/$1"
    case $1 in zip | torchfile) more="$more $here/../golden/pt" ;; esac
    dict=
    [ -f "$here/dict/$1" ] && dict=-dict=$here/dict/$1
    # shellcheck disable=SC2086
    "$build/fuzz_$1" $limits $dict -max_total_time="$2" -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="$dir/found/" "$dir/corpus" $more > "$log" 2>&1 &
    child=$!
    wait $child
    awk -v s="$2" '/^stat::number_of_executed_units/ {n = $2}
        /^stat::average_exec_per_sec/ {rate = $2}
        match($0, /cov: [0-9]+/) {edges = substr($0, RSTART + 5, RLENGTH - 5)}
        END {print n + 0, rate ? n / rate : s, edges + 0}' "$log" >> "$dir/turns"
    rm -rf "${TMPDIR:?}"/*              # of one that crashed
    forget_slow "$1"
    if grep -q 'ERROR: \|runtime error\|SUMMARY: ' "$log" && [ "$(count "$dir/found"/*-*)" -gt 0 ]
    then
        cp "$log" "$dir/found/log.$(date +%s)"
    fi
}

# The target with the fewest turns so far.
least_tried() {
    for t in $targets; do
        echo "$(cat "$state/$t/turns" 2>/dev/null | wc -l) $t"
    done | sort -n -s | head -n 1 | cut -d ' ' -f 2
}

# Merges STATE/TARGET into FOLDER/TARGET.  Of what is there, files with a name of their own stay,
# and those named by their hash where they still add something.
merge() {
    local folder
    folder=$(mkdir -p "$1" && cd "$1" && pwd) || exit 2
    for t in $targets; do
        new=$(mktemp -d) old=
        [ -d "$folder/$t" ] && old=$folder/$t
        [ -d "$state/$t/seeds" ] && old="$old $state/$t/seeds"
        # shellcheck disable=SC2086
        "$build/fuzz_$t" -merge=1 -use_counters=0 -rss_limit_mb=2048 -max_len=8192 "$new" $old \
            "$state/$t/corpus" > "$state/$t/merge" 2>&1
        mkdir -p "$folder/$t"
        find "$folder/$t" -type f -regextype egrep -regex '.*/[0-9a-f]{40}' -delete
        for file in "$folder/$t"/*; do
            [ -f "$file" ] && rm -f "$new/$(sha1sum < "$file" | cut -d ' ' -f 1)"
        done
        cp "$new"/* "$folder/$t/" 2>/dev/null
        rm -r "$new"
        echo "$t: $(count "$folder/$t"/*) files, $(du -sb "$folder/$t" | cut -f 1) bytes"
    done
}

main() {
    case ${1-} in
    table) table; return ;;
    merge) merge "$2"; return ;;
    esac
    TMPDIR=$(mktemp -d -p "$([ -w /dev/shm ] && echo /dev/shm)" voco-campaign-XXXXXX) || exit 2
    export TMPDIR
    trap 'kill ${child-} 2>/dev/null; rm -rf "$TMPDIR"; exit 0' INT TERM
    while :; do
        turn "$(least_tried)" "${1-60}"
    done
}

main "${@:3}"
exit
