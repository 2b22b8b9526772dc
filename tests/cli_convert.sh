#!/bin/sh
# voco convert from the command line: good runs, every kind of bad input, interruption.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# image FILE LINE...: a f32 MetaImage of 4x4x4 voxels with these header lines changed
image() {
    file=$1
    shift
    {
        printf 'ObjectType = Image\n'
        for line in "NDims = 3" "BinaryData = True" "BinaryDataByteOrderMSB = False" \
            "TransformMatrix = 1 0 0 0 1 0 0 0 1" "Offset = 0 0 0" \
            "ElementSpacing = 1 1 1" "DimSize = 4 4 4" "ElementType = MET_FLOAT"; do
            for change; do
                [ "${change%% =*}" = "${line%% =*}" ] && line=$change
            done
            printf '%s\n' "$line"
        done
        for change; do
            case $change in Element[SN]*Channels*) printf '%s\n' "$change";; esac
        done
        printf 'ElementDataFile = LOCAL\n'
        cat voxels
    } > "$file"
}

small="--spacing 0 --pad none --pad-first none"
"$voco" -q phantom -o ct -n 4 --size 24,20,16 --spacing 16,16,20 > out 2> err
ok $? "phantoms are made"
cp ct/phantom-00000.nii.gz good.nii.gz

# 64 floats: 0 and 100 in turn
printf '\000\000\000\000\000\000\310\102%.0s' $(seq 32) > voxels
image fine.mha
expect 0 "1 volume stored" "a MetaImage" "$voco" convert -o s0 $small fine.mha

# ---- good runs ----
expect 0 "4 volumes stored, 0 rejected" "a folder" "$voco" convert -o s1 $small ct
first=$(hash_of out)
expect 0 "4 there before" "the same again does nothing" "$voco" convert -o s1 $small ct
[ "$(hash_of out)" = "$first" ]; ok $? "and keeps the hash"
expect 0 "$first" "threads do not change the hash" \
    "$voco" convert -o s2 $small --threads 1 ct
expect 2 "spacing was 0,0,0, now 2,2,2" "other options name the one that differs" \
    "$voco" convert -o s1 --spacing 2 --pad none --pad-first none ct
expect 2 "type u16" "another store type is refused" \
    "$voco" convert -o s1 $small --store-type f32 ct
expect 0 "type i16" "intensities are kept" "$voco" convert -o s3 $small --store i16 ct
expect 0 "24x20x16" "a dry run shows sizes" "$voco" convert -o new $small -n ct
[ ! -e new ]; ok $? "and writes nothing"
expect 0 "192x192x64" "presets resize" "$voco" convert -o new -p headneck -n ct
expect 0 "1 volume stored" "mr" "$voco" convert -o s4 $small -p mr good.nii.gz
expect 0 "1 volume stored" "z-score" \
    "$voco" convert -o s5 $small -p mr --scaling zscore --window=-2,4 good.nii.gz

# ---- bad input ----
mkdir bad
head -c 3000 good.nii.gz > bad/truncated.nii.gz
size=$(($(wc -c < good.nii.gz)))
{ head -c $((size / 2)) good.nii.gz; printf '\377\376\375'; tail -c +$((size / 2 + 4)) good.nii.gz; } \
    > bad/corrupt.nii.gz
: > bad/empty.nii.gz
printf 'this is no image' > bad/text.nii
image bad/absurd.mha "DimSize = 2000000 2000000 2000000"
image bad/spacing.mha "ElementSpacing = 1 0 1"
image bad/singular.mha "TransformMatrix = 1 0 0 1 0 0 0 0 1"
image bad/rgb.mha "ElementNumberOfChannels = 3"
image bad/four.mha "NDims = 4" "DimSize = 4 4 2 2" "ElementSpacing = 1 1 1 1" \
    "Offset = 0 0 0 0" "TransformMatrix = 1 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1"
{ head -c 252 voxels; printf '\000\000\300\177'; } > v && mv v voxels
image bad/nan.mha
head -c 256 /dev/zero > voxels
image bad/constant.mha
for file in bad/*; do
    expect 4 "rejected" "$file alone" "$voco" convert -o t $small "$file"
    grep -q "rejected .*$file" err
    ok $? "$file is named with a reason: $(sed -n "s|.*$file: ||p" err | head -n 1)"
    rm -rf t
done
expect 3 "11 of 15 volumes were rejected" "bad ones do not stop the good ones" \
    "$voco" convert -o s6 $small bad ct
expect 3 "4 there before" "rejects are tried again" "$voco" convert -o s6 $small bad ct
[ "$(hash_of out)" = "$first" ]; ok $? "rejects do not count for the hash"
expect 0 "1 volume stored" "--nan-to" "$voco" convert -o s7 $small --nan-to 0 bad/nan.mha
expect 4 "memory" "more than --memory" "$voco" convert -o t --memory 64K ct
rm -rf t

# ---- lists ----
printf 'ct/phantom-00000.nii.gz\nct/absent.nii.gz\n' > list.txt
expect 3 "absent" "a missing file in a list" "$voco" convert -o s8 $small list.txt
printf '{"training": [{"image": "ct/phantom-00000.nii.gz"},' > wrong.json
expect 4 "wrong.json" "wrong JSON" "$voco" convert -o t $small wrong.json
expect 4 "nowhere" "an input that is not there" "$voco" convert -o t $small nowhere
[ ! -e t ]; ok $? "leaves no store"

# ---- what changed, what is no image, what a list holds ----
mkdir -p changing
cp good.nii.gz changing/a.nii.gz
expect 0 "1 volume stored" "a file that will change" "$voco" convert -o s9 $small changing/a.nii.gz
touch -d '2020-01-01' changing/a.nii.gz
expect 0 "1 there before" "another time alone is no change" \
    "$voco" convert -o s9 $small changing/a.nii.gz
cp ct/phantom-00001.nii.gz changing/a.nii.gz
cp ct/phantom-00002.nii.gz changing/b.nii.gz
hash=$(hash_of out)
expect 3 "voco: changing/a.nii.gz has changed since.*keeps volume a" "other bytes are" \
    "$voco" -q convert -o s9 $small changing/a.nii.gz
[ "$("$voco" verify s9 2>&1 | sed -n 's/.*hash \([0-9a-f]*\).*/\1/p')" = "$hash" ]
ok $? "the store keeps the volume"
expect 3 "1 volume stored, 1 kept whose files have changed" "the others are converted" \
    "$voco" convert -o s9 $small changing
expect 3 "0 volumes stored, 1 there before, 1 kept" "and are there the next time" \
    "$voco" convert -o s9 $small changing
expect 0 "is in the store, but changing/a.nii.gz has changed" "a dry run knows it" \
    "$voco" convert -n -o s9 $small changing
expect 2 "spacing was 0,0,0, now 2,2,2" "other options still stop all" \
    "$voco" convert -o s9 --spacing 2 --pad none --pad-first none changing

mkdir mixed
cp good.nii.gz mixed/imaging.nii.gz
printf '\000\000\000\000\000\000\200\077%.0s' $(seq 32) > voxels
image mixed/unlabelled.mha
expect 3 "looks like a label map" "a label map in a folder is left out" \
    "$voco" convert -o s10 $small mixed
expect 0 "stored as an image, but looks like" "one that is named is stored" \
    "$voco" -q convert -o s11 $small mixed/unlabelled.mha

mkdir -p nn1/imagesTr
for case in a b; do
    cp good.nii.gz nn1/imagesTr/${case}_0000.nii.gz
    cp good.nii.gz nn1/imagesTr/${case}_0001.nii.gz
done
printf '{"modality": {"0": "T1", "1": "T2"}, "training":
    [{"image": "./imagesTr/a.nii.gz"}, {"image": "./imagesTr/b.nii.gz"}]}' > nn1/dataset.json
expect 4 "one of 2 channels" "both modalities of a list of nnU-Net 1 are met" \
    "$voco" convert -o s12 $small nn1
expect 0 "2 volumes stored" "and stored" "$voco" convert -o s13 $small --channel all nn1
grep -c '"channels":2' s13/manifest.jsonl > out; grep -q '^2$' out; ok $? "as two channels"

# ---- usage ----
expect 2 "preset" "unknown preset" "$voco" convert -o t -p abdomenn ct
expect 2 "did you mean" "unknown option" "$voco" convert -o t --spacingg 1 ct
expect 2 "STORE" "no store" "$voco" convert ct
expect 2 "LOW" "a window that is none" "$voco" convert -o t --window 5,5 ct
expect 2 "resize" "a size that is none" "$voco" convert -o t --resize 1,2 ct
expect 2 "i16" "i16 without a window" "$voco" convert -o t -p none --store-type i16 ct
expect 2 "not a voco store" "a folder with other files" "$voco" convert -o ct $small good.nii.gz

# ---- what the system refuses ----
expect 5 "not a folder" "a folder that cannot be made" \
    "$voco" convert -o good.nii.gz/s $small ct
if [ "$(id -u)" != 0 ]; then
    mkdir locked && chmod a-w locked
    expect 5 "locked" "an unwritable folder" "$voco" convert -o locked/s $small ct
else
    skip "an unwritable folder" "root may write everywhere"
fi
(trap '' XFSZ; ulimit -f 40; exec "$voco" convert -o full $small --store-type f32 ct) \
    > out 2> err
[ $? = 5 ] && grep -q "File too large" err
ok $? "a disk that is full stops with 5 and says so"
[ -z "$(find full -name '*.part' -o -name '*.tmp*')" ]; ok $? "nothing half-written stays"
expect 0 "4 volumes stored" "with room again it goes on" \
    "$voco" convert -o full $small --store-type f32 ct

# ---- interruption ----
"$voco" -q phantom -o many -n 10 --size 32,32,24 --spacing 12 > out 2> err
expect 0 "10 volumes stored" "ten volumes in one go" "$voco" convert -o whole many
whole=$(hash_of out)
wait_for_shard() {
    for i in $(seq 300); do
        [ -e "$1/shard-00001.h5" ] && return 0      # now the lines of the first are there
        sleep 0.02
    done
    return 1
}
"$voco" convert -o cut --shard-size 10K --threads 1 many > out 2> err &
pid=$!
wait_for_shard cut && kill -9 $pid
wait $pid 2> /dev/null
[ $? = 137 ]; ok $? "killed while it works"
expect 0 "there before" "the same command goes on" "$voco" convert -o cut many
[ "$(hash_of out)" = "$whole" ]; ok $? "with the same hash as in one go"
"$voco" convert -o term --shard-size 10K --threads 1 many > out 2> err &
pid=$!
wait_for_shard term && kill -TERM $pid
wait $pid
[ $? = 75 ] && grep -q "not reached" out; ok $? "SIGTERM: the volume in hand, then 75"
expect 0 "there before" "and goes on" "$voco" convert -o term many
[ "$(hash_of out)" = "$whole" ]; ok $? "with the same hash again"

for store in s6 full cut term; do
    expect 0 "" "$store is whole to the last byte" "$voco" verify "$store"
done
finish
