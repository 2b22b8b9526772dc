#!/bin/sh
# voco verify from the command line: whole, damaged, and things it does not know.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# flip FILE OFFSET: that byte becomes another one
flip() {
    old=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf "\\$(printf %o $(((old + 1) % 256)))" |
        dd of="$1" bs=1 seek="$2" conv=notrunc 2> /dev/null
}

mkdir in
{
    printf 'ObjectType = Image\nNDims = 3\nBinaryData = True\n'
    printf 'BinaryDataByteOrderMSB = False\nElementSpacing = 1.5 1.5 1.5\n'
    printf 'DimSize = 24 24 24\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n'
    awk 'BEGIN { for (i = 0; i < 13824; i++) printf "%c", 65 + (i * 7919) % 61 }'
} > in/a.mha
sed 's/1.5 1.5 1.5/1.4 1.5 1.5/' in/a.mha > in/b.mha
"$voco" -q convert --preset abdomen -o store in > out 2>&1 || { cat out; exit 99; }

expect 0 '2 volumes whole' "a whole store" "$voco" -q verify store
expect 0 '2 volumes whole' "with threads" "$voco" -q verify --threads 3 store store
expect 2 'neither a store' "a folder of something else" "$voco" -q verify in
expect 2 'no such file' "nothing" "$voco" -q verify nothing store
expect 4 'a.mha' "a file that is not weights" "$voco" -q verify in/a.mha
expect 2 PATH "no argument" "$voco" -q verify

size=$(wc -c < store/shard-00000.h5)
for part in 3 2; do
    cp -r store bad$part
    flip bad$part/shard-00000.h5 $((size / part))
    expect 4 'shard-00000.h5' "a byte changed at 1/$part" "$voco" -q verify bad$part
done
cp -r store short
dd if=store/shard-00000.h5 of=short/shard-00000.h5 bs=1000 count=$((size / 2000)) \
    2> /dev/null
expect 4 'not a whole shard' "half a shard" "$voco" -q verify short
rm short/shard-00000.h5
expect 4 'shard-00000.h5 is missing' "no shard" "$voco" -q verify short
"$voco" -q convert --preset abdomen -o short in > out 2>&1
expect 0 '2 volumes whole' "converted again" "$voco" -q verify short
finish
