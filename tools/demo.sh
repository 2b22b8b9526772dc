#!/bin/sh
# From volumes that Debian packages, where they can be had, and phantoms to a small pre-trained
# encoder, a loss curve and a picture of the pretext task.  ./bootstrap demo calls it with the
# folder of the build.
# Usage: tools/demo.sh BUILD-FOLDER      (steps: VOCO_DEMO_STEPS, default 25)
set -eu
build=$(cd "$1" && pwd)
voco=$build/voco
work=$build/demo
steps=${VOCO_DEMO_STEPS:-25}
mkdir -p "$work/real"
# Threads that wait should not spin: a demonstration rarely has the machine to itself.
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY-passive}"
cd "$work"

say() { printf '\n== %s\n' "$*"; }

run()
{
    printf '$ voco %s\n' "$*"
    "$voco" "$@"
}

# fetch PACKAGE FILE: prints where FILE of a Debian package is: where it is installed, or
# unpacked here, which needs no root and gets around images without /usr/share/doc.
fetch()
{
    if test -f "$2"; then
        echo "$2"
    elif test -f "packages$2"; then
        echo "packages$2"
    elif command -v apt-get > /dev/null && apt-get -q download "$1" > fetch.log 2>&1 &&
         dpkg-deb -x "$1"_*.deb packages && test -f "packages$2"; then
        echo "packages$2"
    else
        echo "demo: no $2, of Debian's package $1; going on without it" >&2
        return 1
    fi
}

say '2/4 Volumes: a CT head, two T1 brains, and phantoms'

# The CT is a raw array in a tar; MetaImage needs only a header beside it.  Debian's
# example tells the spacing and that the numbers are HU.
if ! test -f real/cranium.mhd && archive=$(fetch invesalius-examples \
        /usr/share/doc/invesalius-examples/examples/Cranium.inv3); then
    tar -xOf "$archive" --wildcards '*/matrix.dat' > real/cranium.raw
    cat > real/cranium.mhd << 'HEADER'
ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 1 0 0 0 1 0 0 0 1
Offset = -122 -122 -80
ElementSpacing = 0.9570312 0.9570312 1.5
DimSize = 256 256 108
ElementType = MET_SHORT
ElementDataFile = cranium.raw
HEADER
fi
brains=
for name in ch2 inia19-t1-brain; do
    if place=$(fetch mricron-data /usr/share/mricron/templates/$name.nii.gz); then
        brains="$brains $place"
    fi
done
run phantom -n 3 -o phantom
test ! -f real/cranium.mhd || run convert --preset headneck -o store real/cranium.mhd
# shellcheck disable=SC2086
test -z "$brains" || run convert --preset mr -o store $brains
run convert --preset abdomen -o store phantom
run info store

say "3/4 Pre-training: feature size 12, $steps steps of 2 volumes (the paper: 48, and 4)"
run pretrain --store store --out run --feature-size 12 --batch 2 --steps "$steps" \
    --schedule constant --lr 2e-4 --resume auto

say '4/4 What came of it'
run plot run
cat << NEXT

Look at  $work/run/loss.png      the losses
         $work/run/mosaic.png    base crops, random crops, true and predicted positions

Next, with your own scans (--help and the manual pages say more):
  $voco doctor /where/runs/go
  $voco convert --preset abdomen -o STORE FOLDER-OF-CT...
  $voco plan
  $voco pretrain --store STORE --out RUN --resume auto
NEXT
