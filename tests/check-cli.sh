#!/bin/sh
# The program from outside: exit codes, what goes to stdout and stderr, completion.
set -u
work=$(mktemp -d "${TMPDIR:-/tmp}/voco-cli-XXXXXX")
trap 'rm -rf "$work"' EXIT
bad=0

complain()
{
    echo "$*"
    cat "$work/out" "$work/err"
    bad=1
}

# expect STATUS STDOUT STDERR WORD...: voco WORD... ends with STATUS, prints a line with
# STDOUT, and one with STDERR; "" expects nothing at all there.
expect()
{
    status=$1 out=$2 err=$3
    shift 3
    ./voco "$@" > "$work/out" 2> "$work/err"
    got=$?
    test "$got" = "$status" || complain "voco $*: exit status $got, expected $status"
    for stream in out err; do
        eval "want=\$$stream"
        if test -z "$want"; then
            test ! -s "$work/$stream" || complain "voco $*: output on std$stream"
        else
            grep -q -e "$want" "$work/$stream" || complain "voco $*: no '$want' on std$stream"
        fi
    done
}

expect 0 '^voco [0-9]' '' --version
expect 0 '^Usage: voco VERB' '' --help
expect 0 '^Usage: voco doctor' '' doctor --help
expect 0 '^Usage: voco doctor' '' -q doctor /nowhere -h
expect 2 '' "^voco: what to do? 'voco --help' lists the verbs"
expect 2 '' "^voco: unknown verb 'docter'; did you mean 'doctor'?" docter
expect 2 '' "^voco: unknown verb 'xyzzy'" xyzzy
expect 2 '' "^voco: unknown option '--frob'" --frob
expect 2 '' "^voco: unknown option '--frob'" doctor --frob
expect 2 '' "^voco: unexpected argument 'b'" doctor a b
expect 2 '' "needs bash|zsh" completion
expect 2 '' "'fish' is not bash or zsh" completion fish
expect 0 '^Usage: voco model VERB' '' model --help
expect 0 '^Usage: voco model export' '' model export --help
expect 2 '' "'voco model' needs a verb" model
expect 2 '' "needs a verb in front of '--json'" model --json a.pt
expect 2 '' "unknown verb 'inspekt'; did you mean 'inspect'?" model inspekt
expect 2 '' "unknown verb 'x'; 'voco model --help' lists them" model x
expect 2 '' "'voco model import' needs FILE" model import
expect 0 '^complete -F _voco voco' '' completion bash
expect 0 '^#compdef voco' '' completion zsh

expect 0 'OK *OpenMP' '' doctor "$work"
grep -q '0 wrong$' "$work/out" || complain 'voco doctor: no line of sums'
test -z "$(find "$work" -name '.voco*')" || complain 'voco doctor left a file behind'
expect 1 'FAIL *folder *'"$work/none is not a folder" 'checks failed' doctor "$work/none"

if test -w /dev/full; then
    ./voco --help > /dev/full 2> "$work/err"
    test $? = 5 || complain 'voco --help > /dev/full: expected exit status 5'
    grep -q 'cannot write' "$work/err" || complain 'voco --help > /dev/full: no sentence'
fi

# The verbs of the program, or those below a verb.
verbs() { ./voco "$@" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z-]*\) .*/\1/p'; }

# has_options VERB...: all are in the script of $shell.
has_options()
{
    for option in $(./voco "$@" --help |
                    sed -n 's/^ *\(-.,\)\{0,1\} *--\([a-z0-9-]*\).*/\2/p'); do
        grep -q -e "--$option" "$work/script" || complain "$shell: no --$option"
    done
}

# Every verb and option is in the completion scripts, and the shells accept them.
for shell in bash zsh; do
    ./voco completion $shell > "$work/script"
    ! command -v $shell > /dev/null || $shell -n "$work/script" || bad=1
    for verb in $(verbs); do
        grep -q -e "[ ']$verb'\{0,1\}[):]" "$work/script" || complain "$shell: no verb $verb"
        for sub in $(verbs "$verb"); do
            grep -q -e "[ ']$sub'\{0,1\}[):]" "$work/script" ||
                complain "$shell: no verb $verb $sub"
            has_options "$verb" "$sub"
        done
        has_options "$verb"
    done
done
if command -v bash > /dev/null; then
    PATH=$PWD:$PATH bash -c '. "$1"; COMP_WORDS=(voco comp); COMP_CWORD=1; _voco; echo "${COMPREPLY[*]}"' \
        - "$srcdir/share/completion/voco" > "$work/out" 2> "$work/err"
    grep -qx completion "$work/out" || complain 'bash does not complete "voco comp"'
    PATH=$PWD:$PATH bash -c '. "$1"; COMP_WORDS=(voco -q model ex); COMP_CWORD=3; _voco; echo "${COMPREPLY[*]}"
             COMP_WORDS=(voco model export --na); COMP_CWORD=3; _voco; echo "${COMPREPLY[*]}"
             COMP_WORDS=(voco model export -n nvi); COMP_CWORD=4; _voco; echo "${COMPREPLY[*]}"' \
        - "$srcdir/share/completion/voco" > "$work/out" 2> "$work/err"
    printf 'export\n--names\nnvidia-ssl\n' | diff - "$work/out" ||
        complain 'bash does not complete "voco model"'
fi
exit $bad
