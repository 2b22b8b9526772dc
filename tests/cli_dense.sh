#!/bin/sh
# voco pretrain with fusion, mae and genesis: losses of the reference from the command line,
# stop and resume to the bit, weights for finetune seg, what is refused.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# Width 12: a crop of 32^3 takes a tenth of a second.
train() {
    objective=$1
    shift
    "$voco" pretrain --objective "$objective" --feature-size 12 --precision f32 --threads 1 \
        --schedule constant --checkpoint-minutes 0 "$@"
}
store() {
    objective=$1
    shift
    train "$objective" --store store --batch 2 --crops 1 --roi 32 --lr 1e-3 "$@"
}

# metrics RUN: the rows without what depends on the clock
metrics() {
    sed -e 's/"\(seconds[a-z_]*\|crops_per_second\|gflops\|peak_fraction\|page_faults\)":[^,}]*,\{0,1\}//g' \
        "$1/metrics.jsonl"
}

# ---- the numbers of tests/golden/dense_small.h5 ----
reference() {
    "$build/tests/make_dense" "$1.h5" "$1" || exit 99
    expect 0 "2 samples of 64 x 32 x 32" "$1: a replayed batch" train "$1" --replay "$1.h5" \
        --init hash:7 --out "at-$1" --steps 1 --lr 0
    sed -n 's/.*"loss":\([-0-9.e]*\).*/\1/p' "at-$1/metrics.jsonl" > loss
    awk -v want="$2" '{ d = $1 - want; n++ } END { exit !(n == 1 && d * d < 1e-10) }' loss
    ok $? "$1: the loss is $2"
    [ -s "at-$1/samples.png" ]; ok $? "$1: a picture of the batch"
}
reference fusion 1.8080464819887585
reference mae 1.3276400072833496
reference genesis 0.0661202278158867
grep -q '"dice":-0\.[0-9]*,"ce":[12]\.' at-fusion/metrics.jsonl; ok $? "fusion has two terms"
expect 4 "no dataset foreground" "the batch of another objective" \
    train fusion --replay mae.h5 --out run
expect 4 "no dataset mask\|mask" "a batch without its mask" \
    train mae --replay genesis.h5 --out run

# ---- a store ----
"$voco" -q phantom -n 3 --size 48,48,40 --spacing 8,8,8 -o ct --labels truth || exit 99
"$voco" -q convert --preset abdomen --spacing 8 --pad 32 --pad-first none -o store \
    --labels 0-11 --label-folder truth ct || exit 99

expect 2 "multiple of 32" "crops of 40" store mae --out run --roi 40
expect 4 "expected at least 96^3 of a crop" "volumes smaller than a crop" \
    store mae --out run --roi 96
expect 2 "mask-block 12 does not divide crops of 32" "blocks that do not divide a crop" \
    store mae --out run --mask-block 12
expect 2 "hides none of the 8 blocks" "a mask that hides nothing" \
    store mae --out run --mask-share 0.1
expect 2 "hides all of the 8 blocks" "a mask that hides everything" \
    store mae --out run --mask-share 1
expect 2 "two whole numbers" "half a box" store fusion --out run --boxes 1.5,3
expect 2 "boxes" "an option of another objective" store mae --out run --boxes 1,3
expect 6 "MiB are allowed" "too little memory" store genesis --out run --memory 50M
[ ! -e run ]; ok $? "nothing was started"

for objective in fusion mae genesis; do
    expect 0 "3 steps; weights" "$objective: three steps in one go" \
        store $objective --out whole-$objective --steps 3
    expect 75 "stopped at step 1 of 3" "$objective: stopped after one" \
        store $objective --out cut-$objective --steps 3 --stop-after 1
    expect 0 "going on at step 1" "$objective: and to the end, with more threads" \
        store $objective --out cut-$objective --steps 3 --loader-threads 3
    metrics whole-$objective > a.metrics
    metrics cut-$objective > b.metrics
    [ -s a.metrics ] && cmp a.metrics b.metrics > out 2> err
    ok $? "$objective: the same metrics"
    cmp whole-$objective/model.safetensors cut-$objective/model.safetensors > out 2> err
    ok $? "$objective: the same weights"
    [ -s whole-$objective/samples.png ] && [ -s whole-$objective/loss.png ]
    ok $? "$objective: pictures"
    # all but the output layer, which has other channels
    expect 0 "157 of 159 parameters loaded" "$objective: finetune seg takes encoder and decoder" \
        "$voco" finetune seg -s store -o tuned-$objective -f 12 --roi 32 --samples 1 \
        --folds 1 --epochs 1 --threads 1 --checkpoint-minutes 0 -w whole-$objective/model.safetensors
    grep -q "missing" err && cat err >> out
    ! grep -q "missing" err && grep -q "other shape or type (2): out.conv" err
    ok $? "$objective: the output layer alone begins anew"
done
expect 8 "fusion" "a run goes on with its objective" store mae --out whole-fusion --steps 4
expect 8 "intensities" "predict needs classes" "$voco" predict -w whole-mae/model.safetensors \
    -o labels ct
expect 8 "objective fusion" "predict needs classes of labels" "$voco" predict \
    -w whole-fusion/model.safetensors -o labels ct
finish
