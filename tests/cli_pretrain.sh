#!/bin/sh
# voco pretrain from the command line: interruption and resume to the bit, what is refused,
# numbers that are none; and the verbs around it: plan, embed, info, verify.
# TAP; the program is ./voco of the build folder.
if [ "${VOCO_TEST_LEVEL-}" = short ]; then
    echo '1..0 # SKIP minutes of training: VOCO_TEST_LEVEL=short'
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

# flip FILE OFFSET: another byte there
flip() {
    c=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    printf "\\$(printf %03o $(((c + 1) % 256)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc 2> dd.err
}

# ---- a batch of small crops, and the same bits however often it is interrupted ----
for wrong in "" nan label shape keep missing; do
    "$make_replay" "batch$wrong.h5" $wrong || exit 99
done
tiny="--feature-size 12 --threads 2 --group 4 --lr 1e-3 --schedule constant"
tiny="$tiny --checkpoint-minutes 0 --precision f32"
train() { "$voco" pretrain --replay batch.h5 $tiny "$@"; }

expect 0 "4 steps; weights in whole/model.safetensors" "four steps in one go" \
    train --out whole --steps 4
[ "$(wc -l < whole/metrics.jsonl)" = 4 ] && [ -s whole/config.json ] && [ -s whole/loss.png ] \
    && [ -d whole/ckpt-4 ] && ls whole/events.out.* > out
ok $? "the run folder is complete"
expect 75 "stopped at step 1 of 4 with a durable checkpoint" "stopped after one" \
    train --out cut --steps 4 --stop-after 1
expect 75 "going on at step 1" "goes on, to three" train --out cut --steps 4 --stop-after 3
[ ! -e cut/model.safetensors ]; ok $? "no final weights yet"
# a killed run leaves rows beyond its last checkpoint, half a row, half a checkpoint
printf '{"step":3,"loss":9}\n{"step":4,"lo' >> cut/metrics.jsonl
mkdir cut/.ckpt-9.tmp
expect 0 "going on at step 3" "and to the end; --stop-after the last step is no stop" \
    train --out cut --steps 4 --stop-after 4
same whole cut "stopped and resumed twice"
[ ! -e cut/.ckpt-9.tmp ]; ok $? "what a killed process left is gone"
cp -r cut/ckpt-4 last
expect 0 "all 4 steps are done already" "a finished run is left as it is" \
    train --out cut --steps 4
cmp -s whole/model.safetensors cut/model.safetensors && diff -r last cut/ckpt-4 > out
ok $? "with the same bytes"

"$voco" pretrain --replay batch.h5 $tiny --out term --steps 4 > out 2> err &
pid=$!
for i in $(seq 600); do
    [ -s term/metrics.jsonl ] && break
    sleep 0.05
done
kill -TERM $pid
wait $pid
[ $? = 75 ] && grep -q "stopped at step" err; ok $? "SIGTERM in the middle: 75"
expect 0 "going on at step" "the same command goes on" train --out term --steps 4
same whole term "after SIGTERM"

expect 75 "stopped at step 0" "--max-hours that is over at once" \
    train --out hours --steps 4 --max-hours 0.0000001
expect 2 "holds a run already" "--resume no does not touch an existing run" \
    train --out cut --steps 9 --resume no
cmp -s whole/model.safetensors cut/model.safetensors && grep -q '"steps": 4' cut/config.json
ok $? "nothing is lost"
expect 8 "feature-size 12, now it is 24" "another model than the checkpoint's" \
    train --out cut --steps 4 --feature-size 24
grep -q '"feature-size": 12' cut/config.json; ok $? "its config.json stays"
expect 8 'precision "f32", now it is "bf16"' "another precision than the checkpoint's" \
    train --out cut --steps 4 --precision bf16
for type in f32 bf16; do
    rm -rf auto
    train --out auto --precision $type --steps 2 --stop-after 1 > out 2> err
    expect 0 "activations in $type" "auto goes on in $type, on any CPU" \
        train --out auto --precision auto --steps 2
done

# ---- variants of the loss ----
variant() { "$voco" pretrain --replay hash:1:2:1 $tiny "$@"; }
expect 0 "2 shards of 1 volume" "a batch in shards" variant --out sharded --steps 1 --shards 2
expect 75 "loss: intra + reg; there is no teacher head" "without a teacher" \
    variant --out alone --steps 2 --stop-after 1 --teacher no
expect 8 'made with --teacher "no", now it is "yes"' "nor is one found on resume" \
    variant --out alone --steps 2
expect 0 "going on at step 1" "goes on without" variant --out alone --steps 2 --teacher no
grep -q '"inter":0[.,]' alone/metrics.jsonl && grep -q '"teacher": *"no"' alone/config.json
ok $? "the log and config.json say so"
"$voco" model inspect alone/model.safetensors > out 2> err && ! grep -q 'teacher\.' out
ok $? "the weights have no teacher"
expect 0 "parameters loaded (100.0 %" "weights with a teacher start a run without" \
    variant --out from --steps 1 --teacher no --init whole/model.safetensors
expect 0 "parameters loaded" "and the other way round" \
    variant --out back --steps 1 --init alone/model.safetensors
expect 0 "embeddings" "embed with such weights" "$voco" embed -w alone/model.safetensors \
    -p none -o alone.h5 batch.h5

# ---- a store ----
"$voco" -q phantom -o ct -n 2 --size 192,192,64 --spacing 2 > out 2> err \
    && "$voco" -q convert -o store --spacing 0 --window=-175,250 ct > out 2> err
ok $? "a store of two volumes"
store="--store store $tiny --batch 1 --sw 1 --steps 2"
expect 0 "2 steps; weights" "two steps on a store" "$voco" pretrain $store --out w
[ -s w/mosaic.png ]; ok $? "a mosaic of its crops"
expect 75 "stopped at step 1" "stopped after one" "$voco" pretrain $store --out c --stop-after 1
expect 0 "going on at step 1" "goes on, with other loader threads" \
    "$voco" pretrain $store --out c --loader-threads 3
same w c "from a store"
rm -rf w c

# ---- damage ----
expect 0 "" "verify a run" "$voco" verify cut
expect 0 "ckpt-4" "info on a run" "$voco" info cut
expect 0 "step" "info on a checkpoint" "$voco" info cut/ckpt-4
flip cut/ckpt-4/optimizer.safetensors 200000
"$voco" verify cut/ckpt-4 > out 2> err
[ $? != 0 ] && grep -q optimizer out err; ok $? "verify finds a byte"
rm cut/model.safetensors
expect 0 "looking for an older" "the checkpoint before is used" train --out cut --steps 4
same whole cut "from the one before"
for k in cut/ckpt-*; do flip "$k/state.json" 5; done
expect 8 "checkpoints are damaged" "all are damaged" train --out cut --steps 4

# ---- what is refused ----
expect 2 "out RUN is missing" "no run folder" train --steps 2
expect 2 "store STORE is missing" "no store" "$voco" pretrain --out r
expect 2 "exclude each other" "store and replay" train --out r --store store
expect 2 "did you mean" "a wrong option" train --out r --stepss 3
expect 2 "merging" "a wrong choice" train --out r --merging new
expect 2 "beta1" "a decay of 1" train --out r --beta1 1
expect 2 "multiple of 12" "a feature size that is none" train --out r --feature-size 13
expect 4 "nowhere" "a store that is not there" "$voco" pretrain --store nowhere --out r $tiny
expect 4 "ct" "a folder that is no store" "$voco" pretrain --store ct --out r $tiny
expect 2 "batch of 1 volumes in 2 shards: expected a divisor of 1" "shards that do not divide" \
    train --out r --shards 2
expect 2 "yes" "a teacher that is neither" train --out r --teacher maybe
expect 5 "not a folder" "a run folder that cannot be made" train --out store/manifest.jsonl/r
expect 6 "100 MiB" "too little memory" train --out r --memory 100M
expect 2 "hash:SEED:BATCH:SW" "a replay that is none" "$voco" pretrain --replay hash:1 --out r
expect 4 "element 3 is 2" "a label that is no share" \
    "$voco" pretrain --replay batchlabel.h5 --out r $tiny
expect 4 "labels of 2 volumes x 2 crops do not go with 2 img" "shapes that do not fit" \
    "$voco" pretrain --replay batchshape.h5 --out r $tiny
expect 4 "no dataset crops" "a batch that is not whole" \
    "$voco" pretrain --replay batchmissing.h5 --out r $tiny
expect 4 "keep has sizes 3,11: expected at least 9 rows" "a row mask that is too short" \
    "$voco" pretrain --replay batchkeep.h5 --out r $tiny --steps 9
expect 4 "img announces .* more than a file of" "a replay file with sizes and no data" \
    "$voco" pretrain --replay "$srcdir/tests/golden/unwritten.h5" --out r $tiny
expect 4 "nowhere.h5" "a replay file that is not there" \
    "$voco" pretrain --replay nowhere.h5 --out r $tiny
printf 'no HDF5' > text.h5
expect 4 "text.h5" "a replay file that is none" "$voco" pretrain --replay text.h5 --out r $tiny
expect 8 "feature size 12" "weights of another size" \
    train --out r --feature-size 24 --init whole/model.safetensors
head -c 100000 whole/model.safetensors > short.safetensors
expect 4 "short.safetensors" "truncated weights" train --out r --init short.safetensors
expect 2 "hash:SEED" "an --init that is none" train --out r --init hash:x
[ ! -e r/ckpt-0 ] && [ ! -e r/config.json ]; ok $? "and nothing was begun"
expect 75 "parameters loaded (100.0 %" "weights to start from" \
    train --out r --steps 2 --init whole/model.safetensors --max-hours 0.0000001

# ---- the reference's first step ----
expect 0 "1 step; weights" "a step of the reference numbers" \
    "$voco" pretrain --replay hash:2:2:1 --init hash:2 --feature-size 12 --merging legacy \
    --steps 1 --out golden --threads 2 --precision f32
grep -q '"batch": 2,' golden/config.json && grep -q '"sw": 1,' golden/config.json
ok $? "config.json has the batch and the crops of the replay"
loss=$(sed -n 's/.*"loss":\([^,]*\),.*/\1/p' golden/metrics.jsonl)
awk -v a="$loss" 'BEGIN { d = a - 0.5785575144203554; exit !(d < 1e-5 && d > -1e-5) }'
ok $? "its loss, $loss, is the reference's"

# ---- numbers that are none ----
expect 7 "NaN or infinity again after 1 roll-backs" "a batch with NaN: the run gives up" \
    "$voco" pretrain --replay batchnan.h5 $tiny --steps 4 --out nan --skip-limit 1 \
    --rollback-limit 1
grep -q "back to step 0 with 0.5 of the learning rate" err
ok $? "after a roll-back with half the learning rate"
grep -q "skipped.*replayed batch" nan/metrics.jsonl && grep -q '"grad_norm":null' nan/metrics.jsonl
ok $? "skipped steps are in the metrics"
"$voco" info nan > out 2> err; ok $? "which info can read"
expect 75 "not a number" "skipped steps below the limit go on" \
    "$voco" pretrain --replay batchnan.h5 $tiny --steps 4 --out skipped --stop-after 2
grep -q '"updates": 0' skipped/ckpt-2/state.json; ok $? "without an update"

# ---- the verbs around it ----
expect 0 "44 crops" "plan" "$voco" plan --no-probe
expect 0 "parameters" "plan, small" "$voco" plan --no-probe --feature-size 12 --batch 1
expect 6 "at least" "a plan that does not fit" "$voco" plan --no-probe --memory 100M
"$voco" -q phantom -o one -n 1 --size 64,64,64 --spacing 4 > out 2> err
expect 0 "1 embeddings of 288 numbers" "embed a volume" "$voco" embed -w whole/model.safetensors \
    -o e1.h5 --preset none one/phantom-00000.nii.gz
"$voco" -q convert -o few -p none one > out 2> err
expect 0 "1 embeddings of 288 numbers" "embed a store" \
    "$voco" embed -w whole/model.safetensors -o e2.h5 few
expect 0 "11 embeddings of 288 numbers" "embed prepared crops" \
    "$voco" embed -w whole/model.safetensors -o e5.h5 batch.h5
"$build/tests/make_replay" crops.h5 nan || exit 99
expect 4 'crops.h5: img: 1 values are NaN .*--nan-to X' "crops that hold NaN" \
    "$voco" embed -w whole/model.safetensors -o e6.h5 crops.h5
expect 0 'are now 0' "and the advice followed" \
    "$voco" embed -w whole/model.safetensors --nan-to 0 -o e6.h5 crops.h5
"$build/tests/edit_weights" whole/model.safetensors lps.safetensors say=voco.orientation,LPS
expect 4 'its axes run RAS .* trained on LPS' "weights of another orientation than the store's" \
    "$voco" embed -w lps.safetensors -o e7.h5 few
expect 4 'its axes run RAS .* trained on LPS' "than a volume's" \
    "$voco" embed -w lps.safetensors -o e7.h5 -p none one/phantom-00000.nii.gz
expect 0 '--preset abdomen is assumed' "transforms that nobody says" \
    "$voco" embed -q -w whole/model.safetensors -o e8.h5 one/phantom-00000.nii.gz
"$build/tests/edit_weights" whole/model.safetensors strange.safetensors \
    add=backbone.swinViT.layers4.0.blocks.2.norm1.weight,96 add=student.layer4.weight,3
expect 8 '1 tensor of its network (backbone.swinViT.layers4' "a tensor without a place" \
    "$voco" embed -w strange.safetensors -o e9.h5 few
"$build/tests/edit_weights" whole/model.safetensors mute.safetensors mute
expect 0 'legacy is assumed' "an order of merging that nobody says" \
    "$voco" embed -q -w mute.safetensors -o e10.h5 few
expect 0 'legacy is assumed' "also where training begins with it" \
    "$voco" pretrain -q --replay batch.h5 $tiny --steps 1 --init mute.safetensors --out mute
expect 4 "neither img nor crops" "a file without any" \
    "$voco" embed -w whole/model.safetensors -o e3.h5 "$srcdir/tests/golden/unetr_fs12.h5"
[ ! -e e3.h5 ]; ok $? "leaves no output"
expect 4 "text.h5" "embed with weights that are none" "$voco" embed -w text.h5 -o e4.h5 few
finish
