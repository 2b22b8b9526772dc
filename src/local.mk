libvoco_la_SOURCES += \
	src/base/arena.c src/base/arena.h \
	src/base/err.c src/base/err.h \
	src/base/rng.c src/base/rng.h \
	src/base/tensor.c src/base/tensor.h \
	src/dev/cpu.h \
	src/dev/ctx.c src/dev/device.h
