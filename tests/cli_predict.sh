#!/bin/sh
# voco predict from the command line: what it makes, what it says, what it refuses.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

weights() { "$build/tests/make_segweights" "$@" || exit 99; }

# shape FILE: sizes and spacing as voco info tells them
shape() { "$voco" -q info "$1" | grep -i -e size -e spacing -e voxels; }

# sum FILE.nii.gz: a checksum of the voxels
sum() { gzip -dc "$1" | tail -c +353 | cksum; }

"$voco" -q phantom -n 2 --size 40,36,20 --spacing 4,4,6 -o ct || exit 99
printf 'not a volume' > ct/broken.nii.gz
weights w.safetensors 12 1 3 32 abdomen 3
weights bare.safetensors 12 1 3 32 - 3
weights two.safetensors 12 2 3 32 abdomen 3
one=ct/phantom-00000.nii.gz

expect 2 '--weights' "no weights" "$voco" predict -o labels $one
expect 2 '--output' "no output" "$voco" predict -w w.safetensors $one
expect 5 'nothing.safetensors' "weights that are not there" \
    "$voco" predict -w nothing.safetensors -o labels $one
expect 2 'give --preset' "weights that do not say how to prepare volumes" \
    "$voco" predict -w bare.safetensors -o labels $one
expect 2 'multiple of 32' "a window of 40" \
    "$voco" predict -w w.safetensors --roi 40 -o labels $one
expect 2 'axes x, y and z' "an axis that is none" \
    "$voco" predict -w w.safetensors --mirror xq -o labels $one
expect 6 'MiB are allowed' "too little memory" \
    "$voco" predict -w w.safetensors --memory 50M -o labels $one
ok "$(test ! -e labels; echo $?)" "nothing was written"
expect 0 'windows' "a dry run" "$voco" predict -w w.safetensors --spacing 6 -n -o labels $one
ok "$(test ! -e labels; echo $?)" "which writes nothing"

expect 0 'transforms of abdomen (the weights)' "one volume" \
    "$voco" predict -w w.safetensors --spacing 6 -o labels $one
shape $one > want; shape labels/phantom-00000.nii.gz > got
cmp want got > out.cmp 2>&1; ok $? "the label map has the volume's grid"
"$voco" info labels/phantom-00000.nii.gz | grep -q u8; ok $? "of bytes"

cp -r labels first
expect 3 'broken.nii.gz' "several, one of them broken" \
    "$voco" predict -w w.safetensors --spacing 6 -o labels ct
ok "$(test -f labels/phantom-00001.nii.gz; echo $?)" "the others are there"
test "$(sum labels/phantom-00000.nii.gz)" = "$(sum first/phantom-00000.nii.gz)"
ok $? "the same labels again"
rm labels/phantom-00001.nii.gz
expect 3 '1 label map\>\|1 of 3' "what is there may be skipped" \
    "$voco" predict -w w.safetensors --spacing 6 --skip-existing -o labels ct
expect 4 'rejected: ct/broken.nii.gz' "nothing but a broken one" \
    "$voco" predict -w w.safetensors -o labels ct/broken.nii.gz
expect 4 'the network expects 2' "a volume with too few channels" \
    "$voco" predict -w two.safetensors -o labels $one

"$voco" -q convert --preset abdomen --spacing 6 --pad none --pad-first none -o store \
    --store-type f32 $one || exit 99
expect 0 '^attn_forward .*%$' "a store, and where the time went" \
    "$voco" predict -w w.safetensors --trace -o stored store
test "$(sum stored/phantom-00000.nii.gz)" = "$(sum first/phantom-00000.nii.gz)"
ok $? "gives the labels of the file it was made of"
expect 2 'would both become' "a store and its file" \
    "$voco" predict -w w.safetensors --spacing 6 -o both store $one

expect 0 'with probabilities' "probabilities" \
    "$voco" predict -w w.safetensors --spacing 6 --probabilities --resample linear \
    --mirror yz --blend constant --skip-background -o p $one
ok "$(test "$(ls -A p | wc -l)" = 2; echo $?)" "two files and no temporary one"
bytes=$(gzip -dc p/phantom-00000_prob.nii.gz | wc -c)
ok "$(test "$bytes" = $((352 + 40 * 36 * 20 * 3 * 4)); echo $?)" "a volume for each class"

# ---- weights that are not those of the network, or do not say all ----
edit() { "$build/tests/edit_weights" "$@" || exit 99; }
run() { "$voco" predict --spacing 6 -o strange "$@" $one; }
for name in swinViT.layers3.0.blocks.2.norm1.weight swinViT.patch_embed.norm.weight \
    encoder1.layer.norm1.weight encoder5.layer.conv1.conv.weight decoder1.norm.bias out.extra; do
    edit w.safetensors strange.pt add=$name,12
    expect 8 "1 tensor of its network ($name) has no place" "a tensor more: $name" \
        run -w strange.pt
done
expect 8 'has no place' "a dry run knows it, too" run -n -w strange.pt
ok "$(test ! -e strange; echo $?)" "nothing was written"
edit w.safetensors strange.safetensors drop=out.conv.conv.bias
expect 8 '1 of 159 parameters are missing' "a tensor less" run -w strange.safetensors
grep -q -e --partial err && status=1 || status=0
ok $status "without advice that predict cannot take"
edit w.safetensors strange.safetensors nan=decoder1.conv_block.conv1.conv.weight
expect 8 '1 of the .* numbers of decoder1.conv_block.conv1.conv.weight are NaN' \
    "weights that are no numbers" run -w strange.safetensors
edit w.safetensors strange.safetensors add=classifier.weight,35
expect 0 'unexpected (1): classifier.weight' "the head of another task is named and left alone" \
    run -w strange.safetensors
test "$(sum strange/phantom-00000.nii.gz)" = "$(sum first/phantom-00000.nii.gz)"
ok $? "with the same labels"
grep -q '159 of 159 parameters loaded' err; ok $? "and the coverage is reported"

edit w.safetensors mute.safetensors mute
expect 0 'voco: .* legacy is assumed' "an order of merging that nobody says, with -q" \
    run -q -w mute.safetensors -p abdomen
grep -q 'voco: .*windows of 96 x 96 x 96 are assumed' err; ok $? "windows, too"
run -q -w mute.safetensors -p abdomen --merging fixed --roi 32 > out 2> err
ok $? "what is given"
[ ! -s err ]; ok $? "is no assumption"
test "$(sum strange/phantom-00000.nii.gz)" = "$(sum first/phantom-00000.nii.gz)"
ok $? "and gives the labels of the file that says so"
expect 2 'trained with fixed patch merging, as the file says' "an order that the file denies" \
    run -w w.safetensors --merging legacy

# ---- voxels that are no numbers ----
{
    printf 'NRRD0004\ntype: float\ndimension: 3\nsizes: 40 36 20\nencoding: raw\n'
    printf 'endian: little\nspace: RAS\nspace directions: (4,0,0) (0,4,0) (0,0,6)\n\n'
    printf '\0\0\300\177'
    head -c 115196 /dev/zero | tr '\0' 'A'
} > nan.nrrd
expect 4 '1 voxels are NaN or infinite (--nan-to X' "a voxel that is NaN" \
    "$voco" predict -w w.safetensors -o nan nan.nrrd
expect 0 'voco: nan.nrrd: 1 voxels were NaN or infinite and are now 0' "the advice, followed" \
    "$voco" predict -q -w w.safetensors --nan-to 0 -o nan nan.nrrd
ok "$(test -f nan/nan.nii.gz; echo $?)" "gives labels"

# ---- the orientation that the network was trained on ----
edit w.safetensors lps.safetensors say=voco.orientation,LPS
expect 4 'its axes run RAS .* trained on LPS' "a volume in another orientation" \
    "$voco" predict -w lps.safetensors --spacing 6 -o lps $one
expect 4 'its axes run RAS .* trained on LPS' "a store in another orientation" \
    "$voco" predict -w lps.safetensors -o lps store
edit w.safetensors ras.safetensors say=voco.orientation,RAS
expect 0 '1 label map' "the same orientation" "$voco" predict -w ras.safetensors -o ras store
edit w.safetensors odd.safetensors say=voco.orientation,up
expect 4 "voco.orientation is 'up'" "one that is none" \
    "$voco" predict -w odd.safetensors -o lps store

# ---- DICOM: the same labels, in the space of the series ----
# agree NAME A B: two maps of one place, however their axes run, are the same labels
agree() {
    "$voco" -q eval "$2" "$3" > out 2> err
    grep -q '^mean of classes *1 *1\.0000' out
    ok $? "$1"
}
if command -v dcm2niix > /dev/null; then
    "$build/tests/make_dicom" $one series || exit 99
    expect 0 '1 label map\>' "a DICOM series" \
        "$voco" predict -w w.safetensors --spacing 6 -o dicom series
    agree "gets the labels of the volume it was made of" dicom/series.nii.gz \
        first/phantom-00000.nii.gz
    rm series/slice007.dcm
    expect 0 '1 label map\>' "one with a slice missing" \
        "$voco" predict -w w.safetensors --spacing 6 -o dicom2 series
    rm series/*.dcm
    { head -c 128 /dev/zero; printf 'DICM and nothing else'; } > series/slice.dcm
    expect 4 'rejected: series' "what only begins as DICOM" \
        "$voco" predict -w w.safetensors --spacing 6 -o dicom3 series
else
    skip "a DICOM series" "no dcm2niix"
fi

# ---- two channels: the files of a case, and a store of them ----
# case_of FOLDER FILE FILE: a list in nnU-Net's form with one case of two channels
case_of() {
    mkdir -p "$1/imagesTr" "$1/imagesTs"
    cp "$2" "$1/imagesTr/case_0000.nii.gz"
    cp "$3" "$1/imagesTr/case_0001.nii.gz"
    printf '{"channel_names": {"0": "CT", "1": "map"}, "file_ending": ".nii.gz",
        "numTraining": 1, "labels": {"background": 0, "one": 1, "two": 2}}' > "$1/dataset.json"
}
case_of nn $one first/phantom-00000.nii.gz
case_of turned first/phantom-00000.nii.gz $one
expect 0 '1 label map\>' "a case of two channels" \
    "$voco" predict -w two.safetensors --spacing 6 -o nn-labels nn
shape nn-labels/case.nii.gz > got
cmp want got > out.cmp 2>&1; ok $? "on their grid"
expect 0 '1 label map\>' "the channels the other way round" \
    "$voco" predict -w two.safetensors --spacing 6 -o turned-labels turned
[ "$(sum nn-labels/case.nii.gz)" != "$(sum turned-labels/case.nii.gz)" ]
ok $? "give other labels"
"$voco" -q convert --preset abdomen --spacing 6 --pad none --pad-first none --channel all \
    -o nn-store --store-type f32 nn || exit 99
expect 0 '1 label map\>' "a store of them" \
    "$voco" predict -w two.safetensors -o nn-stored nn-store
[ "$(sum nn-labels/case.nii.gz)" = "$(sum nn-stored/case.nii.gz)" ]
ok $? "gives the same"
expect 4 'has 2 channels, the network expects 1' "two channels for weights of one" \
    "$voco" predict -w w.safetensors --spacing 6 -o t nn
"$voco" -q phantom -n 1 --size 40,36,21 --spacing 4,4,6 -o other || exit 99
cp other/phantom-00000.nii.gz nn/imagesTr/case_0001.nii.gz
expect 4 'rejected: nn' "channels on two grids" \
    "$voco" predict -w two.safetensors --spacing 6 -o t nn
finish
