#!/bin/sh
# voco info from the command line: what it says, as text and as JSON, and its exit codes.
set -eu
work=$(mktemp -d "${TMPDIR:-/tmp}/voco-info-XXXXXX")
trap 'rm -rf "$work"' EXIT
bad=0

# says WORDS STATUS ARGUMENT...: the output has these words, the status is this one.
says()
{
    words=$1 want=$2
    shift 2
    status=0
    ./voco info "$@" > "$work/out" 2>&1 || status=$?
    if [ "$status" != "$want" ] || ! grep -qF -- "$words" "$work/out"; then
        echo "voco info $*: expected status $want and \"$words\", got $status and:"
        cat "$work/out"
        bad=1
    fi
}

# A volume with voxels 0 but for one 7.
mkdir "$work/d"
{
    printf 'NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 3 2\nencoding: raw\n'
    printf 'space: RAS\nspace directions: (2,0,0) (0,2,0) (0,0,5)\n\n\007'
    head -c 23 /dev/zero
} > "$work/d/a.nrrd"
echo 'NRRD0004' > "$work/d/b.nrrd"
says '4 x 3 x 2 (24 voxels)' 0 "$work/d/a.nrrd"
says '2 x 2 x 5 mm' 0 "$work/d/a.nrrd"
says '0 to 7' 0 --voxels "$work/d/a.nrrd"
says '"size":[4,3,2]' 0 --json "$work/d/a.nrrd"
says '"kind":"list"' 0 --json "$work/d"
says '1 usable, 1 not' 0 "$work/d"
says 'b: ' 0 --list "$work/d"
says 'the header has no end' 4 "$work/d/b.nrrd"
says '1 of 2 paths' 3 "$work/d/a.nrrd" "$work/d/b.nrrd"
says '"error":' 3 --json "$work/d/a.nrrd" "$work/absent"
says 'No such file' 4 "$work/absent"
says 'needs PATH' 2

# Weights: one f32 of the encoder's first convolution, by hand.
header='{"backbone.swinViT.patch_embed.proj.weight":{"dtype":"F32","shape":[1,1,1,1,1],"data_offsets":[0,4]}}'
{
    printf "\\$(printf %o ${#header})\\0\\0\\0\\0\\0\\0\\0%s\\0\\0\\0\\0" "$header"
} > "$work/w.safetensors"
says 'backbone 1' 0 "$work/w.safetensors"
says '"feature_size":1' 0 --json "$work/w.safetensors"
says 'F32  [1,1,1,1,1]' 0 --list "$work/w.safetensors"
head -c 20 "$work/w.safetensors" > "$work/cut.safetensors"
says 'cut.safetensors' 4 "$work/cut.safetensors"

# A run with two steps and a checkpoint.
mkdir -p "$work/run/ckpt-2"
printf '{"step":0,"loss":2.5}\n{"step":1,"loss":1.5}\n' > "$work/run/metrics.jsonl"
echo '{"seed": 3, "adamw": {"lr": 0.5}}' > "$work/run/config.json"
echo '{"step": 2}' > "$work/run/ckpt-2/state.json"
cp "$work/w.safetensors" "$work/run/ckpt-2/model.safetensors"
says '2.5 -> 1.5' 0 "$work/run"
says 'ckpt-2' 0 "$work/run"
says 'adamw.lr = 0.5' 0 --list "$work/run"
says 'step 2' 0 "$work/run/ckpt-2"
says '"kind":"checkpoint"' 0 --json "$work/run/ckpt-2"
echo '{"seed":' > "$work/run/config.json"
says 'config.json:2:0: wrong JSON' 4 "$work/run"
exit $bad
