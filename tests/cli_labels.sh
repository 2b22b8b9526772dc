#!/bin/sh
# voco convert with label maps from the command line: folders, lists, rules, channels.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

small="--spacing 0 --pad none --pad-first none --no-foreground"

# ---- phantoms: two commands ----
"$voco" phantom -o ct --labels lab -n 4 --size 32,28,20 --spacing 12,12,18 > out 2> err
ok $? "phantoms with label maps"
grep -q "labels 0-11 --label-folder lab ct" out; ok $? "say how to convert them"
expect 0 "4 volumes stored, 0 rejected" "a labelled store" \
    "$voco" convert -o s1 $small --labels 0-11 --label-folder lab ct
hash=$(hash_of out)
expect 0 "labelled *4 of 4" "info counts label maps" "$voco" info s1
expect 0 " 4 .* voxels in 4 volumes" "and classes" "$voco" info s1
expect 0 "4 volumes whole" "verify" "$voco" verify s1
expect 0 "4 there before" "the same again does nothing" \
    "$voco" convert -o s1 $small --labels 0-11 --label-folder lab ct
expect 2 "labels was 0-11, now any" "another map is named" \
    "$voco" convert -o s1 $small --labels any --label-folder lab ct
expect 2 "labels was 0-11, now no" "labels left out are named" "$voco" convert -o s1 $small ct
expect 0 "4 volumes stored" "without labels" "$voco" convert -o s2 $small ct
[ "$(hash_of out)" != "$hash" ]; ok $? "is another store by its hash"
expect 0 "4 volumes stored" "one thread" \
    "$voco" convert -o s3 $small --labels 0-11 --label-folder lab --threads 1 ct
[ "$(hash_of out)" = "$hash" ]; ok $? "gives the same hash"

# ---- rules ----
expect 0 "4 volumes stored" "rules" \
    "$voco" convert -o s4 $small --labels '0,4:1,*:0' --label-folder lab ct
"$voco" info s4 > out 2> err
[ "$(grep -c '^ *class ' out)" = 2 ]; ok $? "make two classes of twelve"
expect 4 "label map does not name: .*11 (" "unknown values are rejected by name" \
    "$voco" convert -o t $small --labels 0-7 --label-folder lab ct
expect 2 "rule '5-3'" "a wrong rule" "$voco" convert -o t2 $small --labels 0,5-3 ct
expect 2 "no list has" "json without a list" \
    "$voco" convert -o t2 $small --labels json --label-folder lab ct
expect 2 "label-folder without --labels" "a folder alone" \
    "$voco" convert -o t2 $small --label-folder lab ct
[ ! -e t2 ]; ok $? "leave no store"
mkdir few && cp lab/phantom-00001.nii.gz few
expect 3 "3  *.*no label map" "a missing label map rejects" \
    "$voco" convert -o s5 $small --labels any --label-folder few ct
expect 4 "resize none" "labels and resize" \
    "$voco" convert -o t3 -p headneck --labels any --label-folder lab ct

# ---- geometry ----
"$voco" -q phantom -o other --labels otherlab -n 4 --size 32,28,21 --spacing 12,12,18
expect 4 "has 32 x 28 x 21 voxels, expected the 32 x 28 x 20" "another size" \
    "$voco" convert -o t4 $small --labels any --label-folder otherlab ct
"$voco" -q phantom -o other2 --labels otherlab2 -n 4 --size 32,28,20 --spacing 12,12,18 --seed 9
expect 4 "not the same grid" "another place" \
    "$voco" convert -n -o t5 $small --labels any --label-folder otherlab2 ct

# ---- lists ----
mkdir -p nn/imagesTr nn/labelsTr
for i in 0 1; do
    for c in 0 1 2 3; do
        cp ct/phantom-0000$i.nii.gz nn/imagesTr/case${i}_000$c.nii.gz
    done
    cp lab/phantom-0000$i.nii.gz nn/labelsTr/case$i.nii.gz
done
names='"background": 0, "lung right": 1, "lung left": 2, "heart": 3, "liver": 4, "spleen": 5,
    "kidney right": 6, "kidney left": 7, "stomach": 8, "aorta": 9, "spine": 10, "bones": 11'
printf '{"channel_names": {"0": "T1", "1": "T2", "2": "F", "3": "D"}, "file_ending": ".nii.gz",
    "numTraining": 2, "labels": {%s}}' "$names" > nn/dataset.json
expect 4 "one of 4 channels" "channels must be chosen" \
    "$voco" convert -o t6 $small --labels json nn
expect 0 "2 volumes stored" "all channels, normalised" \
    "$voco" convert -o s6 $small -p mr --scaling normalize --channel all --labels json nn
expect 0 "up to 4 a volume" "info tells channels" "$voco" info s6
expect 0 " 4  liver " "and names" "$voco" info s6
expect 0 "2 volumes whole" "verify reads all of them" "$voco" verify s6
expect 2 "f32" "normalised values are no u16" \
    "$voco" convert -o t7 $small -p mr --scaling normalize --store-type u16 ct
expect 2 "channel was no, now all" "channels are an option that is kept" \
    "$voco" convert -o s1 $small --labels 0-11 --label-folder lab --channel all ct
printf '{"channel_names": {"0": "T1"}, "file_ending": ".nii.gz", "numTraining": 3,
    "labels": {%s}}' "$names" > nn/dataset.json
expect 4 "one of 4 channels" "channels that the list does not name are not left out" \
    "$voco" convert -o t9 $small --labels json nn
grep -q 'voco: nn/dataset.json: "numTraining" is 3, imagesTr has 2 cases' err
ok $? "a case that the list counts and the folder lacks is a warning"
printf '{"channel_names": {"0": "CT"}, "file_ending": ".nii.gz",
    "labels": {"background": 0, "all": [1, 2, 3], "core": [2, 3], "ignore": 4}}' > nn/dataset.json
expect 4 "ignore" "nnU-Net's ignore label is refused" "$voco" convert -o t8 $small --labels json nn
finish
