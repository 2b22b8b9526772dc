#!/bin/sh
# The program from outside: exit codes, what goes to stdout and stderr, completion.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# streams STATUS STDOUT STDERR WORD...: voco WORD... ends with STATUS, prints a line with
# STDOUT, and one with STDERR; "" expects nothing at all there.
streams()
{
    status=$1 on_out=$2 on_err=$3 bad=0
    shift 3
    "$voco" "$@" > out 2> err
    got=$?
    test "$got" = "$status" || bad=1
    if test -n "$on_out"; then grep -q -e "$on_out" out; else test ! -s out; fi || bad=1
    if test -n "$on_err"; then grep -q -e "$on_err" err; else test ! -s err; fi || bad=1
    ok $bad "voco $* (status $got, want $status; '$on_out' on stdout, '$on_err' on stderr)"
}

streams 0 '^voco [0-9]' '' --version
streams 0 '^Usage: voco VERB' '' --help
streams 0 '^Usage: voco doctor' '' doctor --help
streams 0 '^Usage: voco doctor' '' -q doctor /nowhere -h
streams 2 '' "^voco: there is no verb; 'voco --help' lists the verbs"
streams 2 '' "^voco: unknown verb 'docter'; did you mean 'doctor'?" docter
streams 2 '' "^voco: unknown verb 'xyzzy'" xyzzy
streams 2 '' "^voco: unknown option '--frob'" --frob
streams 2 '' "^voco: unknown option '--frob'" doctor --frob
streams 2 '' "^voco: unexpected argument 'b'" doctor a b
streams 2 '' "needs bash|zsh" completion
streams 2 '' "'fish' is not bash or zsh" completion fish
streams 0 '^Usage: voco model VERB' '' model --help
streams 0 '^Usage: voco model export' '' model export --help
streams 2 '' "'voco model' needs a verb" model
streams 2 '' "needs a verb in front of '--json'" model --json a.pt
streams 2 '' "unknown verb 'inspekt'; did you mean 'inspect'?" model inspekt
streams 2 '' "unknown verb 'x'; 'voco model --help' lists them" model x
streams 2 '' "'voco model import' needs FILE" model import
streams 0 '^complete -F _voco voco' '' completion bash
streams 0 '^.compdef voco' '' completion zsh

mkdir healthy
streams 0 'OK *OpenMP' '' doctor healthy
grep -q '0 wrong$' out
ok $? "voco doctor has a line of sums"
test -z "$(find healthy -name '.voco*')"
ok $? "voco doctor leaves no file behind"
streams 1 'FAIL *folder *none is not a folder' 'checks failed' doctor none

if test -w /dev/full; then
    "$voco" --help > /dev/full 2> err
    test $? = 5 && grep -q 'cannot write' err
    ok $? "voco --help > /dev/full ends with status 5 and a sentence"
else
    skip "voco --help > /dev/full" "no /dev/full"
fi

# The verbs of the program, or those below a verb.
verbs() { "$voco" "$@" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }

# missing VERB...: which of its options are not in the script
missing()
{
    for option in $("$voco" "$@" --help |
                    sed -n 's/^ *\(-.,\)\{0,1\} *--\([a-z0-9-]*\).*/\2/p'); do
        grep -q -e "--$option" script || echo "--$option"
    done
}

# Every verb and option is in the completion scripts, and the shells accept them.
for shell in bash zsh; do
    "$voco" completion $shell > script
    if command -v $shell > found; then
        $shell -n script > out 2> err
        ok $? "$shell accepts its script"
    else
        skip "$shell accepts its script" "no $shell"
    fi
    for verb in $(verbs); do
        {
            grep -q -e "[ ']$verb'\{0,1\}[):]" script || echo "no verb $verb"
            for sub in $(verbs "$verb"); do
                grep -q -e "[ ']$sub'\{0,1\}[):]" script || echo "no verb $verb $sub"
                missing "$verb" "$sub"
            done
            missing "$verb"
        } > out 2> err
        test ! -s out
        ok $? "completion of $shell knows voco $verb and its options"
    done
done
if command -v bash > found; then
    # shellcheck disable=SC2016
    PATH=$build:$PATH bash -c '. "$1"; COMP_WORDS=(voco comp); COMP_CWORD=1; _voco; echo "${COMPREPLY[*]}"' \
        - "$srcdir/share/completion/voco" > out 2> err
    grep -qx completion out
    ok $? 'bash completes "voco comp"'
    # shellcheck disable=SC2016
    PATH=$build:$PATH bash -c '. "$1"; COMP_WORDS=(voco -q model ex); COMP_CWORD=3; _voco; echo "${COMPREPLY[*]}"
             COMP_WORDS=(voco model export --na); COMP_CWORD=3; _voco; echo "${COMPREPLY[*]}"
             COMP_WORDS=(voco model export -n nvi); COMP_CWORD=4; _voco; echo "${COMPREPLY[*]}"' \
        - "$srcdir/share/completion/voco" > out 2> err
    printf 'export\n--names\nnvidia-ssl\n' | diff - out > diff.out
    ok $? 'bash completes verbs, options and choices of "voco model"'
else
    skip "bash completes words" "no bash"
fi
finish
