# One convenience library per instruction set, each with flags of its own; AM_CFLAGS is
# kept and the user's CFLAGS come last.
libvoco_la_SOURCES += \
	simd/kernels.c \
	simd/kernels.h \
	simd/ref.c \
	simd/winograd.c \
	simd/winograd.h

simd_body = \
	simd/body.h \
	simd/body_attn.h \
	simd/body_attn_bf16.h \
	simd/body_attn_narrow.h \
	simd/body_flat.h \
	simd/body_gemm.h \
	simd/body_math.h \
	simd/body_norm.h \
	simd/body_winograd.h \
	simd/body_winograd_2.h \
	simd/body_winograd_4.h \
	simd/unroll.h
EXTRA_DIST += $(simd_body) \
	simd/avx2.c \
	simd/avx512.c \
	simd/avx512bf16.c \
	simd/vec_avx2.h \
	simd/vec_avx512.h \
	simd/winograd_avx2.c \
	simd/winograd_avx512.c

if WITH_AVX2
noinst_LTLIBRARIES += libvoco_avx2.la
libvoco_avx2_la_SOURCES = simd/avx2.c simd/winograd_avx2.c simd/vec_avx2.h $(simd_body)
libvoco_avx2_la_CFLAGS = $(AM_CFLAGS) $(AVX2_CFLAGS)
libvoco_la_LIBADD += libvoco_avx2.la
endif

if WITH_AVX512
noinst_LTLIBRARIES += libvoco_avx512.la
libvoco_avx512_la_SOURCES = simd/avx512.c simd/winograd_avx512.c simd/vec_avx512.h $(simd_body)
libvoco_avx512_la_CFLAGS = $(AM_CFLAGS) $(AVX512_CFLAGS)
libvoco_la_LIBADD += libvoco_avx512.la
endif

if WITH_AVX512BF16
noinst_LTLIBRARIES += libvoco_avx512bf16.la
libvoco_avx512bf16_la_SOURCES = simd/avx512bf16.c simd/vec_avx512.h $(simd_body)
libvoco_avx512bf16_la_CFLAGS = $(AM_CFLAGS) $(AVX512BF16_CFLAGS)
libvoco_la_LIBADD += libvoco_avx512bf16.la
endif
