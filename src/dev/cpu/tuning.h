/*
 * Tables of measured choices among implementations: files of voco tune (doc/formats.md).
 *
 * A table is good for one CPU, one set of kernels, one number of threads and one build.
 * VOCO_TUNE says where tables are: a file, a folder, or "none".  Otherwise a run goes on
 * with the choices that it began with, and everything else looks into the user's cache,
 * where each machine has a file of its own.
 */
#ifndef VOCO_DEV_CPU_TUNING_H
#define VOCO_DEV_CPU_TUNING_H

#include "dev/cpu/cpu.h"

/* The machine, libraries and threads that a table was measured with. */
struct voco_tuning_key {
    char cpu[160], isa[16], voco[32], onednn[48], blas[96];
    int threads;
};

/* threads 0: those of this machine */
struct voco_tuning_key voco_tuning_key(int threads);

/* Where the table of a key is, or would be written to.  Free the result. */
char *voco_tuning_path(const struct voco_tuning_key *key);

/* VOCO_EFORMAT: no table, or a damaged one; VOCO_EUSAGE: of another machine; the error
 * names the difference. */
enum voco_err voco_tuning_read(const char *path, const struct voco_tuning_key *key,
                               struct voco_choices *ret);

/* The entry time of the tuner (tune.c). */
int voco_tuning_time(struct voco_ctx *ctx, const struct voco_shape *s,
                     struct voco_timing ret[VOCO_IMPLS_MAX]);

/* Whether a table can be written there; makes its folder. */
enum voco_err voco_tuning_prepare(const char *path);

/* Adds n rows to the table, or replaces a table that cannot be used. */
enum voco_err voco_tuning_write(const char *path, const struct voco_tuning_key *key,
                                const struct voco_tuned *row, int n);

/* All of it, as device.h wants it. */
extern const struct voco_tuner voco_cpu_tuner;

#endif
