#!/bin/sh
# voco pretrain --objective voco-cvpr and voco-nnssl, and other grids and sizes of crops, from
# the command line: resume to the bit, what is in the files, what is refused.
# TAP; the program is ./voco of the build folder.
if [ "${VOCO_TEST_LEVEL-}" = short ]; then
    echo '1..0 # SKIP a minute of training: VOCO_TEST_LEVEL=short'
    exit 77
fi
. "${srcdir:-.}/tests/tap.sh"
make_replay=$build/tests/make_replay

# metrics RUN: the rows without what depends on the clock
metrics() {
    sed -e 's/"\(seconds[a-z_]*\|crops_per_second\|gflops\|peak_fraction\|page_faults\)":[^,}]*,\{0,1\}//g' \
        "$1/metrics.jsonl"
}

# same RUN RUN NAME: metrics and weights are the same bytes
same() {
    metrics "$1" > a.metrics
    metrics "$2" > b.metrics
    [ -s a.metrics ] && cmp -s a.metrics b.metrics
    ok $? "$3: the same metrics"
    cmp -s "$1/model.safetensors" "$2/model.safetensors"
    ok $? "$3: the same weights"
}

"$make_replay" wide.h5 wide && "$make_replay" nine.h5 || exit 99
tiny="--feature-size 12 --threads 2 --group 4 --checkpoint-minutes 0 --precision f32"
variant() { v=$1; shift; "$voco" pretrain --objective "voco-$v" --replay wide.h5 $tiny "$@"; }

# ---- the variants ----
for v in cvpr nnssl; do
    expect 0 "loss: pos + neg + reg" "$v: three steps" variant $v --out $v --steps 3
    head -n 1 $v/metrics.jsonl | grep -q '"pos":[0-9.]*,"neg":[0-9.]*,"reg":[0-9.]*,' \
        && ! grep -q '"nonfinite"' $v/metrics.jsonl && [ -s $v/loss.png ]
    ok $? "$v: the terms are in the log"
    expect 75 "stopped at step 1" "$v: stopped after one" \
        variant $v --out $v.cut --steps 3 --stop-after 1
    expect 0 "going on at step 1" "$v: goes on" variant $v --out $v.cut --steps 3
    same $v $v.cut "$v"
    expect 0 "" "$v: verify" "$voco" verify $v
    expect 0 "1 step; weights" "$v: in bf16" variant $v --out $v.bf16 --steps 1 \
        --precision bf16
    expect 0 "embeddings" "$v: embed takes the weights" \
        "$voco" embed -w $v/model.safetensors -p none -o $v.emb.h5 wide.h5
    expect 0 "recomputed" "$v: with little memory" variant $v --out $v.small --steps 1 \
        --memory 1G --group 1
done
grep -q '"objective": *"voco-cvpr"' cvpr/config.json; ok $? "config.json names the objective"
grep -q '"optimizer": *"sgd"' nnssl/config.json && grep -q '"schedule": *"poly"' nnssl/config.json
ok $? "nnssl's is trained with SGD"
"$voco" model inspect cvpr/ckpt-3/model.safetensors > out 2> err
grep -q 'teacher_backbone' out; ok $? "checkpoints have the teacher's backbone"
"$voco" model inspect cvpr/model.safetensors > out 2> err
! grep -q 'teacher_backbone' out; ok $? "the weights have not"
expect 0 "parameters loaded" "its weights start a run of the default" \
    "$voco" pretrain --replay nine.h5 $tiny --out from --steps 1 --init cvpr/model.safetensors
expect 0 "parameters loaded" "and the other way round" \
    variant cvpr --out back --steps 1 --init from/model.safetensors
expect 0 "loss: pos + neg; there is no teacher" "without the regulariser" \
    variant nnssl --out noreg --steps 1 --reg no
grep -q '"reg":0[.,]' noreg/metrics.jsonl; ok $? "which is 0 in the log"

# ---- other crops ----
"$voco" -q phantom -o ct -n 2 --size 128,128,64 --spacing 2,2,4 > out 2> err \
    && "$voco" -q convert -o store --spacing 0 --pad none --window=-175,250 ct > out 2> err
ok $? "a store of two volumes"
crops() { "$voco" pretrain --store store $tiny --batch 1 --sw 1 --steps 1 "$@"; }
expect 0 "crops: 2x2x1 bases of 64^3 voxels" "a grid of 2x2x1" crops --out a --grid 2x2x1
[ -s a/mosaic.png ]; ok $? "and its mosaic"
expect 0 "crops: 1x2x2 bases of 32^3 voxels, resized to 64^3" "two layers" \
    crops --out b --grid 1x2x2 --positions 3d --crop 32
[ -s b/mosaic.png ]; ok $? "and their mosaic"
expect 0 "crops: 2x1x1 bases of 96 mm, as 64^3 voxels" "crops of 96 mm" \
    crops --out c --grid 2x1x1 --crop-mm 96
expect 0 "crops: 2x2x1 bases of 48^3 voxels, resized to 64^3" "the first version on a store" \
    crops --objective voco-cvpr --out d --grid 2x2x1 --crop 48
expect 0 "crops: 2x1x1 bases of 64^3 voxels" "nnssl's on a store" \
    crops --objective voco-nnssl --out e --grid 2x1x1

# ---- what is refused ----
expect 4 "has 128 x 128 x 64 voxels, a block takes 192 x 192 x 64" "a volume that is too small" \
    crops --out r
expect 4 "a block takes 384 x 384 x 96" "a volume that is too small for the first version" \
    crops --out r --objective voco-cvpr
expect 4 "a block takes 150 x 150 x 25 (3x3x1 crops of 100 mm)" "crops that are too long" \
    crops --out r --crop-mm 100
expect 2 "expected base crops along x, y and z, such as 3x3x1" "a grid that is none" \
    crops --out r --grid 3x3
expect 2 "has 81 base crops: expected 2 to 64" "a grid of too many" crops --out r --grid 9x9x1
expect 2 "2 layers along z, where crops move with --positions 3d" "layers without 3d" \
    crops --out r --grid 2x2x2
expect 2 "roi 80: expected a multiple of 32" "a crop that the network cannot halve" \
    crops --out r --roi 80
expect 2 "roi" "a crop whose deepest map is one voxel" crops --out r --roi 32
expect 2 "crop 32 and --crop-mm 64 exclude each other" "two edges" \
    crops --out r --crop 32 --crop-mm 64
expect 4 "labels are for 9 base crops, expected the 16 of a grid of 4x4x1" "labels of another grid" \
    "$voco" pretrain --objective voco-cvpr --replay nine.h5 $tiny --out r
expect 4 "labels are for 16 base crops, expected the 9 of a grid of 3x3x1" "and the other way round" \
    "$voco" pretrain --replay wide.h5 $tiny --out r
expect 2 "batches by formula have a grid of 3x3x1" "a formula for another grid" \
    "$voco" pretrain --objective voco-cvpr --replay hash:1:2:2 $tiny --out r
expect 2 "teacher" "an option of another objective" variant nnssl --out r --teacher no
expect 8 "objective" "a run of another objective" \
    "$voco" pretrain --objective voco-nnssl --replay wide.h5 $tiny --out cvpr --steps 3
[ ! -e r/ckpt-0 ] && [ ! -e r/config.json ]; ok $? "and nothing was begun"
finish
