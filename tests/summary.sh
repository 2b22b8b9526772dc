#!/bin/sh
# What make check says behind its counts, from the logs and the .trs files beside them: why
# checks were skipped, how often for each reason, and the ten programs that took longest.
#
#   summary.sh LOG...
set -u
for log; do
    trs=${log%.log}.trs
    [ ! -f "$trs" ] || sed "s,^,${log%.log} ," "$trs"
    [ ! -f "$log" ] || grep -a '^SKIP: ' "$log"
done | awk '
    /^SKIP: / {
        sub(/^.* # SKIP */, "") || sub(/^SKIP: [^ ]* (- )?/, "")
        reason[$0]++
        next
    }
    $2 == ":test-result:" { count[$3]++ }
    $2 == ":seconds:" { seconds[$1] = $3; programs++; total += $3 }
    END {
        printf "%d passed, %d failed, %d skipped; %d programs in %d s\n", count["PASS"],
               count["FAIL"] + count["ERROR"] + count["XPASS"], count["SKIP"], programs, total
        if (count["SKIP"])
            print "skipped:"
        for (r in reason)
            printf "%6d  %s\n", reason[r], r | "sort -k1,1nr -k2"
        close("sort -k1,1nr -k2")
        if (programs > 1) {
            print "slowest, in seconds:"
            for (p in seconds)
                printf "%6d  %s\n", seconds[p], p | "sort -k1,1nr -k2 | head -n 10"
        }
    }'
