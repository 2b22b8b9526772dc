#!/bin/sh
# The version of configure.ac is that of CITATION.cff, of the packages and, in a release, of
# the top of ChangeLog.  TAP.
# Usage: check-version.sh [--release]     in the build folder or the sources
#
# --release: as make dist for a tag needs it, with a date and without "unreleased".
set -u
release=no
test "${1-}" != --release || release=yes
cd "${srcdir:-.}" || exit 99
version=$(sed -n 's/^AC_INIT(\[voco\], \[\([^]]*\)\].*/\1/p' configure.ac)
dots=$(printf %s "$version" | sed 's/\./\\./g')
n=0 failed=0

# says FILE PATTERN: a line of FILE matches.
says()
{
    n=$((n + 1))
    if grep -q -e "$2" "$1"; then
        echo "ok $n - $1 has $version"
    else
        failed=$((failed + 1))
        echo "not ok $n - $1 has $version"
        echo "# no line matches '$2'"
    fi
}

packages=tools/packaging
says configure.ac "^AC_INIT(\[voco\], \[[0-9.]*\]"
says CITATION.cff "^version: \"$dots\"\$"
says $packages/apptainer/voco.def "^ *Version $dots\$"
says $packages/conda-forge/recipe.yaml "^  version: \"$dots\"\$"
says $packages/debian/changelog "^voco ($dots-[0-9]*)"
says "$packages/easybuild/voco-$version-foss-2023a.eb" "^version = '$dots'\$"
says $packages/guix/voco.scm "^  (version \"$dots\")\$"
says "$packages/modulefiles/voco/$version" "^set prefix /opt/voco/$dots\$"
says "$packages/modulefiles/voco/$version.lua" "^whatis(\"Version: $dots\")\$"

date='[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]'
if [ $release = yes ]; then
    top="^$date  voco $dots\$"
    says CITATION.cff "^date-released: $(sed -n '1s/ .*//p' ChangeLog)\$"
else
    top="^$date  \\(unreleased\\|voco $dots\\)\$"
fi
n=$((n + 1))
if sed -n 1p ChangeLog | grep -q -e "$top"; then
    echo "ok $n - the first line of ChangeLog: $(sed -n 1p ChangeLog)"
else
    failed=$((failed + 1))
    echo "not ok $n - the first line of ChangeLog: $(sed -n 1p ChangeLog)"
    echo "# it does not match '$top'"
fi
echo "1..$n"
exit $((failed > 0))
