#!/bin/sh
# The options of every verb and those of its manual page are the same, letter, name and
# argument: both are brought to the form "letter name argument" and compared.
# TAP; the program is ./voco of the build folder.
. "${srcdir:-.}/tests/tap.sh"

# verbs [VERB]: the verbs of the program, or those below a verb
verbs() { "$voco" "$@" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'; }

# in_help VERB [OPTION...]: the options that --help shows
in_help()
{
    # shellcheck disable=SC2086
    "$voco" $1 --help | sed -n '
        /^Common options/q
        s/^  -\(.\), --\([a-z0-9-]*\) \{0,1\}\([^ ]*\).*/\1 \2 \3/p
        s/^      --\([a-z0-9-]*\) \{0,1\}\([^ ]*\).*/- \1 \2/p' |
        sed 's/ *$//' | sort
}

# in_page FILE: the options that a page, or a section of one, explains
# .It Fl o , Fl -out Ar STORE        .It Fl -steps Ar N        .It Fl -force
in_page()
{
    sed -n '
        s/^\.It Fl \([^- ]\) , Fl -\([a-z0-9-]*\)\( Ar \)*\(.*\)/\1 \2 \4/p
        s/^\.It Fl -\([a-z0-9-]*\)\( Ar \)*\(.*\)/- \1 \3/p' "$1" |
        sed 's/ Ns / /g; s/ , /,/g; s/ *$//' | sort
}

# compare VERB PAGE: the options of both
compare()
{
    in_help "$1" > help
    in_page "$2" > page
    diff help page > out 2> err
    ok $? "voco $1: --help (<) and the manual page (>) have the same options"
}

# compare_forms VERB OPTION PAGE: a section of the page, "--OPTION NAME", has the options of
# each form that the default does not have, and no option that the form does not have
compare_forms()
{
    in_help "$1" > default
    "$voco" "$1" --help | sed -n "/^Choices of --$2/,/^\$/s/^  \([a-z][a-z-]*\) .*/\1/p" > forms
    sed -n "/^\.It Fl -$2 Ar/p" "$3" | grep -q . && test -s forms
    ok $? "voco $1: --$2 has choices"
    while read -r form; do
        test "$form" = "$(head -n 1 forms)" && continue
        in_help "$1 --$2 $form" > help
        sed -n "/^\.Ss --$2 $form\$/,/^\.S[sh] /p" "$3" > section
        test -s section
        ok $? "voco $1: the manual page has a section about --$2 $form"
        in_page section > page
        comm -23 help default | comm -23 - page > out
        comm -13 help page > err
        test ! -s out && test ! -s err
        ok $? "voco $1 --$2 $form: its section has what --help has beyond the default (out), and no more (err)"
    done < forms
}

verbs > all
test -s all
ok $? "the program has verbs"
while read -r verb; do
    page=$srcdir/man/voco-$verb.1
    test -f "$page"
    ok $? "voco $verb has a manual page, man/voco-$verb.1"
    test -f "$page" || continue
    verbs "$verb" > subs
    if test -s subs; then               # each has a section of the page
        while read -r sub; do
            sed -n "/^\.Ss voco $verb $sub\$/,/^\.S[sh] /p" "$page" > section
            compare "$verb $sub" section
        done < subs
    else
        sed '/^\.Ss --/,/^\.Sh /d' "$page" > section      # without those of its forms
        compare "$verb" section
        choose=$("$voco" "$verb" --help | sed -n 's/^Choices of --\([a-z-]*\),.*/\1/p')
        test -z "$choose" || compare_forms "$verb" "$choose" "$page"
    fi
    grep -q "^\.It Xr voco-$verb 1" "$srcdir/man/voco.1" > out 2> err
    ok $? "man/voco.1 names voco-$verb"
done < all
for page in "$srcdir"/man/*.[1-9]; do
    if command -v mandoc > mandoc.path; then
        mandoc -T lint -W warning "$page" > out 2> err
        ok $? "mandoc has no warning about ${page##*/}"
    else
        skip "mandoc has no warning about ${page##*/}" "no mandoc to check manual pages with"
    fi
done
finish
