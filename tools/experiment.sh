#!/bin/sh
# Does pre-training help where labels are few?  Phantoms: pre-train on unlabelled ones,
# fine-tune on a few labelled ones, compare with the same fine-tuning from random weights
# on phantoms that nothing has seen.  doc/experiment.md tells what came of it.
# Usage: tools/experiment.sh VOCO FOLDER
# What is there already is not done again; a run that was stopped goes on.
set -eu
voco=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
tools=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$2"
cd "$2"
# Threads that wait should not spin: an hour's work rarely has the machine to itself.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY-passive}"

seeds="${VOCO_EXPERIMENT_SEEDS-1 2 3}"
arms="scratch pretrained"
organs=0-4,5-11:0                   # lungs, heart and liver; the rest is background

say() { printf '\n== %s\n' "$*"; }

# once MARK VOCO-ARGUMENTS...: runs voco unless MARK is there.
once()
{
    mark=$1
    shift
    test -e "$mark" && return
    printf '$ voco %s\n' "$*"
    "$voco" "$@"
}

# phantoms SEED COUNT FOLDER ARGUMENTS...: about half a trunk each, 256 mm of it.
phantoms()
{
    seed=$1 count=$2 folder=$3
    shift 3
    once "$folder/phantom-$(printf %05d $((count - 1))).nii.gz" \
        phantom --seed "$seed" -n "$count" --size 224,224,64 --spacing 1.6,1.6,4 \
        -o "$folder" "$@"
}

say '1/5 Phantoms: 64 without labels, 24 with, 8 for the test'
phantoms 11 64 data/unlabelled
phantoms 12 24 data/train --labels data/train-labels
phantoms 16 8 data/test --labels data/test-labels
once store/unlabelled/manifest.jsonl convert --spacing 0 -o store/unlabelled data/unlabelled
once store/labelled/manifest.jsonl convert --spacing 0 --labels "$organs" \
    --label-folder data/train-labels -o store/labelled data/train

say '2/5 Pre-training without labels'
once pretrained/model.safetensors pretrain --store store/unlabelled --out pretrained -f 12 \
    -b 2 --steps 160 --warmup 10 --lr 2e-4 --no-augment --drop 0 --memory 4G \
    --checkpoint-steps 20

say '3/5 Fine-tuning on 4 of the 24, other ones for each seed'
for seed in $seeds; do
    for arm in $arms; do
        from=
        test $arm = scratch || from="--weights pretrained/model.safetensors"
        once "$arm-$seed/model.safetensors" finetune seg --store store/labelled \
            --out "$arm-$seed" -f 12 --roi 64 --samples 1 --positive 0.9 --folds 1 \
            --fraction 0.17 --split-seed "$seed" --seed "$seed" --flip 0 --turn 0 \
            --lr 1e-3 --warmup-epochs 3 --epochs 150 --memory 4G $from
    done
done

say '4/5 Prediction'
for seed in $seeds; do
    for arm in $arms; do
        once "$arm-$seed/done" predict --weights "$arm-$seed/model.safetensors" \
            --roi 64 --overlap 0.25 --skip-existing -o "$arm-$seed/labels" data/test
        : > "$arm-$seed/done"
    done
done

# Where the label maps of an arm are; "all": those of all seeds side by side, under names of
# their own, so that they are scored together.
labels_of() { test "$2" = all && echo "all/$1" || echo "$1-$2/labels"; }

truth_of() { test "$1" = all && echo all/truth || echo data/test-labels; }

for seed in $seeds; do
    for map in data/test-labels/*.nii.gz; do
        name=seed$seed-$(basename "$map")
        mkdir -p all/truth all/scratch all/pretrained
        cp "$map" "all/truth/$name"
        for arm in $arms; do
            cp "$arm-$seed/labels/$(basename "$map")" "all/$arm/$name"
        done
    done
done

say '5/5 Scores'
mkdir -p scores
for seed in $seeds all; do
    "$voco" -q eval --labels "$organs" -o "scores/scratch-$seed" \
        "$(labels_of scratch "$seed")" "$(truth_of "$seed")" > "scores/scratch-$seed.txt"
    "$voco" -q eval --labels "$organs" -o "scores/pretrained-$seed" \
        --against "$(labels_of scratch "$seed")" \
        "$(labels_of pretrained "$seed")" "$(truth_of "$seed")" > "scores/pretrained-$seed.txt"
done
sh "$tools/experiment_table.sh" $seeds
