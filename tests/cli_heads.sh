#!/bin/sh
# voco pretrain --objective swin-heads from the command line: a run, the same run in pieces,
# its files, fine-tuning from its weights, what it refuses.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

heads() {
    "$voco" pretrain --objective swin-heads --feature-size 12 --threads 2 --warmup 1 \
        --precision f32 "$@"
}
small="--store store --batch 1 --steps 3"

"$voco" -q phantom -o ct -n 2 --size 72,72,64 --spacing 4 || exit 99
"$voco" -q convert -o store --spacing 0 --window=-175,250 --pad 64 --pad-first none ct || exit 99

expect 2 '--store STORE is missing' "no data" heads --out run
expect 2 'multiple of 32' "crops of 80" heads $small --out run --roi 80
expect 2 'expected a divisor of 2' "shards that do not divide the batch" \
    heads $small --out run --shards 3
expect 2 '--sw is an option of --objective voco' "an option of another objective" heads $small --out run --sw 2
expect 2 'expected hash:SEED:CROPS' "a formula that is none" heads --replay hash:1 --out run
expect 4 'no dataset x' "a batch of another objective" \
    heads --replay "$srcdir/tests/golden/heads.h5" --out run
expect 4 'expected at least 96^3 of a crop' "volumes smaller than a crop" \
    heads $small --out large --roi 96
expect 0 'no other crop is a donor' "one crop is told" heads $small --crops 1 --out run --dry-run
ok "$(test ! -e run; echo $?)" "nothing was started"

expect 0 '3 steps; weights in run/model.safetensors' "a run" heads $small --out run
for file in model.safetensors loss.png views.png config.json ckpt-3; do
    ok "$(test -s run/$file; echo $?)" "the run has $file"
done
for name in rotation contrast reconstruction rotation_accuracy effective_rank; do
    test "$(grep -c "\"$name\":" run/metrics.jsonl)" = 3
    ok $? "each step tells $name"
done
expect 75 'stopped at step 1 of 3' "stopped after one" heads $small --out cut --stop-after 1
expect 0 'going on at step 1' "goes on, with other loader threads" \
    heads $small --out cut --loader-threads 2
cmp run/model.safetensors cut/model.safetensors > out 2> err
ok $? "with the same weights"
expect 8 'made with --objective swin-heads' "not with another objective" \
    "$voco" pretrain --feature-size 12 --replay hash:1:1:1 --out cut --steps 3 --warmup 1
expect 8 'made with --encoder' "nor with another encoder" heads $small --out cut --encoder v1

expect 0 'rotation, contrast and image heads' "info on the weights" \
    "$voco" info run/model.safetensors
expect 0 'swin-heads, 3 steps' "which tell where they come from" \
    "$voco" info run/model.safetensors
expect 0 '100.0 % of the numbers' "a run begins with them" \
    heads $small --out next --init run/model.safetensors --steps 1
expect 0 '134 tensors with the names of monai, 16 left out' "exported for MONAI" "$voco" model export run -o monai.safetensors
"$voco" model inspect monai.safetensors > out 2> err && ! grep -q 'rotation_head\|^conv' out
ok $? "without the heads"

# ---- the numbers of the reference ----
expect 0 '1 step' "the reference's batch" heads --encoder v1 --merging fixed --out hashed \
    --replay hash:51:2 --init hash:51 --steps 1
grep -q '"rotation":1.67003.*"contrast":1.09826.*"reconstruction":1.02643' \
    hashed/metrics.jsonl
ok $? "has the reference's losses"
expect 0 'activations in bf16' "in bf16" heads --out bf16 --replay hash:51:2 --steps 1 \
    --precision bf16

# ---- fine-tuning ----
"$voco" -q phantom -n 2 --size 32,32,32 --spacing 12 -o few --labels truth || exit 99
"$voco" -q convert --preset abdomen --spacing 12 --pad 32 --pad-first none -o labelled \
    --labels 0-11 --label-folder truth few || exit 99
tune() {
    "$voco" finetune seg -s labelled --roi 32 --samples 1 --threads 2 --folds 2 --epochs 1 \
        --warmup-epochs 0 --val-overlap 0 -w run/model.safetensors "$@"
}
expect 0 'swinViT alone: encoder1 to encoder10 start fresh' "finetune seg takes swinViT" \
    tune -o tuned
grep -q '126 of 159 parameters loaded' err && grep -q 'missing (33): encoder1' err \
    && grep -q 'unexpected (16): rotation_head.weight' err
ok $? "and says what is missing and what it does not need"
expect 8 'parameters are missing' "but not for an encoder that is frozen" \
    tune -o frozen --freeze-encoder

finish
