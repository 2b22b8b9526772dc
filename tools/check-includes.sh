#!/bin/sh
# Who may include whom: prints every #include that breaks the layers or a foreign
# header's ownership (HACKING.md), and fails if there is one.  TAP.
# Usage: check-includes.sh [SOURCE-FOLDER]
set -eu
cd "${1:-${srcdir:-.}}"

status=0
find src data simd -name '*.[ch]' -exec awk '
# rule(room, list): files of room may include from the rooms of the list, and from their
# own.  "dev/" is all of a room with the rooms inside it, "dev" only its own files.  A file
# follows its own rule, or that of the innermost room that has one.
function rule(room, list)
{
    may[room] = list
}
BEGIN {
    rule("src/base",              "base")
    rule("src/dev",               "base")
    rule("src/dev/list.c",        "base dev/")
    rule("src/dev/cpu",           "base dev simd")
    rule("src/dev/oracle",        "base dev")
    rule("src/dev/wrap",          "base dev")
    rule("src/net",               "base dev")
    rule("src/tensorfile",        "base")
    rule("src/probe",             "base")
    rule("src/report",            "base")
    rule("src/model",             "base dev net tensorfile data/transform")
    rule("src/train",             "base dev dev/wrap net report tensorfile model data/batch data/store")
    rule("src/objective",         "base dev net report model train data/ objective objective/embed objective/pretrain")
    rule("src/objective/list.c",  "train objective/")
    rule("src/objective/omni",    "base dev net model train data/ objective objective/pretrain objective/segment objective/voco")
    rule("src/objective/embed",   "base dev net model train")
    rule("src/eval",              "base report data/")
    rule("src/leak",              "base dev eval report data/")
    rule("src/task",              "base dev dev/wrap net report tensorfile model train objective/ eval probe data/")
    rule("src/cmd",               "")
    rule("data/codec",            "base")
    rule("data/volume",           "base data/codec")
    rule("data/transform",        "base data/volume")
    rule("data/phantom",          "base data/volume")
    rule("data/store",            "base data/codec data/volume")
    rule("data/dataset",          "base data/volume data/store")
    rule("data/augment",          "base")
    rule("data/batch",            "base data/store")
    rule("data",                  "base data/")
    rule("simd",                  "")
}
# The innermost room above a file that has a rule.
function room_of(file)
{
    if (file in may)
        return file
    do
        sub(/\/[^\/]*$/, "", file)
    while (!(file in may) && file ~ /\//)
    return file
}
function allowed(file, header,    room, folder, list, n, i)
{
    room = room_of(file)
    if (room == "src/cmd" || header == "config.h")
        return 1
    folder = header
    if (!sub(/\/[^\/]*$/, "", folder))
        return 0
    if (folder == substr(file, 1, length(file) - length(base_name(file)) - 1) ||
        "src/" folder == substr(file, 1, length(file) - length(base_name(file)) - 1))
        return 1
    if ("src/" folder == room || folder == room)
        return 1
    n = split(may[room], list, " ")
    for (i = 1; i <= n; i++) {
        if (folder == list[i])
            return 1
        if (list[i] ~ /\/$/ && index(folder "/", list[i]) == 1)
            return 1
    }
    return 0
}
function base_name(file)
{
    sub(/.*\//, "", file)
    return file
}
# The one place where a foreign header may appear.
function owner(header)
{
    if (header == "cblas.h")         return "^src/dev/cpu/"
    if (header == "hdf5.h")          return "^data/store/"
    if (header == "mpi.h")           return "^src/train/comm_mpi[.]c$"
    if (header == "zip.h")           return "^src/tensorfile/zip"
    if (header == "png.h")           return "^src/report/"
    if (header ~ /^(oneapi.)?dnnl/)  return "^src/dev/cpu/dnnl_shim(_api)?[.][ch]$"
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
    if (!allowed(FILENAME, part[2]))
        complain("may include from: " may[room_of(FILENAME)])
}
# No device is special to what uses devices: dev/list.h has them by name.
(/voco_(cpu|oracle)([^a-z0-9_]|_bf16|$)/ || /include[ \t]*"dev\/(cpu|oracle)\//) &&
        FILENAME !~ /^src\/dev\// {
    complain("devices outside src/dev come from dev/list.h")
}
/^[ \t]*#[ \t]*include[ \t]*</ {
    split($0, part, /[<>]/)
    where = owner(part[2])
    if (where != "" && FILENAME !~ where)
        complain("belongs to " where)
}
END { exit bad }
' {} + || status=1
test $status = 0 && echo 'ok 1 - includes go down only' || echo 'not ok 1 - includes go down only'
echo 1..1
exit $status
