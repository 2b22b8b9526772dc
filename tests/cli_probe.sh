#!/bin/sh
# voco probe from the command line: labels of cases from tables of features, tables with holes,
# voxels of a small store, a probe inside of pretrain.  TAP; the program is ./voco of the build
# folder.
. "${srcdir:-.}/tests/tap.sh"

# table CASES WIDTH SHIFT: features of case00, case01, ...; in the first one, classes (case number
# modulo 2) differ by SHIFT, and the second grows with the case
table() {
    awk -v n="$1" -v w="$2" -v shift="$3" 'BEGIN {
        printf "id"
        for (j = 0; j < w; j++)
            printf ",f%d", j
        print ""
        x = 1
        for (i = 0; i < n; i++) {
            printf "case%02d", i
            for (j = 0; j < w; j++) {
                x = (x * 16807) % 2147483647
                v = x / 2147483647 - 0.5
                printf ",%.6f", v + (j == 0) * (i % 2) * shift + (j == 1) * i
            }
            print ""
        }
    }'
}
# labels CASES: class, value, time, event, patient
labels() {
    awk -v n="$1" 'BEGIN {
        print "id,patient,class,value,time,event"
        for (i = 0; i < n; i++)
            printf "case%02d,p%d,%s,%d,%d,%d\n", i, i / 2, i % 2 ? "left" : "right", 3 * i + 1,
                100 - i - i % 3, i % 4 != 0
    }'
}
table 40 6 5 > good.csv
table 40 6 0 > blind.csv
labels 40 > labels.csv

# ---- cases ----
expect 0 "^logistic  *1.000 (1.000..1.000)" "classes that are apart" \
    "$voco" probe cases -l labels.csv -o report good.csv
expect 0 "^ridge  *0.99" "a number that a feature grows with" \
    "$voco" probe cases -l labels.csv --value value good.csv
expect 0 "^cox  *0.9" "times of events" "$voco" probe cases -l labels.csv --survival time,event good.csv
expect 0 "^cosine .*" "scans of the same patient" "$voco" probe cases -l labels.csv good.csv
for f in probe.json scores.csv predictions.csv report.html; do
    test -s report/$f
    ok $? "report/$f is written"
done
test "$(sed 1d report/predictions.csv | wc -l)" = $((40 * (5 + 3 + 1)))
ok $? "a prediction for each case and probe"
grep -q '^class,class,good.csv,logistic,accuracy,1,1,1,,,,40$' report/scores.csv
ok $? "scores have a line each"
"$voco" probe cases -l labels.csv -o one -t 1 blind.csv good.csv > out 2> err &&
    "$voco" probe cases -l labels.csv -o four -t 4 blind.csv good.csv > out 2> err
cmp one/probe.json four/probe.json > out 2> err
ok $? "the same scores with one thread and with four"
grep -q '^class,class,good.csv,logistic,accuracy,1,1,1,0\.[0-9]*,0\.[0-9]*,0\.[0-9]*,40$' one/scores.csv
ok $? "the second table is better than the first, with an interval above 0"

sed 's/^id/id,source,crop,x,y,z/; s/^\(case[0-9]*\)/\1,"a, b",0,1,2,3/' good.csv > wide.csv
expect 0 "^logistic  *1.000" "columns that embed writes beside the features" \
    "$voco" probe cases -l labels.csv --class class wide.csv

# ---- what is wrong ----
expect 2 "labels FILE is missing" "no labels" "$voco" probe cases good.csv
expect 2 "no column \"grade\"" "a column that is not there" \
    "$voco" probe cases -l labels.csv --class grade good.csv
expect 2 "21 folds need .* there are 20" "more folds than patients" \
    "$voco" probe cases -l labels.csv --folds 21 good.csv
expect 2 "expected the columns TIME,EVENT" "half of a survival" \
    "$voco" probe cases -l labels.csv --survival time good.csv
cut -d, -f1,2 labels.csv > none.csv
expect 2 "none of the columns class, label" "no labels at all" "$voco" probe cases -l none.csv good.csv
sed 's/left/right/' labels.csv > single.csv
expect 4 "all 40 cases .* are of the class right" "one class" \
    "$voco" probe cases -l single.csv good.csv
sed '2,$s/,[01]$/,0/' labels.csv > censored.csv
expect 4 "none of 40 cases has an event" "all censored" \
    "$voco" probe cases -l censored.csv --survival time,event good.csv
sed '2s/,1$/,yes/; 2s/,0$/,yes/' labels.csv > word.csv
expect 4 "column event of case00 is 'yes', expected a number" "an event that is a word" \
    "$voco" probe cases -l word.csv --survival time,event good.csv
sed '2,$s/^\([^,]*,[^,]*,[^,]*\),[0-9]*/\1,7/' labels.csv > flat.csv
expect 4 "the same number in all 40" "a number that does not vary" \
    "$voco" probe cases -l flat.csv --value value good.csv
sed '3s/case01/case00/' labels.csv > twice.csv
expect 4 "id case00 comes twice" "an id twice" "$voco" probe cases -l twice.csv good.csv
sed 's/case/scan/' labels.csv > other.csv
expect 4 "no id of other.csv is in good.csv: the first are scan00 and case00" "other ids" \
    "$voco" probe cases -l other.csv good.csv
printf 'name,f0\na,1\n' > noid.csv
expect 4 "no column \"id\"" "a table without ids" "$voco" probe cases -l labels.csv noid.csv
printf 'id,f0\ncase00,much\n' > text.csv
expect 4 "column f0 is 'much', expected a number" "a feature that is text" \
    "$voco" probe cases -l labels.csv text.csv

# Cases that cannot count are counted, and the others go on.
sed '41,$d' labels.csv | sed '5s/,left,/,,/; 5s/,right,/,,/' > some.csv
expect 0 "1 of 40 cases have no labels" "a case without a row of labels" \
    "$voco" probe cases -l some.csv --class class good.csv
"$voco" probe cases -l some.csv --class class good.csv > out 2> err
grep -q "class, 38 cases" out; ok $? "an empty cell is no label"
{ cat labels.csv; echo case98,p1,left,1,1,1; echo case99,p1,left,1,1,1; } > more.csv
expect 3 "2 of 42 ids have no features .*case98" "labels without features" \
    "$voco" probe cases -l more.csv --class class good.csv
sed '4s/^\(case02\),[^,]*/\1,nan/; 8s/^\(case06\),[^,]*/\1,/' good.csv > holes.csv
expect 3 "2 cases are left out, because a feature is NaN or infinite; the first is case02" \
    "features that are no numbers" "$voco" probe cases -l labels.csv --class class holes.csv
sed 's/^\([^,]*,[^,]*\),.*/\1/' good.csv > thin.csv
sed '2,$s/,.*/,5/' thin.csv > constant.csv
expect 0 "^logistic  *0" "a feature that never varies is chance, not an error" \
    "$voco" probe cases -l labels.csv --class class constant.csv
table 12 300 9 > wide12.csv
labels 12 > labels12.csv
expect 0 "^logistic  *[01]" "more features than cases" \
    "$voco" probe cases -l labels12.csv --folds 3 wide12.csv

# ---- voxels ----
"$voco" phantom -q -n 4 -o ct --labels maps --seed 3 --size 80,72,64 --spacing 5 > out 2> err
"$voco" convert -q --preset none --labels any --label-folder maps -o store ct > out 2> err
ok $? "a labelled store"
"$voco" convert -q --preset none -o bare ct > out 2> err
expect 2 "no network" "no network" "$voco" probe voxels store
expect 4 "0 of 4 volumes of the store have a label map" "a store without labels" \
    "$voco" probe voxels --random 1 -f 12 bare
expect 2 "5 folds need .* there are 4" "more folds than volumes" \
    "$voco" probe voxels --random 1 -f 12 --folds 5 store
expect 0 "^mean of classes  *0\.[0-9]* (0" "a random network" \
    "$voco" probe voxels --random 1 -f 12 --crops 2 --voxels 300 -o voxels store
for f in probe.json scores.csv report.html; do
    test -s voxels/$f
    ok $? "voxels/$f is written"
done

# ---- in a run ----
pretrain() {
    "$voco" pretrain -q --replay hash:1:1:1 -f 12 -b 1 --steps 3 --lr 1e-3 --warmup 1 "$@"
}
expect 2 "probe-steps 2 without --probe" "steps of no probe" pretrain -o no --probe-steps 2
pretrain -o whole --probe store --probe-steps 2 > out 2> err
ok $? "a run with a probe"
grep -c probe_dice whole/metrics.jsonl > out
test "$(cat out)" = 3; ok $? "in the lines of steps 0 and 2, and behind the last"
pretrain -o plain > out 2> err
cmp whole/model.safetensors plain/model.safetensors > out 2> err
ok $? "has the weights of one without"
pretrain -o parts --probe store --probe-steps 2 --stop-after 2 > out 2> err
pretrain -o parts --probe store --probe-steps 2 > out 2> err
ok $? "a run in two parts"
for run in whole parts; do
    sed 's/.*"step": *\([0-9]*\).*"probe_dice": *\([0-9.e+-]*\).*/\1 \2/p; d' $run/metrics.jsonl > $run.dice
done
cmp whole.dice parts.dice > out 2> err
ok $? "with the bits of the probes of one that was not stopped"

# ---- the three forms of a table of embed ----
for form in h5 csv npy; do
    "$voco" embed -q -w whole/model.safetensors -o e.$form store > out 2> err &&
        "$voco" embed -q -w whole/model.safetensors -r volume -o v-$form.$form store > out 2> err
    ok $? "embed writes .$form"
done
head -c 6 v-npy.npy | grep -q NUMPY && head -n 1 v-npy.csv | grep -q '^id,source,crops$'
ok $? "an NPY file, and the ids of its rows beside it"
printf 'id,class\nphantom-00000,a\nphantom-00001,b\nphantom-00002,a\n' > three.csv
printf 'phantom-00003,b\n' >> three.csv
for f in e.h5 e.csv v-h5.h5 v-csv.csv v-npy.npy; do
    "$voco" probe cases -l three.csv --folds 2 --class class -o p $f > out 2> err
    cut -d, -f1,2,4-9 p/predictions.csv > $f.predictions    # decimals are no exact floats
    cmp e.h5.predictions $f.predictions > out 2> err
    ok $? "the same predictions from $f"
done
{
    echo image,class
    for i in 0 1 2 3; do echo "ct/phantom-0000$i.nii.gz,$((i % 2))"; done
} > list.csv
expect 0 "class, 4 cases of 4 patients" "classes of a list of volumes" \
    "$voco" probe cases -l list.csv --folds 2 e.h5
sed '3d' v-npy.csv > short && mv short v-npy.csv
expect 4 "fewer rows than the 4" "ids for fewer rows than an NPY file has" \
    "$voco" probe cases -l three.csv --folds 2 v-npy.npy
head -c 300 v-npy.npy > cut.npy && cp v-csv.csv cut.csv
expect 4 "not as long as it says" "an NPY file that was cut" \
    "$voco" probe cases -l three.csv --folds 2 cut.npy
finish
