#!/bin/sh
# voco tasks and --task from the command line: every recipe that comes with voco is one that
# convert and finetune take; what is found where; recipes of one's own.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

"$voco" -q phantom -o ct --labels lab -n 5 --size 40,36,24 --spacing 9,9,14
"$voco" -q convert -o store --preset none --scaling range --window=-175,250 --labels 0-11 \
    --label-folder lab ct > out 2> err
ok $? "a small labelled store"

# ---- all of them ----
expect 0 "^btcv  *CT  *1  *14  *96,96,96  *BTCV: 13 abdominal organs, CT" "the table" "$voco" tasks
tail -n +2 out | sed 's/ .*//' > names
[ "$(wc -l < names)" = 42 ]; ok $? "has the 42 published tasks"
[ "$(ls "$srcdir"/share/voco/tasks | sed 's/\.json$//')" = "$(cat names)" ]
ok $? "which are the files"
for name in $(cat names); do
    "$voco" tasks "$name" > out 2> err &&
        "$voco" convert -n -o no --task "$name" --label-folder lab ct >> out 2>> err &&
        "$voco" finetune seg --dry-run --task "$name" --classes 12 -f 12 -s store --batch 1 \
            --samples 1 --memory 1T >> out 2>> err
    ok $? "$name: its options are good"
done
[ ! -e no ]; ok $? "a dry run writes nothing"

# ---- numbers of the published table ----
for line in "--spacing=1.5,1.5,1.5 --scaling=range --window=-175,250" "--pad=96,96,96 --labels=0-13" \
    "--roi=96,96,96 --samples=4 --positive=0.9" "--epochs=1000 --warmup-epochs=20 --lr=0.0003" \
    "--weight-decay=1e-05 --val-epochs=10"; do
    "$voco" tasks btcv > out 2> err
    tr -d '\\\n' < out | tr -s ' ' | grep -q -e "$line"
    ok $? "btcv: $line"
done
expect 0 "--scaling=normalize" "MR is normalised" "$voco" tasks msd01-brain
grep -q -e "--channel=all" out; ok $? "with all channels"

# ---- who has the last word ----
expect 0 "5 volumes stored" "a recipe's store" \
    "$voco" convert --task chaos --labels 0,4:1,*:0 --spacing 9,9,14 -o s1 --label-folder lab ct
expect 2 "pad was 96,96,96, now 64,64,64" "its padding can be replaced" \
    "$voco" convert --task chaos --labels 0,4:1,*:0 --spacing 9,9,14 --pad 64 -o s1 --label-folder lab ct
expect 0 "btcv  *5\|datasets  *btcv 5" "and names the data set" sh -c "
    '$voco' convert -q --task btcv --spacing 9,9,14 -o s2 --label-folder lab ct &&
    '$voco' info s2"
grep -q " 6  liver " out; ok $? "and the classes"
expect 0 "overlap by 0.75" "finetune validates with the recipe's overlap" \
    "$voco" finetune seg --task btcv -s s2 -f 12 --dry-run
expect 0 "overlap by 0.5" "unless told otherwise" \
    "$voco" finetune seg --task btcv -s s2 -f 12 --val-overlap 0.5 --dry-run

# ---- recipes of one's own ----
printf '{"title": "t", "modality": "CT", "channels": 1, "classes": 2, "layout": "l",
    "convert": {"preset": "abdomen", "labels": "0-11"}}' > mine.json
expect 0 "voco convert --preset=abdomen --labels=0-11" "one's own" "$voco" tasks ./mine.json
expect 0 "5x" "is taken" sh -c "'$voco' convert -n --task mine.json --label-folder lab -o x ct | sed 's/^/5x/'"
sed 's/abdomen/abdomin/' mine.json > wrong.json
expect 2 "wrong.json: .*abdomin.*did you mean" "a wrong value is named with the file" \
    "$voco" convert -n --task wrong.json --label-folder lab -o x ct
sed 's/labels/lables/' mine.json > wrong.json
expect 2 "wrong.json: unknown option .*lables" "so is a wrong option" \
    "$voco" convert -n --task wrong.json --label-folder lab -o x ct
printf '{"title": "t",' > wrong.json
expect 4 "wrong.json:1:" "wrong JSON" "$voco" tasks wrong.json
printf '{"title": "t", "modality": "CT", "channels": 0, "classes": 2, "layout": "l"}' > wrong.json
expect 4 '"channels".*1 to 64' "a wrong number" "$voco" tasks wrong.json
sed 's/0, "classes"/4294967297, "classes"/' wrong.json > wide.json
expect 4 '"channels".*1 to 64' "one that 32 bits cannot hold" "$voco" tasks wide.json
sed 's/"preset": "abdomen"/"seed": 9007199254740991/' mine.json > seed.json
expect 0 "seed=9007199254740991" "a large number keeps its digits" "$voco" tasks ./seed.json
expect 2 "did you mean 'btcv'" "a name that is none" "$voco" tasks btcw
expect 2 "no task '../x'" "a name is no path" "$voco" tasks ../x
expect 0 '"modality"' "the file as it is" "$voco" tasks --raw btcv

# ---- where they are ----
cp -r "$srcdir/share/voco" moved && chmod -R u+w moved
rm moved/tasks/[c-z]*.json
VOCO_SHARE=$work/moved "$voco" tasks > out 2> err && [ "$(wc -l < out)" = 13 ]
ok $? "VOCO_SHARE"
mkdir -p bin && cp "$voco" bin && mkdir share && mv moved share/voco
bin/voco tasks > out 2> err && [ "$(wc -l < out)" = 13 ]; ok $? "beside an installation that was moved"
export VOCO_SHARE=$work/nowhere
expect 5 "VOCO_SHARE" "nowhere" "$voco" tasks
finish
