# VOCO_CHECK_SIMD(LEVEL, FLAGS, PROLOGUE, BODY)
#
# Whether the compiler builds LEVEL intrinsics with FLAGS.  It compiles and links and
# never runs: this machine's processor says nothing about the one voco will run on.
# Defines WITH_<LEVEL> and the conditional of that name, and <LEVEL>_CFLAGS.  The answer
# is cached: voco_cv_simd_<level>=no forces it; --disable-<level> is for people.
AC_DEFUN([VOCO_CHECK_SIMD],
[AC_ARG_ENABLE([$1],
  [AS_HELP_STRING([--disable-$1], [leave out the kernels for ]m4_toupper([$1]))],
  [voco_want_$1=$enableval], [voco_want_$1=auto])
AS_IF([test "x$voco_want_$1" = xno],
 [voco_build_$1=no],
 [AC_CACHE_CHECK([whether $CC builds $1 intrinsics with $2], [voco_cv_simd_$1],
   [voco_save_CFLAGS=$CFLAGS
    CFLAGS="$CFLAGS $2"
    AC_LINK_IFELSE([AC_LANG_PROGRAM([$3], [$4])],
      [voco_cv_simd_$1=yes], [voco_cv_simd_$1=no])
    CFLAGS=$voco_save_CFLAGS])
  voco_build_$1=$voco_cv_simd_$1
  AS_IF([test "x$voco_want_$1:$voco_cv_simd_$1" = xyes:no],
   [AC_MSG_ERROR([--enable-$1: $CC cannot build these kernels with $2])])])
AS_IF([test "x$voco_build_$1" = xyes],
 [AC_DEFINE([WITH_]m4_toupper([$1]), [1], [Build the $1 kernels.])
  AC_SUBST(m4_toupper([$1])[_CFLAGS], ["$2"])])
AM_CONDITIONAL([WITH_]m4_toupper([$1]), [test "x$voco_build_$1" = xyes])
])
