#!/bin/sh
# voco model from the command line: files in, files out, and back again; reports and exit
# codes.  What other programs make of the files is in cli_torch.sh.  TAP; the program is
# ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"
golden=$srcdir/tests/golden/pt

# said TEXT NAME: the last command printed it
said() { cat out err | grep -q -e "$1"; ok $? "$2 ('$1')"; }

# same A B NAME: the same bytes
same() { cmp "$1" "$2" > out 2> err; ok $? "$3"; }

# weights of the whole network, fixed merging, without heads
"$build/tests/make_segweights" whole.safetensors 12 1 3 32 - 3 || exit 99
model="$voco model"

expect 0 'Swin UNETR v2, encoder and decoder' "inspect" $model inspect whole.safetensors
expect 0 '"feature_size": *12' "inspect as JSON" $model inspect -j whole.safetensors
for version in 1.13.1 2.3.1; do
    expect 0 'tensors inside state_dict' "a file of PyTorch $version" \
        $model inspect "$golden/wrapped-$version.pt"
    said 'argparse.Namespace, beside the tensors; nothing was run' "a Python name is told"
done
expect 3 '1 of 2 files' "one file of two is damaged" \
    $model inspect "$golden/types.pt" "$golden/before16.pt"

# everything out and in again: the same tensors, bit by bit
expect 0 '159 of 159 parameters loaded (100.0 %' "import of voco's own" \
    $model import whole.safetensors -o want.safetensors
for style in monai voco voco-official; do
    for end in pt safetensors; do
        expect 0 "names of $style, 0 left out" "export of $style as .$end" \
            $model export whole.safetensors -n $style -o out.$end
        expect 0 '(100.0 %' "and in" $model import out.$end -o back.safetensors
        same want.safetensors back.safetensors "nothing is lost in $style as .$end"
    done
done
expect 0 'fixed patch merging: for MONAI 1.5' "the merging of the file is kept" \
    $model export whole.safetensors -o fixed.pt
expect 0 'legacy patch merging: for MONAI before 1.5' "and changed on purpose" \
    $model export whole.safetensors --merging legacy -o legacy.pt
expect 0 'feature size 12, legacy patch merging' "which a .pt remembers" \
    $model import legacy.pt -o legacy.safetensors
$model export whole.safetensors -o again.pt 2> err
same fixed.pt again.pt "the same weights are the same .pt"

# parts and types
expect 0 '22 left out' "the backbone" $model export whole.safetensors -p backbone -o backbone.pt
expect 0 '137 of 137 parameters' "is what pre-training needs" \
    $model import backbone.pt -o backbone.safetensors
expect 0 'the names of nvidia-ssl' "swinViT alone" \
    $model export whole.safetensors -n nvidia-ssl -o nvidia.pth
expect 8 'are missing' "is too little" $model import nvidia.pth -o x.safetensors
said 'missing (11): backbone.encoder1.layer.conv1.conv.weight' "what is missing is named"
expect 0 'from inside state_dict' "unless --partial" \
    $model import nvidia.pth --partial -o x.safetensors
expect 8 'expected at least --min-coverage 90' "--min-coverage" \
    $model import nvidia.pth --min-coverage 90 -o x2.safetensors
[ ! -e x2.safetensors ]; ok $? "and nothing was written"
for type in f16 bf16; do
    $model export whole.safetensors --type $type -o small.pt 2> err
    expect 0 "types  *$(echo $type | tr a-z A-Z) 159" "$type" $model inspect small.pt
    $model export small.pt --type f32 -o wide.pt 2> err
    $model export wide.pt --type $type -o small2.pt 2> err
    same small.pt small2.pt "$type is exact in f32"
done

# ---- what strangers' files say, and do not say ----
edit() { "$build/tests/edit_weights" "$@" || exit 99; }

# more tensors than the network has: imported with them, so that no verb runs them
edit whole.safetensors deep.pt add=swinViT.layers3.0.blocks.2.norm1.weight,48 mute
expect 0 'predict and embed will refuse deep.safetensors' "import keeps what it cannot place" \
    $model import deep.pt --merging fixed -o deep.safetensors
expect 0 'swinViT.layers3.0.blocks.2.norm1.weight' "under its name" \
    $model inspect deep.safetensors
edit whole.safetensors fifth.pt add=encoder5.layer.conv1.conv.weight,8
$model import fifth.pt -o fifth.safetensors 2> err
expect 0 'encoder5.layer.conv1.conv.weight' "also a stage that MONAI has not" \
    $model inspect fifth.safetensors

# the order of merging: assumed, said so, and not written as a fact
edit whole.safetensors mute.pt mute
expect 0 'voco: mute.pt: does not say in which order' "an order that nobody says" \
    $model import mute.pt -q -o mute.safetensors
expect 0 'legacy, assumed' "is an assumption" $model inspect mute.safetensors
$model inspect -j mute.safetensors | grep -q '"merging_known": *false'; ok $? "in JSON, too"
expect 0 'assumed' "also when exported" $model export mute.safetensors -o mute2.pt
expect 0 'legacy, assumed' "and in what is exported" $model inspect mute2.pt
$model import mute.pt -q --merging fixed -o told.safetensors > out 2> err
[ ! -s err ]; ok $? "an order that is given is no assumption"
expect 0 'merging  *fixed$' "and is what the file says from then on" $model inspect told.safetensors
edit whole.safetensors odd.safetensors say=voco.merging,sideways
expect 8 "voco.merging is 'sideways', expected legacy or fixed" "an order that is none" \
    $model import odd.safetensors -o x2.safetensors
expect 0 'patch merging: for MONAI 1.5' "which --merging corrects" \
    $model export odd.safetensors --merging fixed -o corrected.pt

# prefixes that all names share
for front in model. net. _model. net.model.; do
    edit whole.safetensors front.pt front=$front wrap=state_dict
    expect 0 "all names begin with $front, which is left out" "names behind $front" \
        $model import front.pt -o front.safetensors
    same want.safetensors front.safetensors "are those of the network"
    expect 0 "prefix  *$front" "and told" "$voco" info front.pt
done
edit whole.safetensors some.pt front=net. && edit some.pt some2.pt add=loss.weight,2
expect 0 '159 of 159' "a foreign head beside bare names is left alone" \
    $model import some2.pt -o x.safetensors
said 'unexpected (1): loss.weight' "and named"
edit some2.pt some3.pt front=other.
expect 0 '159 of 159' "one prefix more" $model import some3.pt -o x.safetensors

# weights are known by their content
cp want.safetensors weights.bin
cp fixed.pt weights
for file in weights.bin weights; do
    expect 0 'Swin UNETR v2' "info of $file" "$voco" info $file
done
mkdir folder && cp want.safetensors folder/model.safetensors
expect 0 'Swin UNETR v2' "of a folder with weights" "$voco" info folder
printf 'neither one nor the other\n' > x.ckpt
expect 4 'neither a volume .*, nor a list .*, a store .*, or weights' "info of nothing" \
    "$voco" info x.ckpt

# provenance goes along, in either format
edit whole.safetensors from.safetensors say=voco.orientation,RAS \
    'say=voco.provenance,{"voco":"1","objective":"segment","step":9}'
for end in pt safetensors; do
    expect 0 'left out' "export of weights with provenance as .$end" \
        $model export from.safetensors -o from2.$end
    expect 0 'voco 1, segment, 9 steps' "which keeps it" $model inspect from2.$end
    expect 0 '100.0 %' "import, too" $model import from2.$end -o from3.safetensors
    expect 0 'voco.orientation = RAS' "with the orientation" $model inspect from3.safetensors
done

# what is refused
expect 2 'output OUT is missing' "no output" $model import whole.safetensors
expect 5 'nowhere' "a folder that is not there" $model export whole.safetensors -o nowhere/x.pt
expect 5 'no-such.pt' "a file that is not there" $model import no-such.pt -o x2.safetensors
expect 8 'not recognised' "another network" $model import "$golden/types.pt" -o x2.safetensors
expect 4 'before 1.6' "an old file" $model import "$golden/before16.pt" -o x2.safetensors
head -c 100000 fixed.pt > cut.pt
expect 4 'truncated' "a truncated file" $model import cut.pt -o x2.safetensors
{ head -c 20000000 fixed.pt; printf 'damaged'; tail -c +20000008 fixed.pt; } > changed.pt
expect 4 'CRC error: the file is damaged' "a changed byte" $model import changed.pt -o x2.safetensors
expect 4 'CRC error: the file is damaged' "on its way to a .pt" $model export changed.pt -o x2.pt
ls -A | grep -e '^x2' -e tmp > out
ok "$((! $?))" "nothing is left of what failed"
finish
