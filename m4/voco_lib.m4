# VOCO_LIB(VAR, NAME, MODULES, HEADER, FUNCTION, LIBS, PACKAGE, [IF-MISSING])
#
# Finds library NAME: what the user put into VAR_CFLAGS and VAR_LIBS, else
# --with-NAME=DIR (DIR/include, DIR/lib), else the first of the pkg-config MODULES that
# is known, else LIBS as they are.  Whatever it was must then compile and link a call
# of FUNCTION.  Without IF-MISSING a failure ends configure with a sentence that
# names the Debian PACKAGE and the option.  voco_found_VAR says yes or no.
AC_DEFUN([VOCO_LIB],
[AC_REQUIRE([PKG_PROG_PKG_CONFIG])
AC_ARG_VAR([$1_CFLAGS], [compiler flags for $2, overriding the search])
AC_ARG_VAR([$1_LIBS], [linker flags for $2, overriding the search])
AC_ARG_WITH([$2],
  [AS_HELP_STRING([--with-$2=DIR], [$2 is in DIR/include and DIR/lib])],
  [], [with_$2=yes])
voco_found_$1=no
AS_IF([test "x$with_$2" != xno],
 [AC_MSG_CHECKING([for $2])
  voco_where_$1=
  AS_CASE(["x$$1_LIBS:$with_$2"],
   [x:*[[\ \	]]*],
    [AC_MSG_ERROR([--with-$2=$with_$2: make cannot hold a path with a blank; give a symbolic link to it])],
   [x:/*|x:.*],
    [AS_IF([test ! -d "$with_$2"],
      [AC_MSG_ERROR([--with-$2=$with_$2: there is no such folder])])
     with_$2=`cd "$with_$2" && pwd`
     voco_where_$1=$with_$2
     $1_CFLAGS="-I$with_$2/include"
     for voco_dir in "$with_$2/lib64" "$with_$2/lib"; do
       AS_IF([test -d "$voco_dir"], [$1_LIBS="$$1_LIBS -L$voco_dir"])
     done
     $1_LIBS="$$1_LIBS $6"],
   [x:yes],
    [for voco_module in $3; do
       AS_IF([test -n "$PKG_CONFIG" && "$PKG_CONFIG" --exists "$voco_module"],
        [$1_CFLAGS=`"$PKG_CONFIG" --cflags "$voco_module"`
         $1_LIBS=`"$PKG_CONFIG" --libs "$voco_module"`
         voco_where_$1="`"$PKG_CONFIG" --modversion "$voco_module"`, pkg-config $voco_module"
         break])
     done
     AS_IF([test -z "$$1_LIBS"], [$1_LIBS="$6" voco_where_$1="$6"])],
   [x:*], [AC_MSG_ERROR([--with-$2=$with_$2: expected the path of a folder])],
   [voco_where_$1="from $1_LIBS"])
  voco_save_CFLAGS=$CFLAGS voco_save_LIBS=$LIBS
  CFLAGS="$CFLAGS $$1_CFLAGS" LIBS="$$1_LIBS $LIBS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([#include <$4>], [return (void *)$5 == (void *)&main;])],
    [voco_found_$1=yes])
  CFLAGS=$voco_save_CFLAGS LIBS=$voco_save_LIBS
  AS_IF([test "x$voco_found_$1" = xyes], [VOCO_REMEMBER([$$1_LIBS])])
  AC_MSG_RESULT([$voco_found_$1 ($voco_where_$1)])])
AS_IF([test "x$voco_found_$1" = xno],
 [$1_CFLAGS= $1_LIBS=
  m4_default([$8],
   [AC_MSG_ERROR([cannot compile and link with $2 (<$4>, $5).
  Debian, Ubuntu:  apt-get install $7
  elsewhere:       configure --with-$2=DIR   where DIR/include and DIR/lib hold it])])])
])

# VOCO_REMEMBER(LIBS): adds the folders of -L in LIBS, but for the system's, to RPATH_LDFLAGS.
AC_DEFUN([VOCO_REMEMBER],
[AC_REQUIRE([VOCO_RPATH])
for voco_word in $1; do
  AS_CASE([$voco_word],
   [-L/usr/lib|-L/usr/lib/*|-L/usr/lib64|-L/usr/lib64/*|-L/lib|-L/lib/*|-L/lib64|-L/lib64/*], [],
   [-L/*],
    [voco_dir=`expr "x$voco_word" : 'x-L\(.*\)'`
     AS_CASE([" $RPATH_LDFLAGS "],
      [*" -Wl,-rpath,$voco_dir "*], [],
      [AS_IF([test "x$enable_rpath" != xno],
        [RPATH_LDFLAGS="$RPATH_LDFLAGS -Wl,-rpath,$voco_dir"])])])
done])

AC_DEFUN([VOCO_RPATH],
[AC_ARG_ENABLE([rpath],
  [AS_HELP_STRING([--disable-rpath],
    [do not record in the program the folders of --with-NAME=DIR and pkg-config; the
     system must find the libraries, or LD_LIBRARY_PATH name them])],
  [], [enable_rpath=yes])
RPATH_LDFLAGS=
AC_SUBST([RPATH_LDFLAGS])])
