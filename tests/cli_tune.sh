#!/bin/sh
# voco tune from the command line: a table is written, found, used and kept by runs; what is
# damaged or another machine's is named and not used.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"
unset VOCO_TUNE
XDG_CACHE_HOME=$work/cache
OMP_NUM_THREADS=2
export XDG_CACHE_HOME OMP_NUM_THREADS
tune() { "$voco" tune --for predict -f 12 --roi 32 --batch 1 --classes 2 "$@"; }
plan() { "$voco" plan -f 12 --batch 1 --no-probe "$@"; }

expect 0 "no table for this machine" "doctor without a table" "$voco" doctor
expect 0 "^table: $work/cache/voco/tune/.*-2.json" "a table is made where voco looks" tune
grep -q '^shape  *calls  *rule ' out && grep -q '^conv n1 12>12 32x32x32 k3 ' out &&
    grep -q '^linear ' out && grep -q 'shapes differ from the rules' out
ok $? "it prints shapes, times and choices"
table=$(echo cache/voco/tune/*.json)
expect 0 "tuned: $work/$table: [0-9]* shapes" "plan takes it and says so" plan
expect 0 "[0-9]* shapes in $work/$table" "doctor knows it" "$voco" doctor
expect 0 "tables of other machines or numbers of threads, none for .* 1 thread:" \
    "another number of threads has none" plan --threads 1
cp "$table" kept.json

echo '{' > "$table"
expect 0 "wrong JSON.*: the built-in rules choose" "a damaged table is warned of" plan
expect 0 "wrong JSON.*: built-in rules" "by doctor, too" "$voco" doctor
sed 's/"cpu": "/&Z/' kept.json > "$table"
expect 0 "measured with another CPU: the built-in rules choose" "so is a foreign one" plan
cp kept.json "$table"
mkdir tables
cp kept.json tables/
VOCO_TUNE=tables/kept.json expect 0 "tuned: tables/kept.json:" "VOCO_TUNE names a table" plan
VOCO_TUNE=$work/nothing.json expect 0 "cannot open.*the built-in rules" "that must be there" plan
VOCO_TUNE=none plan > out 2> err
[ $? = 0 ] && ! grep -q tune out err; ok $? "VOCO_TUNE=none: not a word"
VOCO_IMPL=dnnl expect 2 "VOCO_IMPL forces" "tune with VOCO_IMPL" tune
VOCO_IMPL=dnll expect 2 "no implementation is called 'dnll'" "an unknown VOCO_IMPL" plan
expect 2 "not a multiple of 32" "a window that the network cannot divide" tune --roi 33
expect 5 "/dev/null: exists and is not a folder" "a table that cannot be written" \
    tune --out /dev/null/t.json

# ---- what takes some seconds more ----
if [ "${VOCO_TEST_LEVEL-}" = short ]; then
    skip "a folder of tables; runs keep their choices" \
        "some seconds of training: VOCO_TEST_LEVEL=short"
else
    sed 's/"voco": "/&Z/' kept.json > "tables/${table##*/}"
    VOCO_TUNE=tables expect 0 "another version of voco: a new table replaces it" \
        "an old table in a folder that VOCO_TUNE names is replaced" tune
    VOCO_TUNE=tables expect 0 "tuned: tables/${table##*/}: " "and used" plan
    rm -r cache
    "$build/tests/make_replay" batch.h5 || exit 99
    train() {
        "$voco" pretrain --replay batch.h5 --feature-size 12 --group 4 --lr 1e-3 \
            --schedule constant "$@"
    }
    expect 0 "2 steps; weights" "a run by the rules" train --out whole --steps 2
    expect 75 "stopped at step 1" "another, stopped" train --out cut --steps 2 --stop-after 1
    cp -r cut other
    grep -q '"op": "conv_weights"' cut/tune.json && grep -q '"op": "linear"' cut/tune.json
    ok $? "it wrote down its choices"
    mkdir -p "$(dirname "$table")"
    sed 's/"use": "\(winograd4*\|taps\|blas\)"/"use": "dnnl"/' cut/tune.json > "$table"
    expect 0 "as this run began, cut/tune.json" "it goes on with them, whatever the table" \
        train --out cut --steps 2
    cmp -s whole/model.safetensors cut/model.safetensors; ok $? "and with the same bits"
    expect 0 "tuned: .*shapes" "a new run takes the table" train --out new --steps 2
    ! cmp -s whole/model.safetensors new/model.safetensors; ok $? "which has other bits"
    rm other/tune.json
    expect 0 "implementations was .* not with the bits of an uninterrupted one" \
        "without its choices it takes the table, and warns" train --out other --steps 2
fi
finish
