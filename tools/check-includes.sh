#!/bin/sh
# Who may include whom: prints every #include that breaks the layers or a foreign
# header's ownership (HACKING.md), and fails if there is one.
# Usage: check-includes.sh [SOURCE-FOLDER]
set -eu
cd "${1:-${srcdir:-.}}"

find src data simd -name '*.[ch]' -exec awk '
# The folders that a folder may include from, besides config.h; includes go down only.
function layer(file)
{
    if (file ~ /^src\/dev\/cpu_/) return "base dev simd"
    if (file ~ /^src\/base\//)    return "base"
    if (file ~ /^src\/dev\//)     return "base dev"
    if (file ~ /^src\/op\//)      return "base dev op"
    if (file ~ /^src\/net\//)     return "base dev op net"
    if (file ~ /^src\/report\//)  return "base report"
    if (file ~ /^src\/tensorfile\//) return "base tensorfile"
    if (file ~ /^src\/eval\//)    return "base report data eval"
    if (file ~ /^src\/train\//)   return "base dev op net report data tensorfile train"
    if (file ~ /^data\//)         return "base data"
    if (file ~ /^simd\//)         return "simd"
    return ""                     # main.c and cmd*.c may include anything
}
# The one place where a foreign header may appear.
function owner(header)
{
    if (header == "cblas.h")         return "^src/dev/"
    if (header == "hdf5.h")          return "^data/"
    if (header == "mpi.h")           return "^src/train/comm_mpi[.]c$"
    if (header == "zip.h")           return "^src/tensorfile/zip"
    if (header == "png.h")           return "^src/report/"
    if (header ~ /^(oneapi.)?dnnl/)  return "^src/dev/dnnl_shim(_api)?[.][ch]$"
    if (header ~ /intrin[.]h$/)      return "^simd/[a-z0-9_]*avx[a-z0-9_]*[.][ch]$"
    return ""
}
function complain(why)
{
    printf "%s:%d: %s: %s\n", FILENAME, FNR, $0, why
    bad = 1
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    header = part[2]
    top = header
    sub(/\/.*/, "", top)
    may = layer(FILENAME)
    if (may != "" && header != "config.h" && index(" " may " ", " " top " ") == 0)
        complain("may include from: " may)
}
/^[ \t]*#[ \t]*include[ \t]*</ {
    split($0, part, /[<>]/)
    where = owner(part[2])
    if (where != "" && FILENAME !~ where)
        complain("belongs to " where)
}
END { exit bad }
' {} +
