#!/bin/sh
# voco info from the command line: what it says, as text and as JSON, and its exit codes.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# says WORDS STATUS ARGUMENT...: the output has these words, the status is this one.
says()
{
    words=$1 want=$2
    shift 2
    "$voco" info "$@" > out 2> err
    got=$?
    cat out err | grep -qF -e "$words" && [ "$got" = "$want" ]
    ok $? "voco info $*: \"$words\" (status $got, want $want)"
}

# A volume with voxels 0 but for one 7.
mkdir d
{
    printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 3 2\nencoding: raw\n'
    printf 'space: RAS\nspace directions: (2,0,0) (0,2,0) (0,0,5)\n\n\007'
    head -c 23 /dev/zero
} > d/a.nrrd
echo 'NRRD0004' > d/b.nrrd
says '4 x 3 x 2 (24 voxels)' 0 d/a.nrrd
says '2 x 2 x 5 mm' 0 d/a.nrrd
says '0 to 7' 0 --voxels d/a.nrrd
says '"size":[4,3,2]' 0 --json d/a.nrrd
says '"kind":"list"' 0 --json d
says '1 usable, 1 not' 0 d
says 'b: ' 0 --list d
says 'the header has no end' 4 d/b.nrrd
says '1 of 2 paths' 3 d/a.nrrd d/b.nrrd
says '"error":' 3 --json d/a.nrrd absent
says 'No such file' 4 absent
says 'needs PATH' 2

# Weights: one f32 of the encoder's first convolution, by hand.
header='{"backbone.swinViT.patch_embed.proj.weight":{"dtype":"F32","shape":[1,1,1,1,1],"data_offsets":[0,4]}}'
{
    printf "\\$(printf %o ${#header})\\0\\0\\0\\0\\0\\0\\0%s\\0\\0\\0\\0" "$header"
} > w.safetensors
says 'backbone 1' 0 w.safetensors
says '"feature_size":1' 0 --json w.safetensors
says 'F32  [1,1,1,1,1]' 0 --list w.safetensors
head -c 20 w.safetensors > cut.safetensors
says 'cut.safetensors' 4 cut.safetensors

# A run with two steps and a checkpoint.
mkdir -p run/ckpt-2
printf '{"step":0,"loss":2.5}\n{"step":1,"loss":1.5}\n' > run/metrics.jsonl
echo '{"seed": 3, "adamw": {"lr": 0.5}}' > run/config.json
echo '{"step": 2}' > run/ckpt-2/state.json
cp w.safetensors run/ckpt-2/model.safetensors
says '2.5 -> 1.5' 0 run
says 'ckpt-2' 0 run
says 'adamw.lr = 0.5' 0 --list run
says 'step 2' 0 run/ckpt-2
says '"kind":"checkpoint"' 0 --json run/ckpt-2
echo '{"seed":' > run/config.json
says 'config.json:2:0: wrong JSON' 4 run
finish
