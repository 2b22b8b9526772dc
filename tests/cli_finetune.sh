#!/bin/sh
# voco finetune seg from the command line: a run, the same run in pieces, what it refuses.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# Crops of 32^3 and width 12: a step takes a second.
tune() { "$voco" finetune seg -s store -f 12 --roi 32 --samples 2 --threads 2 --folds 4 "$@"; }

same() { cmp "$1/model.safetensors" "$2/model.safetensors" > out.cmp 2>&1; }

# keep RUN: what each step did, but for the times
keep() { sed 's/"seconds[^,}]*[,}]//g; s/"crops_per_second[^,}]*,//g; s/"page_faults[^,}]*,//g; s/"val_seconds[^,}]*,//g; s/"gflops.*//' "$1/metrics.jsonl"; }

"$voco" -q phantom -n 4 --size 48,48,40 --spacing 8,8,8 -o ct --labels truth || exit 99
"$voco" -q convert --preset abdomen --spacing 8 --pad 32 --pad-first none -o store \
    --labels 0-11 --label-folder truth ct || exit 99
"$voco" -q convert --preset abdomen --spacing 8 --pad 32 --pad-first none -o bare ct || exit 99

expect 2 '--store' "no store" "$voco" finetune seg -o run
expect 2 '--out' "no run" "$voco" finetune seg -s store
expect 2 "did you mean 'seg'" "an unknown task" "$voco" finetune sge
expect 2 'multiple of 32' "crops of 40" tune -o run --roi 40
expect 2 'folds 0 to 3' "a fold that is none" tune -o run --fold 4
expect 2 'go up to class 11' "too few classes" tune -o run --classes 3
expect 4 'label map' "a store without labels" "$voco" finetune seg -s bare -o run
expect 5 'nothing.pt' "weights that are not there" tune -o run -w nothing.pt
expect 6 'MiB are allowed' "too little memory" tune -o run --memory 50M
expect 0 'training on 3 volumes, validating on 1 ' "a dry run" tune --dry-run
expect 0 'class 12 is in none of the training volumes' "a class that is nowhere" \
    tune --dry-run --classes 13
ok "$(test ! -e run; echo $?)" "nothing was written"

expect 2 'is of Swin UNETR\|are of Swin UNETR' "a feature size of nnU-Net's network" \
    tune -o run --net plainconv
expect 0 'PlainConvUNet of 6 stages, 32-64-128-256-320-320' "nnU-Net's network" \
    "$voco" finetune seg -s store --folds 4 --roi 32 --net plainconv --dry-run

mkdir busy && exec 9< busy && flock 9
expect 2 'another voco' "a folder that another run has" tune -o busy
exec 9<&-
ok "$(test -z "$(ls busy)"; echo $?)" "which stays as it is"

"$build/tests/make_segweights" two.safetensors 12 2 3 32 abdomen 3 || exit 99
expect 8 '3 have another shape' "weights of two channels" \
    tune -o two --adapter refuse -w two.safetensors
expect 8 'expected at least --min-coverage 99.999' "a share that is not reached" \
    tune -o two --adapter refuse -w two.safetensors --min-coverage 99.999

if [ "${VOCO_TEST_LEVEL-}" = short ]; then
    skip "runs that are stopped, go on and predict" "a minute of training: VOCO_TEST_LEVEL=short"
    finish
fi

options="--epochs 2 --warmup-epochs 1 --lr 1e-3 --val-epochs 1 --val-overlap 0"
# shellcheck disable=SC2086
expect 0 'best Dice' "a run" tune -o run $options
for file in best.safetensors best.json model.safetensors loss.png config.json ckpt-6; do
    ok "$(test -e run/$file; echo $?)" "the run has $file"
done
grep -c val_dice_11 run/metrics.jsonl > n; grep -q 2 n
ok $? "Dice of every class after each epoch"

# shellcheck disable=SC2086
expect 75 'goes on' "stopped after a step" tune -o pieces $options --stop-after 1
# shellcheck disable=SC2086
expect 75 'goes on' "and where it validates" tune -o pieces $options --stop-after 3
# shellcheck disable=SC2086
expect 0 'best Dice' "and gone on to the end" tune -o pieces $options
same run pieces; ok $? "the same weights as without a stop"
keep run > a; keep pieces > b; cmp a b > out.cmp 2>&1; ok $? "the same numbers in the log"
cmp run/best.json pieces/best.json > out.cmp 2>&1; ok $? "the same best"

# shellcheck disable=SC2086
expect 0 'loaded (100.0 %' "from its own weights, encoder frozen" \
    tune -o frozen $options --epochs 1 --weights run/best.safetensors --freeze-encoder
expect 0 'began with  *run/best.safetensors, CRC-32C' "which say what they began with" \
    "$voco" model inspect frozen/model.safetensors
ok "$(test "$(grep -c 'made by .*segment' out)" = 2; echo $?)" "and how that was made"
grep -q 'trained on  *store, hash [0-9a-f]*, 4 volumes, axes RAS' out
ok $? "and of which store"
expect 0 '"orientation\|voco.orientation' "the best ones say it, too" \
    "$voco" model inspect run/best.safetensors
expect 0 'windows of 32' "its weights predict" \
    "$voco" predict -w frozen/best.safetensors -o labels ct/phantom-00000.nii.gz
for weights in run run/ckpt-6 run/ckpt-6/model.safetensors; do
    expect 0 'transforms of abdomen (the weights)' "$weights predicts" \
        "$voco" predict -w $weights -o by ct/phantom-00000.nii.gz
    grep -q 'windows of 32' err; ok $? "in the windows of the run"
    mv by/phantom-00000.nii.gz "$(echo $weights | tr / -).nii.gz"
done
cmp run.nii.gz run-ckpt-6.nii.gz > out.cmp 2>&1
ok $? "the last checkpoint predicts what the weights at the end do"
expect 0 'for MONAI' "exported as .pt" "$voco" model export run/best.safetensors -o best.pt
expect 0 'windows of 32' "they still know how to predict" \
    "$voco" predict -w best.pt -n -o labels ct/phantom-00000.nii.gz
# shellcheck disable=SC2086
expect 8 'feature size 12' "weights of another width" \
    tune -o wide $options -w run/best.safetensors -f 24
finish
