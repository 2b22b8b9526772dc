#!/bin/sh
# reliability.sh [-s STRIDE] [-t SECONDS] PART [VERB...]: a part of the campaign of doc/reliability.md, in
# the build folder.  Results are kept in ./reliability, and the same command goes on where it
# stopped.  With -t it stops after so many seconds; with -s only
# every STRIDE-th n is tried, and a later call adds others.
#
#   memory PARTS    the n-th allocation of "voco", "libc", ... fails, for n = 1, 2, ... until none
#                   does; "+voco": all allocations from the n-th on
#   calls DEED      the n-th system call on files fails with ENOSPC, EIO, EINTR, EDQUOT, ESTALE, is
#                   cut SHORT, or is the last (KILL, TORN)
#   kills N         runs that are killed at random moments, until N are done, then resumed
#   signals N       runs that get a signal in front of random system calls of their saves
#   disk N          full disks of N sizes
#   table           the results so far
#
# Figures: reliability/PART-DEED-VERB.tsv, a line "n status seconds verdict place" for each run.
set -u
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
srcdir=$(cd "${srcdir:-$(dirname "$0")/..}" && pwd)
export srcdir
build=${VOCO_RELIABILITY-$PWD}
voco=$build/voco
training='finetune pretrain'
limit=1000000000 stride=1
while getopts s:t: opt; do
    case $opt in
    s) stride=$OPTARG ;;
    t) limit=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
. "$srcdir/tests/faults/verbs.sh"
[ -x "$tools/syscalls" ] || { echo "first: make faults-tools" >&2; exit 2; }
begun=$(date +%s)
part=${1:-table}
[ $# = 0 ] || shift
if [ "$part" != disk-one ]; then
    mkdir -p reliability && cd reliability || exit 2
fi

over() { [ $(($(date +%s) - begun)) -ge "$limit" ]; }

# fresh: an empty folder to run in
fresh() {
    cd "$home" && rm -rf "$try" && mkdir "$try" && cd "$try" || exit 99
}

# disturbed VERB N: one disturbed run in the current folder, whose status is returned
disturbed() {
    case $part in
    memory)
        run "$1" env LD_PRELOAD="$tools/memory.so" VOCO_FAULT_FROM="${deed#+}" \
            VOCO_FAULT_AT="$2${deed%%[a-z]*}" VOCO_FAULT_LOG="$PWD/log" ;;
    calls) run "$1" "$tools/syscalls" -l log -n "$2" -d "$deed" ;;
    esac
}

# one VERB N: a line of the table; false when there is no n-th
one() {
    fresh
    from=$(date +%s%N)
    disturbed "$1" "$2"
    status=$?
    took=$((($(date +%s%N) - from) / 1000000))
    place=$(grep '^hit\|^failed' log 2> /dev/null | head -n 1)
    if [ -z "$place" ]; then
        [ $status = "$(cat "$home/ref/$1/status")" ] && return 1
        place="no call $2"
    fi
    first=$(head -n 1 err | cut -c 1-120)
    judge "$1" $status
    again "$1"
    printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$2" $status $took "$verdict" "${place#"$home/"}" \
        "$first" >> "$file"
}

# every VERB: the n-th fails, for every n; with -s every STRIDE-th n, the others later
every() {
    file=$home/$part-$deed-$1.tsv
    try=try-$part-$deed-$1
    cd "$home" && reference "$1"
    touch "$file"
    n=1
    while ! over; do
        total=$(sed -n 's/^end\t//p' "$file")
        [ "$n" -gt "${total:-1000000000}" ] && break
        if ! cut -f 1 "$file" | grep -qx "$n" && ! one "$1" $n; then
            [ -n "$total" ] && break
            k=$n                        # the last one lies within the stride
            while [ $((k = k - 1)) -gt $((n - stride)) ] && ! one "$1" $k; do :; done
            printf 'end\t%s\n' $k >> "$file"
            break
        fi
        n=$((n + stride))
    done
    cd "$home" && rm -rf "$try"
}

# ---- runs of training that are killed, or get signals, and are resumed ----

# random N BELOW: the same number in every campaign for the same N
random() { awk -v n="$1" -v below="$2" 'BEGIN { srand(n); rand(); print int(rand() * below) }'; }

# finish VERB: until all steps are done; sets $verdict
finish() {
    verdict=ok
    again "$1"
    [ "$verdict" != ok ] || [ -s "$ref/$1/files" ] || verdict="no files"
}

# kill_runs N VERB: runs that are killed at random moments of their time, up to three times
kill_runs() {
    file=$home/kills-$2.tsv try=try-kills-$2
    cd "$home" && reference "$2"
    touch "$file"
    from=$(date +%s%N)
    fresh && run "$2"
    whole_ms=$((($(date +%s%N) - from) / 1000000))
    i=$(wc -l < "$file")
    while [ "$i" -lt "$1" ] && ! over; do
        i=$((i + 1))
        fresh
        kills=
        for k in 1 2 3; do
            ms=$(random $((3 * i + k)) $whole_ms)
            run "$2" timeout -s KILL "$(awk -v ms="$ms" 'BEGIN { print ms / 1000 + 0.001 }')"
            status=$?
            kills="$kills $ms"
            [ $status = 137 ] || break
        done
        case $status in
        0 | 3 | 137) finish "$2" ;;
        *) verdict="status $status" ;;
        esac
        printf '%s\t%s\t%s\t%s\tafter%s ms\t\n' $i $status "$whole_ms" "$verdict" "$kills" >> "$file"
    done
    cd "$home" && rm -rf "$try"
}

# signal_runs N VERB: three times in a row, a signal in front of a random call of a save, and
# one more in front of each of the two calls behind it
signal_runs() {
    file=$home/signals-$2.tsv try=try-signals-$2
    cd "$home" && reference "$2"
    touch "$file"
    fresh && run "$2" "$tools/syscalls" -b .ckpt- -l log
    calls=$(sed -n 's/^calls //p' log)
    i=$(wc -l < "$file")
    while [ "$i" -lt "$1" ] && ! over; do
        i=$((i + 1))
        fresh
        what= slowest=0 verdict=ok
        for k in 1 2 3; do
            signal=$(echo TERM USR1 USR2 XCPU INT | cut -d ' ' -f $(($(random $((7 * i + k)) 5) + 1)))
            more=$([ "$signal" = INT ] && echo 0 || echo 2)     # a second INT ends at once
            from=$(date +%s%N)
            run "$2" "$tools/syscalls" -b .ckpt- -l log -d "$signal" -r "$more" \
                -n $(($(random $((3 * i + k)) "$calls") + 1))
            status=$?
            ms=$((($(date +%s%N) - from) / 1000000))
            [ $ms -gt $slowest ] && slowest=$ms
            what="$what $signal:$status"
            hits=$(grep -c '^hit' log)
            case $status-$hits in
            75-* | 0-*) ;;
            *) verdict="status $status" ;;
            esac
            [ $status = 75 ] || break
        done
        [ $slowest -lt 20000 ] || verdict="took $slowest ms"
        [ "$verdict" != ok ] || finish "$2"
        printf '%s\t%s\t%s\t%s\t%s\t\n' $i $status $slowest "$verdict" "$what" >> "$file"
    done
    cd "$home" && rm -rf "$try"
}

# ---- full disks ----

# full_disks N VERB: disks of N sizes up to what the verb needs, then one that is large enough
full_disks() {
    file=$home/disk-$2.tsv try=try-disk-$2
    cd "$home" && reference "$2"
    touch "$file"
    kib=$(du -sk --apparent-size "ref/$2" | cut -f 1)
    i=$(wc -l < "$file")
    while [ "$i" -lt "$1" ] && ! over; do
        i=$((i + 1))
        fresh
        mkdir disk
        ln -s ../in in
        VOCO_RELIABILITY=$build unshare -rm "$self" disk-one "$2" $((4 + i * 2 * kib / $1)) \
            > line || echo "0	no disk" > line
        printf '%s\t%s\n' "$i" "$(cat line)" >> "$file"
    done
    cd "$home" && rm -rf "$try"
}

# one_disk VERB KIB: in a namespace of its own, so that nobody has to unmount it
one_disk() {
    mount -t tmpfs -o size="$2k" none disk && cd disk || exit 1
    said=.. ref=../../ref
    from=$(date +%s%N)
    run "$1"
    status=$?
    took=$((($(date +%s%N) - from) / 1000000))
    first=$(head -n 1 ../err | cut -c 1-120)
    judge "$1" $status
    mount -o remount,size=1g none . || exit 1
    again "$1"
    printf '%s\t%s\t%s\t%s KiB\t%s\n' $status $took "$verdict" "$2" "$first"
}

if [ "$part" = disk-one ]; then
    one_disk "$@"
    exit 0
fi

home=$PWD
prepare
case $part in
memory | calls)
    deed=$1
    shift
    for verb in ${*:-$verbs}; do
        over || every "$verb"
    done ;;
kills | signals | disk)
    runs=$1
    shift
    for verb in ${*:-$training}; do
        case $part in
        kills) over || kill_runs "$runs" "$verb" ;;
        signals) over || signal_runs "$runs" "$verb" ;;
        disk) over || full_disks "$runs" "$verb" ;;
        esac
    done ;;
all)
    for deed in voco +voco libc libhdf5 libz libzip libpng16 libdeflate libstdc++ libgomp; do
        "$self" -t "$limit" -s "$stride" memory "$deed"
    done
    for deed in ENOSPC EIO EINTR EDQUOT ESTALE SHORT KILL TORN; do
        "$self" -t "$limit" -s "$stride" calls "$deed"
    done
    "$self" kills 1000 finetune
    "$self" signals 1000 finetune
    "$self" disk 50 convert phantom predict eval embed leak plot import export finetune
    "$self" table ;;
table)
    for file in *.tsv; do
        awk -F '\t' -v name="${file%.tsv}" '
            $1 == "end" { end = $2 + 0; next }
            { runs++; codes[$2]++; if ($4 == "ok") ok++ }
            END {
                printf "%-32s %6d runs %6d right  %-8s", name, runs, ok, end != "" ? "of " end : ""
                for (c in codes) printf "  %s:%d", c, codes[c]
                print ""
            }' "$file"
    done ;;
*)
    echo "reliability.sh: no part is named $part" >&2
    exit 2 ;;
esac
