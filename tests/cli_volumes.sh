#!/bin/sh
# What headers of volumes say in several places, where outputs lie, and volumes that are too
# small.  TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# set_bytes FILE AT BYTES: overwrites; BYTES as printf has them
# shellcheck disable=SC2059
set_bytes() { printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc 2> /dev/null; }

# where FILE: what a NIfTI-1 header says of the place: pixdim, unit, both transforms
where() {
    for part in 77:16 124:1 253:76; do
        tail -c +${part%:*} "$1" | head -c ${part#*:}
    done
}

# Offsets of fields.
pixdim1=80 unit=123 qform=252 quatern_d=264 qoffset_x=268

"$voco" -q phantom -n 1 --size 40,36,20 --spacing 4,4,6 -o ct || exit 99
"$voco" -q phantom -n 1 --size 32,32,32 --spacing 4 -o few || exit 99
gzip -dc ct/phantom-00000.nii.gz > plain.nii
"$build/tests/make_segweights" w.safetensors 12 1 3 32 abdomen 3 || exit 99

# ---- headers that contradict themselves ----
"$voco" -q info plain.nii > out 2> err && [ ! -s err ]
ok $? "a header that agrees with itself is read without a word"
cp plain.nii v.nii && set_bytes v.nii $pixdim1 '\000\000\020\101'
expect 0 'voco: v.nii: the voxels are 4 x 4 x 6 by the sform, which is taken, and 9 x 4 x 6 by' \
    "another size in pixdim" "$voco" -q info v.nii
set_bytes v.nii $pixdim1 '\000\000\000\000'
"$voco" -q info v.nii > out 2> err && [ ! -s err ]
ok $? "0 there says nothing"
cp plain.nii v.nii && set_bytes v.nii $qform '\001\000'
expect 0 'voco: v.nii: the axes point elsewhere by the sform' "a qform turned around" \
    "$voco" -q info v.nii

nrrd() {
    {
        printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 3 2\nencoding: raw\n%b\n\n' "$1"
        head -c 24 /dev/zero
    } > n.nrrd
}
directions='space directions: (2,0,0) (0,2,0) (0,0,5)'
nrrd "$directions"
expect 0 'voco: n.nrrd: the header names no space: left-posterior-superior assumed' \
    "no space" "$voco" -q info n.nrrd
nrrd "space: RAS"
expect 0 'voco: n.nrrd: neither space directions nor spacings: 1 mm assumed' "no spacing" \
    "$voco" -q info n.nrrd
nrrd "space: RAS\n$directions\nold min: 0"
expect 0 'voco: n.nrrd: old min and old max are not applied' "old min" "$voco" -q info n.nrrd
nrrd "space: RAS\n$directions\nunits: \"um\" \"um\" \"um\""
expect 0 'voco: n.nrrd: units are left out of account' "units beside directions" \
    "$voco" -q info n.nrrd
nrrd "space: RAS\n$directions\nspace unit: \"um\" \"um\" \"um\""
expect 0 'voco: n.nrrd: "space unit" is no field of NRRD' "a field that is none" \
    "$voco" -q info n.nrrd
nrrd "space: RAS\n$directions\nspace units: \"um\" \"um\" \"um\""
expect 0 '0.002 x 0.002 x 0.005 mm' "micrometres are obeyed" "$voco" -q info n.nrrd

# ---- outputs lie where their inputs lie, for readers of either transform ----
cp plain.nii v.nii && set_bytes v.nii $qform '\002\000' && set_bytes v.nii $qoffset_x '\000\000\060\101'
set_bytes v.nii $quatern_d '\000\000\200\077' && set_bytes v.nii $unit '\002'
where v.nii > want
"$voco" -q convert -p abdomen --spacing 6 --pad none --pad-first none -o store \
    --store-type f32 v.nii || exit 99
for input in v.nii store; do
    expect 0 '1 label map' "labels of $input" \
        "$voco" predict -w w.safetensors --spacing 6 -o labels $input
    gzip -dc labels/v.nii.gz > labels.nii
    where labels.nii | cmp - want > out 2>&1
    ok $? "repeat unit, qform and sform of the image"
    mv labels.nii "of-$input" && rm -r labels
done
cmp of-v.nii of-store > out 2>&1
ok $? "and are the same"

# ---- volumes smaller than a crop ----
expect 0 'less than one crop of 64^3 and get zeros around them' "a volume of 32^3" \
    "$voco" embed -w w.safetensors -p none -o e.h5 few/phantom-00000.nii.gz
expect 0 'embeddings of' "with a preset that pads" \
    "$voco" embed -w w.safetensors -p headneck -o e.h5 few/phantom-00000.nii.gz
finish
