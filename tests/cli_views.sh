#!/bin/sh
# voco pretrain --objective contrast and simclr from the command line: a short run on
# phantoms, a resume to the bit, a replay, what is refused, and what takes the encoder.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

"$voco" -q phantom -o ct --labels lab -n 2 --size 56,56,40 --spacing 4 > out 2> err &&
    "$voco" -q convert --preset abdomen --spacing 4 --pad none --pad-first none --labels 0-11 --label-folder lab \
        -o store ct > out 2> err
ok $? "a store of two phantoms"

tiny="--feature-size 12 --threads 1 --group 4 --lr 1e-3 --schedule constant --precision f32"
tiny="$tiny --checkpoint-minutes 0 --hidden 16 --projection 8 --steps 3"
train() { "$voco" pretrain --store store --roi 32 --crops 2 --batch 2 $tiny "$@"; }

for objective in contrast simclr; do
    expect 0 "3 steps; weights in $objective/model.safetensors" "$objective: three steps" \
        train --objective $objective -o $objective
    [ "$(wc -l < $objective/metrics.jsonl)" = 3 ] && [ -s $objective/views.png ] &&
        grep -q '"pair_accuracy":' $objective/metrics.jsonl
    ok $? "$objective: metrics and a picture of the views"
    expect 75 "stopped at step 1 of 3" "$objective: stopped after one" \
        train --objective $objective -o cut-$objective --stop-after 1
    expect 0 "going on at step 1" "$objective: goes on" \
        train --objective $objective -o cut-$objective
    cmp -s $objective/model.safetensors cut-$objective/model.safetensors
    ok $? "$objective: the same weights as in one go"
done

# ---- what the weights are for ----
expect 0 "weights in seg/model.safetensors" "finetune seg takes the encoder" \
    "$voco" finetune seg -s store --weights contrast/model.safetensors -o seg --epochs 1 \
    --folds 1 --roi 32 --batch 1 --samples 1 --threads 1
"$voco" info contrast/model.safetensors > out 2> err && grep -q "contrast" out
ok $? "the weights say which objective made them"

# ---- a replay ----
"$build/tests/make_views" views.h5 3
replay() { "$voco" pretrain --replay views.h5 $tiny --steps 1 --init hash:1 "$@"; }
expect 0 "1 step; weights" "a replayed batch of one volume" \
    replay --objective contrast --crops 3 -o replayed
expect 4 "views of 3 crops, expected a multiple of the 2 of a volume" "crops that do not fit" \
    replay --objective simclr --crops 2 -o none
"$build/tests/make_views" odd.h5 3 2
expect 4 "v0 has 3 crops with edges of 32, v1 2 of 32" "views of other crops" \
    "$voco" pretrain --objective simclr --replay odd.h5 $tiny --crops 1 -o none
"$build/tests/make_views" one.h5 3 0
expect 4 "no dataset v1; a replayed batch has v0 and v1" "one view alone" \
    "$voco" pretrain --objective simclr --replay one.h5 $tiny --crops 1 -o none

# ---- what is refused ----
expect 2 "--crops: '1' is not a whole number from 2 to 1024" "contrast: nothing to tell from" \
    train --objective contrast --crops 1 -o none
expect 2 "one crop in each of 2 shards leaves nothing to tell it from" "simclr: the same" \
    train --objective simclr --crops 1 --shards 2 -o none
expect 2 "a batch of 2 volumes in 3 shards" "shards that do not divide the batch" \
    train --objective simclr --shards 3 -o none
expect 2 "--roi 33: expected an even number" "an odd edge" \
    train --objective simclr --roi 33 -o none
expect 4 "expected at least 64^3 of a crop" "volumes that are too small" \
    train --objective simclr --roi 64 -o none
expect 2 "--shards" "an option of another objective" train --objective contrast --shards 2 -o none
expect 8 "was made with --objective simclr" "another objective does not go on" \
    train --objective contrast -o simclr
[ ! -e none ]
ok $? "what is refused leaves nothing"
finish
