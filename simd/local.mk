# One convenience library per instruction set, each with flags of its own; AM_CFLAGS is
# kept and the user's CFLAGS come last.
if WITH_AVX2
noinst_LTLIBRARIES += libvoco_avx2.la
libvoco_avx2_la_SOURCES =
libvoco_avx2_la_CFLAGS = $(AM_CFLAGS) $(AVX2_CFLAGS)
libvoco_la_LIBADD += libvoco_avx2.la
endif

if WITH_AVX512
noinst_LTLIBRARIES += libvoco_avx512.la
libvoco_avx512_la_SOURCES =
libvoco_avx512_la_CFLAGS = $(AM_CFLAGS) $(AVX512_CFLAGS)
libvoco_la_LIBADD += libvoco_avx512.la
endif
