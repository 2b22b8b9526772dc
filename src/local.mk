bin_PROGRAMS += voco
voco_SOURCES = \
	src/cmd.c \
	src/cmd.h \
	src/cmd_completion.c \
	src/cmd_plot.c \
	src/main.c
voco_LDADD = libvoco.la

libvoco_la_SOURCES += \
	src/base/arena.c \
	src/base/arena.h \
	src/base/err.c \
	src/base/err.h \
	src/base/file.c \
	src/base/file.h \
	src/base/log.c \
	src/base/log.h \
	src/base/machine.c \
	src/base/machine.h \
	src/base/opt.c \
	src/base/opt.h \
	src/base/rng.c \
	src/base/rng.h \
	src/base/tensor.c \
	src/base/tensor.h \
	src/dev/cpu.h \
	src/dev/cpu_kernels.c \
	src/dev/ctx.c \
	src/dev/device.h \
	src/dev/oracle.c \
	src/dev/oracle.h \
	src/dev/oracle_attn.c \
	src/dev/oracle_contrast.c \
	src/dev/oracle_conv.c \
	src/dev/oracle_norm.c \
	src/net/contrast.c \
	src/net/encoder.c \
	src/net/encoder.h \
	src/net/head.c \
	src/net/head.h \
	src/net/param.c \
	src/net/param.h \
	src/net/resblock.c \
	src/net/resblock.h \
	src/net/stage.c \
	src/net/stage.h \
	src/net/swinblock.c \
	src/net/swinblock.h \
	src/report/canvas.c \
	src/report/canvas.h \
	src/report/history.c \
	src/report/metrics.c \
	src/report/metrics.h \
	src/report/mosaic.c \
	src/report/mosaic.h \
	src/report/plot.c \
	src/report/plot.h \
	src/report/plot_run.c \
	src/report/png.c \
	src/report/png.h \
	src/report/signals.c \
	src/report/signals.h \
	src/report/tensorboard.c \
	src/report/tensorboard.h \
	src/report/text.c \
	src/train/model.c \
	src/train/model.h \
	src/train/safetensors.c \
	src/train/safetensors.h \
	src/train/step.c \
	src/train/step.h
