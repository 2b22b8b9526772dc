#!/bin/sh
# voco eval from the command line: pairs of every kind, scores worked out by hand, files.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# map FILE X-OFFSET BYTE COUNT [BYTE COUNT]...: a u8 MetaImage of 4x4x4 voxels of 2 mm
map() {
    file=$1 offset=$2
    shift 2
    {
        printf 'ObjectType = Image\nNDims = 3\nBinaryData = True\n'
        printf 'BinaryDataByteOrderMSB = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n'
        printf 'Offset = %s 0 0\nElementSpacing = 2 2 2\nDimSize = 4 4 4\n' "$offset"
        printf 'ElementType = MET_UCHAR\nElementDataFile = LOCAL\n'
        while [ $# -gt 0 ]; do
            # shellcheck disable=SC2046
            printf "\\$(printf %o "$1")%.0s" $(seq "$2")
            shift 2
        done
    } > "$file"
}

# ---- by hand: 64 voxels, z slices of 16 ----
map truth.mha 0 1 32 0 32
map half.mha 0 1 16 0 48
map more.mha 0 1 48 2 16
expect 0 "class 1  *1  *0.6667 .*-50.0%" "half of a class" "$voco" eval half.mha truth.mha
expect 0 "class 1  *1  *0.8000 " "one half more" "$voco" eval more.mha truth.mha
expect 0 " 2.00 " "and the distance of one slice" "$voco" eval more.mha truth.mha
expect 0 "class 2  *0  *- .*- *0.0000 (n=1) *-" "a class that the truth lacks has no Dice" \
    "$voco" eval more.mha truth.mha
expect 0 "mean of classes  *1  *1.0000" "a map that joins classes" \
    "$voco" eval --labels 0-2:1 more.mha truth.mha
expect 4 "does not name: 2 (16 voxels)" "a map that lacks one" \
    "$voco" eval --labels 0,1 more.mha truth.mha
expect 0 "class 1  *1  *0.8000 .*-33.3%" "resampled: of 7 slices 2 and 3, halves go to even ones" \
    "$voco" eval --spacing 1 half.mha truth.mha
map moved.mha 5 1 32 0 32
map raw.mha 0 9 32 0 32
expect 0 "class 1  *1  *0.6667 " "a truth with values of its own" \
    "$voco" eval --truth-labels 0,9:1 half.mha raw.mha
expect 2 "truth-labels.*'5-3'" "a wrong rule for it" \
    "$voco" eval --truth-labels 0,5-3 half.mha raw.mha
expect 0 "^liver  *1  *0.6667 " "classes with names" \
    "$voco" eval --class-names background,liver half.mha truth.mha
expect 0 "1 name, the largest class is 1" "too few names" \
    "$voco" eval --class-names background half.mha truth.mha
expect 2 "class-names: a name is empty" "an empty name" \
    "$voco" eval --class-names background, half.mha truth.mha
expect 4 "not the same grid" "another place" "$voco" eval moved.mha truth.mha

# ---- pairs by the names of cases, and means of fewer cases ----
mkdir images truths
for case in A B; do cp half.mha images/${case}_0000.mha; cp truth.mha truths/$case.mha; done
expect 0 "class 1  *2  *0.6667 " "CASE_0000 is a prediction of CASE" "$voco" eval images truths
map empty.mha 0 0 64
cp empty.mha images/B_0000.mha
expect 0 "class 1  *2  *0.3333 .* 2.00 (n=1)" "a distance where one of two is empty is of one" \
    "$voco" eval images truths
expect 0 "report.html" "a report of them" "$voco" eval -o missed images truths
grep -q '<td>2</td><td>0\.3333.*<td>2\.00 <small>(n=1)</small>' missed/report.html
ok $? "has the number of cases beside that mean, too"
mkdir numbered
cp half.mha numbered/c_0001.mha; cp truth.mha numbered/c_0002.mha
expect 0 "class 1  *2  *1.0000 " "equal names go first" "$voco" eval numbered numbered

# ---- folders ----
"$voco" -q phantom -o ct --labels lab -n 5 --size 40,36,24 --spacing 9,9,14
expect 0 "mean of classes  *5  *1.0000  *1.0000 .. 1.0000 *0.00 *1.0000 *+0.0%" \
    "the truth against itself" "$voco" eval lab lab
mkdir pred && cp lab/phantom-0000[0123].nii.gz pred && cp ct/phantom-00004.nii.gz pred/other.nii.gz
expect 3 "1 of 5 cases do not count: 1 without a prediction, the first is phantom-00004" \
    "a missing prediction" "$voco" eval pred lab
expect 3 "1 predictions without a truth were left out" "and one too many" "$voco" eval pred lab
cp ct/phantom-00004.nii.gz pred/phantom-00004.nii.gz
expect 3 "phantom-00004.nii.gz: label values" "a prediction that is an image" \
    "$voco" eval pred lab
head -c 2000 lab/phantom-00004.nii.gz > pred/phantom-00004.nii.gz
expect 3 "1 that could not be scored" "a truncated prediction" "$voco" eval pred lab
rm pred/phantom-00004.nii.gz
mkdir few && cp lab/phantom-00001.nii.gz few/a.nii.gz && cp lab/phantom-00002.nii.gz few/b.nii.gz
expect 4 "no case in common: their names are phantom-00000, .* and a, b" "other names" \
    "$voco" eval lab few
printf 'image,label\nlab/phantom-00001.nii.gz,few/a.nii.gz\nlab/phantom-00002.nii.gz,few/b.nii.gz\n' \
    > pairs.csv
expect 0 "mean of classes  *2  *1.0000" "a list of pairs" "$voco" eval pairs.csv
expect 2 "names no truth" "a folder is no list of pairs" "$voco" eval lab
expect 2 "needs PRED and TRUTH" "pairs cannot be compared" "$voco" eval --against lab pairs.csv
mkdir -p nn/imagesTr nn/labelsTr
for i in 0 1; do
    cp ct/phantom-0000$i.nii.gz nn/imagesTr/phantom-0000${i}_0000.nii.gz
    cp lab/phantom-0000$i.nii.gz nn/labelsTr/phantom-0000$i.nii.gz
done
printf '{"channel_names": {"0": "CT"}, "file_ending": ".nii.gz", "labels": {"background": 0,
    "lung right": 1, "lung left": 2, "heart": 3, "liver": 4, "spleen": 5, "kidney right": 6,
    "kidney left": 7, "stomach": 8, "aorta": 9, "spine": 10, "bones": 11}}' > nn/dataset.json
expect 0 "liver  *2  *1.0000" "a dataset.json as truth, with names" "$voco" eval lab nn/dataset.json

# ---- files ----
expect 0 "report.html, eval.json and cases.csv written" "a report" \
    "$voco" eval -o report --images ct lab nn/dataset.json
[ "$(grep -c 'data:image/png;base64' report/report.html)" = 2 ]; ok $? "has a slice of each case"
[ "$(grep -o '\-\-c:#[0-9a-f]*' report/report.html | sort -u | wc -l)" = 11 ]
ok $? "each of 11 classes has its own colour"
! grep -q 'http' report/report.html; ok $? "and names no other site"
[ "$(head -n 1 report/cases.csv)" = \
    "id,class,name,dice,hd95_mm,surface_dice,volume_error,truth_ml,predicted_ml" ]
ok $? "the CSV has a header"
grep -q '^phantom-00001,4,liver,1,0,1,0,' report/cases.csv; ok $? "and a line per case and class"
"$voco" eval -o again --threads 1 --images ct lab nn/dataset.json > out 2> err
cmp report/eval.json again/eval.json > out 2>&1 && cmp report/report.html again/report.html >> out 2>&1
ok $? "threads change no byte"
expect 0 "mean of classes  *2  *+0.0000  *+0.0000 .. +0.0000  1" "a prediction against itself" \
    "$voco" eval -o third --against nn/labelsTr lab nn/dataset.json
grep -q '"comparison"' third/eval.json && grep -q 'Against nn/labelsTr' third/report.html
ok $? "is in the files"
map 'a&b<c>.mha' 0 1 16 0 48
expect 0 "written" "names that HTML would misread" "$voco" eval -o odd 'a&b<c>.mha' truth.mha
grep -q 'a&amp;b&lt;c&gt;.mha' odd/report.html; ok $? "are escaped"

# ---- usage and the system ----
expect 2 "rule '3-1'" "a wrong map" "$voco" eval --labels 3-1 lab lab
expect 2 "tolerance" "a negative tolerance" "$voco" eval --tolerance -1 lab lab
expect 4 "nowhere" "no such folder" "$voco" eval nowhere lab
expect 5 "not a folder" "a report that cannot be written" "$voco" eval -o truth.mha/r half.mha truth.mha
finish
