# VOCO_CHECK_DNNL: oneDNN 2 or 3.  Debian ships no .pc file, so a link probe finds it.
# The major version only chooses between two C APIs (src/dev/cpu/dnnl_shim.c).
AC_DEFUN([VOCO_CHECK_DNNL],
[VOCO_LIB([DNNL], [dnnl], [dnnl], [dnnl.h], [dnnl_engine_create], [-ldnnl], [libdnnl-dev])
voco_save_CFLAGS=$CFLAGS
CFLAGS="$CFLAGS $DNNL_CFLAGS"
AC_COMPUTE_INT([voco_dnnl_major], [DNNL_VERSION_MAJOR], [#include <dnnl.h>],
 [voco_dnnl_major=0])
AC_COMPUTE_INT([voco_dnnl_minor], [DNNL_VERSION_MINOR], [#include <dnnl.h>],
 [voco_dnnl_minor=0])
CFLAGS=$voco_save_CFLAGS
AS_IF([test "$voco_dnnl_major" != 2 && test "$voco_dnnl_major" != 3],
 [AC_MSG_ERROR([dnnl.h is of oneDNN $voco_dnnl_major.$voco_dnnl_minor; expected 2 or 3])])
])
