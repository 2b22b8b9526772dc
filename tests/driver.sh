#!/bin/sh
# Between make check and automake's driver of TAP, which writes a line per check into a
# program's .log and .trs files and, in "make check", on the screen.  This keeps them to the
# files, shows what failed and one line for the program, and notes in the .trs file how long
# the program took (automake skips fields that it does not know).
#
#   driver.sh TAP-DRIVER... --test-name NAME --log-file LOG --trs-file TRS ... -- PROGRAM...
set -u
name='' trs='' log='' before=''
for word; do
    case $before in
    --test-name) name=$word ;;
    --trs-file) trs=$word ;;
    --log-file) log=$word ;;
    esac
    [ "$word" != -- ] || break
    before=$word
done
start=$(date +%s)
"$@" > /dev/null || exit
seconds=$(($(date +%s) - start))
echo ":seconds: $seconds" >> "$trs"
grep -E '^(FAIL|ERROR): ' "$log"
awk -v name="$name" -v seconds="$seconds" '
    /^:test-result:/ { count[$2]++ }
    END {
        bad = count["FAIL"] + count["ERROR"]
        printf "%s: %s (%d passed", bad ? "FAIL" : count["PASS"] ? "PASS" : "SKIP", name,
               count["PASS"]
        if (bad)
            printf ", %d failed", bad
        if (count["SKIP"])
            printf ", %d skipped", count["SKIP"]
        printf ", %d s)\n", seconds
    }' "$trs"
