# VOCO_CHECK_BLAS: a BLAS with the C interface, and VOCO_BLAS_SONAME, the one shared library
# that a program linked with it would need.  src/dev/cpu/blas.c opens that itself, so
# BLAS_LIBS becomes empty.  A static BLAS, or one of several libraries, is linked.
AC_DEFUN([VOCO_CHECK_BLAS],
[VOCO_LIB([BLAS], [openblas], [openblas], [cblas.h], [cblas_sgemm], [-lopenblas],
 [libopenblas-dev])
AC_CHECK_TOOL([READELF], [readelf], [:])
AC_MSG_CHECKING([for the shared library of the BLAS])
voco_save_CFLAGS=$CFLAGS voco_save_LIBS=$LIBS voco_without= voco_soname=
CFLAGS="$CFLAGS $BLAS_CFLAGS"
AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])], [voco_without=`VOCO_NEEDED`])
LIBS="$BLAS_LIBS $LIBS"
AC_LINK_IFELSE(
 [AC_LANG_PROGRAM([#include <cblas.h>],
   [cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0);])],
 [for voco_word in `VOCO_NEEDED`; do
    AS_CASE([" "$voco_without" "],
     [*" $voco_word "*], [],
     [voco_soname="$voco_soname $voco_word"])
  done])
CFLAGS=$voco_save_CFLAGS LIBS=$voco_save_LIBS
set x $voco_soname
AS_IF([test $[]# = 2],
 [voco_soname=$[]2 BLAS_LIBS=
  AC_DEFINE_UNQUOTED([VOCO_BLAS_SONAME], ["$voco_soname"],
   [The shared library of the BLAS; undefined: linked.])],
 [voco_soname="none, linked"])
AC_MSG_RESULT([$voco_soname])
])

# The shared libraries that conftest needs, on one line.
m4_define([VOCO_NEEDED],
[$READELF -d conftest$EXEEXT 2> /dev/null |
   sed -n 's/.*(NEEDED).*\@<:@\(.*\)\@:>@.*/\1/p' | tr '\n' ' '])
