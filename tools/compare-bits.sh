#!/bin/sh
# Do two revisions of voco compute the same bits?  Builds BASE and the working tree that this
# script stands in, lets both programs train, predict and embed with the same options and
# seeds, and compares what they wrote: for a change that must not change a number.
#
#   tools/compare-bits.sh [BASE [FOLDER]]          e.g. tools/compare-bits.sh c42dadd
#
# BASE     a revision; default: where this branch left main (on main: the last commit)
# FOLDER   for builds and runs; default: voco-compare-bits in TMPDIR or /tmp.  Builds in it
#          are used again, so the second call takes the time of the runs alone.
#
# Prints a line per comparison, "equal" or "DIFFERS" with the first difference in each file,
# then a count.  Exit status: 0 all equal, 1 some differ, 2 it could not be found out.
# CC and CFLAGS in the environment go to configure where a folder is new.
#
# Compared are metrics.jsonl without times and rates; best.json; every file of weights and of
# checkpoints; label maps, probabilities, embeddings.  In a checkpoint's state.json the
# version of voco may differ, and the working tree may record settings that BASE did not, in
# another order.  Of files of weights the tensors count, not the metadata beside them.  So SUMS
# must name the same files; its checksums may differ.
set -u
die() { echo "compare-bits: $*" >&2; exit 2; }

# the tree of this script, or, of a copy of it elsewhere, that of the current folder
top=$(git -C "$(dirname "$0")" rev-parse --show-toplevel 2> /dev/null ||
    git rev-parse --show-toplevel) || die "neither $0 nor the current folder is in a working tree"

case ${1-} in
-*) sed -n '2,/^set /p' "$0" | sed 's/^# \{0,1\}//; /^set /d' >&2; exit 2 ;;
esac
base=${1-$(git -C "$top" merge-base main HEAD 2> /dev/null || echo HEAD)}
base=$(git -C "$top" rev-parse --verify --quiet --short "$base^{commit}") ||
    die "'${1-}' is no revision of $top"
work=${2-${TMPDIR:-/tmp}/voco-compare-bits}
mkdir -p "$work" && work=$(cd "$work" && pwd) || die "cannot make the folder $work"

# ---- two builds ----

# make_build SOURCE BUILD TARGET...: configures where that was not done, and makes
make_build() {
    source=$1 build=$2
    shift 2
    {
        [ -x "$source/configure" ] || "$source/bootstrap" || return
        mkdir -p "$build"
        [ -f "$build/config.status" ] || (cd "$build" && "$source/configure" -q) || return
        make -s -C "$build" -j"$(nproc)" "$@"
    } > "$work/build.log" 2>&1
}

built() {
    make_build "$@" && return
    tail -n 20 "$work/build.log" >&2
    die "$1 does not build; all of it is in $work/build.log"
}

old_source=$work/$base/source
if [ ! -d "$old_source" ]; then
    mkdir -p "$old_source.part"
    git -C "$top" archive "$base" | tar -x -C "$old_source.part" &&
        mv "$old_source.part" "$old_source" || die "cannot unpack $base in $old_source"
fi
new_build=$work/tree-$(echo "$top" | cksum | cut -d ' ' -f 1)     # one for each working tree
built "$old_source" "$work/$base/build" voco
built "$top" "$new_build" voco tests/make_replay
old=$work/$base/build/voco new=$new_build/voco

# ---- comparisons ----
n=0 different=0
runs=$work/runs
rm -rf "$runs"
mkdir -p "$runs" && cd "$runs" || die "cannot make the folder $runs"

# recorded FILE OTHER: the settings and counters of a state.json that both files have, one a
# line.  "augment" of segmentation was an array until it became four settings.
recorded() {
    perl -MJSON::PP -0777 -e '
        my $json = JSON::PP->new->canonical->allow_nonref;
        my ($one, $other) = map { open my $f, "<", $_ or die; $json->decode(<$f>) } @ARGV;
        for my $pair ([$one, $other], [$one->{options}, $other->{options}]) {
            my ($a, $b) = @$pair;
            for my $key (sort keys %$a) {
                next if $key eq "options" || $key eq "voco" || !exists $b->{$key};
                print "$key: ", $json->encode($a->{$key}), "\n";
            }
        }' "$1" "$2"
}

# comparable FILE OTHER: what of FILE must be equal.  HDF5's header of a dataset has a message of type
# 0x12, 8 bytes long, that says when it was written.
comparable() {
    case $1 in
    *metrics.jsonl)
        sed -E 's/"([a-z_]*seconds[a-z_]*|crops_per_second|gflops|peak_fraction|page_faults)":[^,}]*,?//g' "$1" ;;
    *state.json) recorded "$1" "$2" ;;
    *SUMS) awk '{ print $3 }' "$1" ;;
    *.safetensors)
        header "$1" | perl -MJSON::PP -0777 -ne '
            my $header = decode_json($_);
            delete $header->{__metadata__};
            print JSON::PP->new->canonical->encode($header)'
        tail -c +$(($(od -An -tu8 -N8 "$1") + 9)) "$1" ;;
    *.gz) gzip -dc "$1" ;;
    *.h5) perl -0777 -pe 's/(\x12\0\x08\0.\0{3}\x01\0{3}).{4}/$1when/gs' "$1" ;;
    *) cat "$1" ;;
    esac
}

# header FILE.safetensors: its JSON
header() { tail -c +9 "$1" | head -c "$(od -An -tu8 -N8 "$1" | tr -d ' ')"; }

# tensor_at FILE.safetensors BYTE: the tensor that BYTE, counted from 0, belongs to
tensor_at() {
    data=$(($(od -An -tu8 -N8 "$1") + 8))
    header "$1" | sed 's/"data_offsets":\[\([0-9]*\),\([0-9]*\)\]}/\n\1 \2\n/g' |
        awk -v at=$(($2 - data)) '
            /^[0-9]+ [0-9]+$/ {
                if (at >= $1 && at < $2) {
                    sub(/^.*[,{]"/, "", name)
                    sub(/":.*/, "", name)
                    print name ", byte " at - $1 " of " $2 - $1
                }
                next
            }
            { name = $0; sub(/\{[^{]*$/, "", name) }'
}

# first_difference A B: of two files
first_difference() {
    case $1 in
    *.safetensors)
        header "$1" > a.txt
        header "$2" > b.txt
        if cmp -s a.txt b.txt; then
            byte=$(cmp "$1" "$2" 2>&1 | sed -n 's/.* \(byte\|char\) \([0-9]*\),.*/\2/p')
            [ -n "$byte" ] && tensor_at "$1" $((byte - 1)) || cmp "$1" "$2" 2>&1
        else
            echo "header: $(cmp a.txt b.txt 2>&1)"
        fi ;;
    *.jsonl)
        comparable "$1" "$2" | tr '{},' '\n' > a.txt
        comparable "$2" "$1" | tr '{},' '\n' > b.txt
        step=$(diff a.txt b.txt | sed -n '1s/^\([0-9]*\).*/\1/p')
        head -n "$step" a.txt | grep '"step"' | tail -n 1 | tr '\n' ' '
        diff a.txt b.txt | sed -n '/^[<>]/p' | head -n 2 | tr '\n' ' ' ;;
    *.json | *SUMS)
        comparable "$1" "$2" > a.txt
        comparable "$2" "$1" > b.txt
        diff a.txt b.txt | sed -n '/^[<>]/p' | head -n 2 | tr -s ' \n' ' ' ;;
    *)
        comparable "$1" "$2" > a.bin
        comparable "$2" "$1" > b.bin
        cmp a.bin b.bin 2>&1 ;;
    esac
}

# same A B: whether the two files are equal where they must be
same() {
    cmp -s "$1" "$2" && return
    case $1 in
    *metrics.jsonl | *state.json | *SUMS | *.safetensors | *.gz | *.h5)
        comparable "$1" "$2" > a.bin
        comparable "$2" "$1" > b.bin
        cmp -s a.bin b.bin ;;
    *) false ;;
    esac
}

# files FOLDER: those that are compared.  Left out: what quotes times and machine, and shards
# of stores, which end with a sum over the times in them; the manifest has sums of the volumes.
files() {
    (cd "$1" && find . -type f ! -name config.json ! -name tune.json ! -name '*.png' \
        ! -name 'events.*' ! -name 'shard-*.h5') | sed 's,^\./,,' | sort
}

differs() {
    [ $differ = 0 ] && echo "DIFFERS  $name"
    differ=1
    echo "         $*"
}

# compare NAME A B: two folders, or what their programs said when they failed
compare() {
    name=$1 differ=0
    n=$((n + 1))
    if [ -s "$3.failed" ]; then
        differs "$(cat "$3.failed")"
    else
        files "$2" > files.a
        files "$3" > files.b
        cmp -s files.a files.b ||
            differs "other files: $(diff files.a files.b | sed -n '/^[<>]/p' | tr '\n' ' ')"
        for file in $(comm -12 files.a files.b); do
            same "$2/$file" "$3/$file" ||
                differs "$file: $(first_difference "$2/$file" "$3/$file")"
        done
    fi
    if [ $differ = 0 ]; then
        echo "equal    $name ($(wc -l < files.a) files)"
    else
        different=$((different + 1))
    fi
}

# by_old STATUS FOLDER COMMAND...: of BASE, which must succeed
by_old() {
    want=$1 folder=$2
    shift 2
    "$old" "$@" -o "$folder" > log.txt 2>&1
    got=$?
    [ $got = "$want" ] && return
    tail -n 3 log.txt >&2
    die "$base ends with status $got, expected $want: voco $* -o $folder"
}

# by_new FOLDER COMMAND...: of the working tree; a failure is a difference
by_new() {
    folder=$1
    shift
    "$new" "$@" -o "$folder" > log.txt 2>&1 ||
        echo "status $? of voco $* -o $folder: $(tail -n 1 log.txt)" > "$folder.failed"
}

# output NAME FILE COMMAND...: one that writes FILE, or a folder of that name, -o
output() {
    name=$1 file=$2
    shift 2
    mkdir old new
    by_old 0 "old/$file" "$@"
    by_new "new/$file" "$@"
    [ ! -e "new/$file.failed" ] || mv "new/$file.failed" new.failed
    compare "$name" old new
    rm -rf old new new.failed
}

# train NAME STOP COMMAND...: one that makes a run folder.  A second run is begun by BASE,
# stopped after STOP steps and ended by the working tree.  NAME stays, as BASE made it.
train() {
    name=$1 stop=$2
    shift 2
    set -- "$@" --checkpoint-minutes 0 --checkpoint-steps "$stop" --threads 2
    by_old 0 "$name" "$@"
    sed -n 's/^plan: /# /p' log.txt
    by_new new "$@"
    compare "$name" "$name" new
    by_old 75 resumed "$@" --stop-after "$stop"
    by_new resumed "$@"
    compare "$name, begun by $base" "$name" resumed
    rm -rf new new.failed resumed resumed.failed
}

# ---- inputs, from BASE; both programs take the defaults of convolutions ----
VOCO_TUNE=none
OMP_WAIT_POLICY=${OMP_WAIT_POLICY-passive}
export VOCO_TUNE OMP_WAIT_POLICY
by_old 0 ct phantom -q -n 3 --size 192,192,64 --spacing 2
by_old 0 store convert -q --threads 1 --spacing 0 --window=-175,250 ct
by_old 0 few phantom -q -n 4 --size 64,64,64 --spacing 4 --labels truth
by_old 0 labelled convert -q --threads 1 --preset abdomen --spacing 8 --pad 32 --pad-first none \
    --labels 0-11 --label-folder truth few
"$new_build/tests/make_replay" batch.h5 || die "tests/make_replay cannot write batch.h5"
one=few/phantom-00000.nii.gz

echo "# $base and the working tree $top"
output "phantom" ct phantom -n 1 --size 48,48,48 --spacing 4
output "convert" store convert --threads 1 --preset abdomen --spacing 8 --labels 0-11 --label-folder truth few
pretrain="-f 12 --steps 3 --warmup 1 --lr 1e-3"
store="pretrain -s store $pretrain --batch 2 --sw 1"
replay="pretrain --replay batch.h5 $pretrain --group 4"
# shellcheck disable=SC2086
{
    train pretrain-f32 1 $store --precision f32 --memory 4G
    train pretrain-f32-recomputed 1 $store --precision f32 --memory 1200M --steps 2
    train pretrain-bf16 1 $store --precision bf16 --memory 4G
    train pretrain-bf16-recomputed 1 $store --precision bf16 --memory 900M --steps 2
    train replay-f32 2 $replay --precision f32 --memory 4G
    train replay-bf16 2 $replay --precision bf16 --memory 4G
}

seg="finetune seg -s labelled --roi 32 --folds 4 --epochs 2 --warmup-epochs 1 --lr 1e-3"
seg="$seg --val-epochs 1 --val-overlap 0 --memory 4G"
# shellcheck disable=SC2086
{
    train seg 4 $seg -f 12 --samples 2
    train seg-from-encoder 4 $seg --samples 2 --layer-decay 0.8 \
        --weights pretrain-f32/model.safetensors
    train seg-frozen 4 $seg --samples 2 --layer-decay 0.8 --freeze-encoder \
        --weights seg/best.safetensors
    train seg-plainconv 3 $seg --net plainconv --samples 1
}

for weights in seg seg-frozen seg-plainconv; do
    output "predict, $weights" labels predict -w $weights/best.safetensors --threads 2 \
        --probabilities $one
done
output "predict, mirrored" labels predict -w seg/best.safetensors --threads 2 --mirror xyz \
    --resample linear few
for weights in pretrain-f32 pretrain-bf16; do
    output "embed, $weights" out.h5 embed -w $weights/model.safetensors --threads 2 few
done
output "embed, crops" out.h5 embed -w pretrain-f32/model.safetensors --threads 2 batch.h5

cd / && rm -rf "$runs"
echo "$n comparisons, $different differ"
[ $different = 0 ]
