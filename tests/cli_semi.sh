#!/bin/sh
# voco finetune seg --semi and voco pretrain --objective omni from the command line: runs that
# stop before, in and behind the step of the snapshot and go on with the same bits, what the
# weights say, what is refused.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# Crops of 32^3 and width 12: a step takes a second.
tune() { "$voco" finetune seg -s store -f 12 --roi 32 --samples 2 --threads 2 --folds 4 "$@"; }

# keep RUN: what each step did, but for the times
keep() { sed 's/"seconds[^,}]*[,}]//g; s/"crops_per_second[^,}]*,//g; s/"page_faults[^,}]*,//g; s/"val_seconds[^,}]*,//g; s/"gflops[^,}]*[,}]//g; s/"peak_fraction[^,}]*[,}]//g' "$1/metrics.jsonl"; }

# same RUN RUN NAME: metrics and weights are the same bytes
same() {
    keep "$1" > a; keep "$2" > b; [ -s a ] && cmp -s a b
    ok $? "$3: the same metrics"
    cmp -s "$1/model.safetensors" "$2/model.safetensors"
    ok $? "$3: the same weights"
}

convert() { "$voco" -q convert --preset abdomen --pad 32 --pad-first none "$@" || exit 99; }
"$voco" -q phantom -n 4 --size 48,48,40 --spacing 8,8,8 -o ct --labels truth || exit 99
"$voco" -q phantom -n 3 --size 48,48,40 --spacing 8,8,8 --seed 9 -o more || exit 99
convert --spacing 8 -o store --labels 0-11 --label-folder truth ct
convert --spacing 8 -o bare more
convert --spacing 6 -o fine more

expect 2 'of --semi STORE, which is missing' "a threshold without --semi" \
    tune -o no --semi-threshold 0.5
expect 2 "'1.5' is not a number from 0 to 1" "a threshold that is no probability" \
    tune -o no --semi bare --semi-threshold 1.5
expect 2 'a snapshot does not move' "a momentum for a snapshot" \
    tune -o no --semi bare --semi-momentum 0.9
expect 2 'expected a number below 1' "a moving average that does not move" \
    tune -o no --semi bare --semi-teacher ema --semi-momentum 1
expect 2 'the run ends after 6 steps' "a start behind the end" \
    tune -o no --semi bare --epochs 2 --semi-start 6
expect 4 'with the same --spacing' "another spacing" tune -o no --semi fine
expect 4 'manifest' "no store" tune -o no --semi ct
expect 0 '3 volumes left out, on which the run validates\|1 volume left out' \
    "volumes that validate are not learnt from" tune --dry-run --semi store
expect 0 'from step 3 on: 2 crops more, labelled by a copy' "half of the steps" \
    tune --dry-run --semi bare --epochs 2
ok "$(test ! -e no; echo $?)" "nothing was written"

if [ "${VOCO_TEST_LEVEL-}" = short ]; then
    skip "runs that are stopped and go on" "a minute of training: VOCO_TEST_LEVEL=short"
    finish
fi

# ---- finetune seg --semi ----
options="--epochs 2 --warmup-epochs 1 --lr 1e-3 --val-epochs 1 --val-overlap 0 --semi bare"
# pieces NAME OPTION...: in one go, and stopped before, in and behind the step of the snapshot
pieces() {
    which=$1; shift
    # shellcheck disable=SC2086
    expect 0 'best Dice' "$which: a run" tune -o "$which" $options "$@"
    for stop in 2 3 4; do
        # shellcheck disable=SC2086
        expect 75 'goes on' "$which: stopped after step $stop" \
            tune -o "$which-cut" $options "$@" --stop-after $stop
    done
    # shellcheck disable=SC2086
    expect 0 'going on at step 4' "$which: and gone on" tune -o "$which-cut" $options "$@"
    same "$which" "$which-cut" "$which"
}
pieces snapshot
pieces ema --semi-teacher ema --semi-momentum 0.5 --semi-threshold 0.1
[ "$(grep -c '"unlabelled":0,' snapshot/metrics.jsonl)" = 3 ] \
    && [ "$(grep -c '"confident":1' snapshot/metrics.jsonl)" = 3 ]
ok $? "the first half has no labels of the teacher, the second has them everywhere"
[ "$(grep -c '"confident":0.[0-9]*' ema/metrics.jsonl)" = 3 ]
ok $? "with a threshold, on a part of the voxels"
expect 0 'unlabelled volumes' "the weights name both stores" \
    "$voco" model inspect snapshot/model.safetensors
grep -q 'trained on  *bare, hash [0-9a-f]*, 3 unlabelled volumes' out
ok $? "and how many volumes the second has"
expect 0 'teacher_backbone' "the teacher is in the checkpoint" \
    "$voco" model inspect snapshot/ckpt-6/model.safetensors
"$voco" model inspect snapshot/model.safetensors > out 2> err
grep -q teacher out; [ $? = 1 ]; ok $? "and not in the weights"
expect 0 'windows of 32' "which predict" \
    "$voco" predict -w snapshot/ckpt-6 -n -o labels ct/phantom-00000.nii.gz
# shellcheck disable=SC2086
expect 8 'made with --semi true, now it is false' "a run without --semi does not go on with it" \
    tune -o snapshot --epochs 2 --warmup-epochs 1

# shellcheck disable=SC2086
expect 8 'made with --semi-start 3, now it is 4' "nor with another start" \
    tune -o snapshot $options --epochs 3
# shellcheck disable=SC2086
expect 0 'best Dice' "more epochs go on with the same one" \
    tune -o snapshot $options --epochs 3 --semi-start 3

# ---- pretrain --objective omni ----
"$voco" -q phantom -n 2 --size 100,100,36 --spacing 3 -o wide --labels wide-truth || exit 99
"$voco" -q convert --preset abdomen -o labelled --labels 0-11 --label-folder wide-truth wide \
    || exit 99
"$voco" -q convert --preset abdomen --spacing 2 -o other wide || exit 99
omni() {
    "$voco" pretrain --objective omni --feature-size 12 --batch 1 --sw 1 --labelled-samples 1 \
        --labelled-roi 32 --schedule constant --precision f32 --threads 2 --group 4 \
        --checkpoint-minutes 0 "$@"
}
expect 2 '--labelled STORE is missing' "no labelled store" omni --store labelled -o no
expect 2 'exclude each other' "a replay and a labelled store" \
    omni --replay x.h5 --labelled labelled -o no
expect 2 'multiple of 32' "labelled crops of 40" \
    omni --store labelled --labelled labelled --labelled-roi 40 -o no
expect 2 'the run ends after 2 steps' "a start behind the end" \
    omni --store labelled --labelled labelled --steps 2 --semi-start 2 -o no
expect 4 'none of 2 volumes has a label map' "a store without labels" \
    omni --store labelled --labelled other --steps 2 -o no
expect 4 'with the same --spacing' "another spacing" \
    omni --store other --labelled labelled --steps 2 -o no
expect 2 'go up to class' "too few classes" \
    omni --store labelled --labelled labelled --classes 3 --steps 2 -o no
expect 6 'MiB are allowed' "too little memory" \
    omni --store labelled --labelled labelled --steps 2 -o no --memory 50M
ok "$(test ! -e no; echo $?)" "nothing was written"

run="--store labelled --labelled labelled --steps 4"
# shellcheck disable=SC2086
expect 0 '4 steps; weights in omni/model.safetensors' "a run" omni $run -o omni
for stop in 2 3; do
    # shellcheck disable=SC2086
    expect 75 'goes on' "stopped after step $stop" omni $run -o omni-cut --stop-after $stop
done
# shellcheck disable=SC2086
expect 0 'going on at step 3' "and gone on" omni $run -o omni-cut
same omni omni-cut "omni"
[ "$(grep -c '"semi":0,' omni/metrics.jsonl)" = 2 ] && [ "$(grep -c '"confident":1' omni/metrics.jsonl)" = 2 ]
ok $? "the decoder learns from the teacher in the second half"
[ -s omni/mosaic.png ]; ok $? "there is a picture of the crops"
# shellcheck disable=SC2086
expect 8 'made with --objective omni, now it is voco' "VoCo does not go on with it" \
    "$voco" pretrain --feature-size 12 --store labelled --steps 4 -o omni
expect 0 'loaded (100.0 %' "finetune seg takes encoder and decoder" \
    tune -o tuned --epochs 1 --warmup-epochs 0 --weights omni/model.safetensors
finish
