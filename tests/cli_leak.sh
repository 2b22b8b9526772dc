#!/bin/sh
# voco leak from the command line: stores against lists and stores, exit statuses, files.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

"$voco" -q phantom -o ct -n 6 --size 80,70,50 --spacing 4.2,4.2,5
mkdir train clean test
cp ct/phantom-0000[0123].nii.gz train
cp ct/phantom-0000[45].nii.gz clean
"$voco" -q convert --preset abdomen -o store train > out 2> err
"$voco" -q convert --preset abdomen --spacing 3 -o teststore clean > out 2> err

# ---- what is found ----
expect 0 "no scan of one set is in the other: 4 x 2 compared" "other patients" \
    "$voco" leak store --against clean
cp ct/phantom-00002.nii.gz test/case_17.nii.gz
cp ct/phantom-00004.nii.gz test/case_18.nii.gz
expect 3 "case_17  *phantom-00002" "a scan under another name, against its windowed copy" \
    "$voco" leak store --against test
expect 3 "1 pair of the same scan" "once, and no other" "$voco" leak store --against test
gzip -dc ct/phantom-00002.nii.gz > test/case_17.nii && rm test/case_17.nii.gz
expect 3 "1.000 .* whole  +x+y+z  case_17 *phantom-00002" "without compression, from a folder" \
    "$voco" leak train --against test/case_17.nii
"$voco" -q convert --preset abdomen --spacing 3 -o both train/phantom-00001.nii.gz \
    clean > out 2> err
expect 3 "phantom-00001 *phantom-00001" "two stores" "$voco" leak store --against both
expect 3 "2 pairs of the same scan" "two sets to compare with" \
    "$voco" leak store --against both --against test
expect 0 "no scan" "another threshold" "$voco" leak --threshold 1 store --against both

# ---- files ----
expect 3 "report/leak.json and report/report.html written" "files" \
    "$voco" leak -o report store --against 'test' --against both
grep -q '"voco-leak": 1' report/leak.json && grep -q '"id": "phantom-00002"' report/leak.json
ok $? "the report names the volume of the store"
"$voco" info store > out 2> err
grep -q "\"hash\": \"$(sed -n 's/^ *hash  *//p' out)\"" report/leak.json
ok $? "and the hash of the store"
[ "$(grep -o 'data:image/png;base64' report/report.html | wc -l)" = 4 ]
ok $? "slices of each pair, side by side"
! grep -q 'http' report/report.html; ok $? "and no other site"
"$voco" leak -o again --threads 1 store --against 'test' --against both > out 2> err
cmp report/leak.json again/leak.json > out 2>&1 && cmp report/report.html again/report.html >> out 2>&1
ok $? "threads change no byte"
expect 0 "report/leak.json: 2 volumes left out" "voco pretrain leaves the volumes out" \
    "$voco" pretrain --store store --exclude report/leak.json --out run -f 12 --batch 1 \
    --sw 1 --steps 1 --schedule constant --memory 4G
expect 2 "report/leak.json" "but not of another store" \
    "$voco" pretrain --store teststore --exclude report/leak.json --out run
expect 0 "written" "a report without pairs" "$voco" leak -o none store --against clean
grep -q '"pairs": \[\]' none/leak.json; ok $? "says so"
mkdir odd && cp ct/phantom-00002.nii.gz 'odd/a&b<c>.nii.gz'
expect 3 "1 pair" "a name that HTML would misread" "$voco" leak -o escaped store --against odd
! grep -q 'b<c>' escaped/report.html; ok $? "is escaped"

# ---- what cannot be compared ----
head -c 5000 ct/phantom-00004.nii.gz > clean/cut.nii.gz
expect 3 "not compared: cut: .*clean/cut.nii.gz" "a truncated file is listed" \
    "$voco" leak store --against clean
expect 3 "1 scan could not be compared" "and no success" "$voco" leak store --against clean
expect 2 "against LIST is missing" "nothing to compare with" "$voco" leak store
expect 2 "threshold" "a wrong threshold" "$voco" leak --threshold 2 store --against clean
expect 4 "nowhere" "no such folder" "$voco" leak nowhere --against clean
expect 5 "not a folder" "a report that cannot be written" \
    "$voco" leak -o 'test/case_17.nii/r' store --against test
finish
