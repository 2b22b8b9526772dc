# VOCO_CHECK_SANITIZERS: --enable-sanitizers[=LIST] sets SAN_FLAGS for compiling and linking.
AC_DEFUN([VOCO_CHECK_SANITIZERS],
[AC_ARG_ENABLE([sanitizers],
  [AS_HELP_STRING([--enable-sanitizers=LIST],
    [build with -fsanitize=LIST (default list: address,undefined)])],
  [], [enable_sanitizers=no])
SAN_FLAGS=
AS_IF([test "x$enable_sanitizers" = xyes], [enable_sanitizers=address,undefined])
AS_IF([test "x$enable_sanitizers" != xno],
 [SAN_FLAGS="-fsanitize=$enable_sanitizers -fno-omit-frame-pointer"
  AC_MSG_CHECKING([whether $CC links with $SAN_FLAGS])
  voco_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS $SAN_FLAGS"
  AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
   [AC_MSG_RESULT([yes])],
   [AC_MSG_RESULT([no])
    AC_MSG_ERROR([--enable-sanitizers=$enable_sanitizers: $CC does not know these])])
  CFLAGS=$voco_save_CFLAGS
  AS_CASE([",$enable_sanitizers,"],
   [*,undefined,*], [SAN_FLAGS="$SAN_FLAGS -fno-sanitize-recover=undefined"])])
AC_SUBST([SAN_FLAGS])
])
