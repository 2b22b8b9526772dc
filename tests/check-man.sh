#!/bin/sh
# The options of every verb and those of its manual page are the same, letter, name and
# argument: both are brought to the form "letter name argument" and compared.
set -eu
srcdir=${srcdir:-.}
work=$(mktemp -d "${TMPDIR:-/tmp}/voco-man-XXXXXX")
trap 'rm -rf "$work"' EXIT
bad=0

./voco --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' > "$work/verbs"
test -s "$work/verbs"

# compare VERB PAGE: the options of both
compare()
{
    # shellcheck disable=SC2086
    ./voco $1 --help | sed -n '
        /^Common options/q
        s/^  -\(.\), --\([a-z0-9-]*\) \{0,1\}\([^ ]*\).*/\1 \2 \3/p
        s/^      --\([a-z0-9-]*\) \{0,1\}\([^ ]*\).*/- \1 \2/p' |
        sed 's/ *$//' | sort > "$work/help"
    # .It Fl o , Fl -out Ar STORE        .It Fl -steps Ar N        .It Fl -force
    sed -n '
        s/^\.It Fl \([^- ]\) , Fl -\([a-z0-9-]*\)\( Ar \)*\(.*\)/\1 \2 \4/p
        s/^\.It Fl -\([a-z0-9-]*\)\( Ar \)*\(.*\)/- \1 \3/p' "$2" |
        sed 's/ Ns / /g; s/ , /,/g; s/ *$//' | sort > "$work/page"
    if ! diff "$work/help" "$work/page" > "$work/diff"; then
        echo "voco $1 --help (<) and its manual page (>) disagree:"
        grep '^[<>]' "$work/diff"
        bad=1
    fi
}

while read -r verb; do
    page=$srcdir/man/voco-$verb.1
    if [ ! -f "$page" ]; then
        echo "voco $verb has no manual page: expected man/voco-$verb.1"
        bad=1
        continue
    fi
    ./voco "$verb" --help | sed -n '/^Verbs:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' > "$work/subs"
    if [ -s "$work/subs" ]; then        # each has a section of the page
        while read -r sub; do
            sed -n "/^\.Ss voco $verb $sub\$/,/^\.S[sh] /p" "$page" > "$work/section"
            compare "$verb $sub" "$work/section"
        done < "$work/subs"
    else
        compare "$verb" "$page"
    fi
    ! command -v mandoc > /dev/null || mandoc -T lint -W warning "$page" || bad=1
    grep -q "^\.It Xr voco-$verb 1" "$srcdir/man/voco.1" || {
        echo "man/voco.1 does not name voco-$verb"
        bad=1
    }
done < "$work/verbs"
exit $bad
