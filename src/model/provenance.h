/*
 * Where weights come from, as an entry of their file: the run that made them, its data, and
 * the weights that it began with, whose own provenance goes along.
 *
 *   voco.provenance   a JSON object: "voco" (the version), "objective", "step", "options" (as
 *                     in config.json, with seed, steps and versions), "axes", "merging",
 *                     "store" {"path", "hash", "volumes": [ids]}, "unlabelled" and
 *                     "labelled" the same of a second store, "parent" {"path", "bytes",
 *                     "crc32c", "provenance"}
 *   voco.orientation  how all volumes of the store lay for the network: "RAS"; or "mixed"
 *
 * A network that saw only one orientation computes nonsense on another, and nothing in the
 * numbers shows it: predict and embed hold their volumes against the entry.
 */
#ifndef VOCO_MODEL_PROVENANCE_H
#define VOCO_MODEL_PROVENANCE_H

#include "model/model.h"
#include "tensorfile/safetensors.h"

enum { VOCO_PROVENANCE_KEYS = 2 };

struct json_t;

struct voco_provenance {
    struct json_t *root;        /* owned: all but the step */
    const int64_t *step;        /* of the run, when the file is written; the caller's */
    char orientation[8];        /* "": no volume yet */
};

/* options is a JSON object as text. */
void voco_provenance_begin(struct voco_provenance *p, const char *objective,
                           const char *options, const struct voco_model_config *config,
                           const int64_t *step);

/* The names under which a provenance has stores: "store", and those of second stores;
 * NULL-terminated. */
extern const char *const voco_provenance_stores[];

/* A store under one of these names, then each volume of it. */
void voco_provenance_store(struct voco_provenance *p, const char *name, const char *path,
                           uint32_t hash);
void voco_provenance_volume(struct voco_provenance *p, const char *name, const char *id,
                            const double affine[4][4]);

/* The weights that the run began with: a file or folder, with checksum and provenance.  A
 * formula, or a file that cannot be read, is recorded by its text alone. */
void voco_provenance_parent(struct voco_provenance *p, const char *path);
void voco_provenance_free(struct voco_provenance *p);       /* accepts {0} */

/* The entries of a file's metadata; returns how many.  Free their values. */
int voco_provenance_meta(const struct voco_provenance *p,
                         struct voco_filemeta meta[VOCO_PROVENANCE_KEYS]);

/* ---- reading ---- */

/* "RAS" and the like; "" where the file does not say or its volumes were mixed.  Files from
 * before this entry say it by transforms that turn volumes to RAS.  VOCO_EFORMAT for an
 * entry that is no orientation. */
enum voco_err voco_orientation_read(const struct voco_tensorfile *f, const char *path,
                                    char ret[8]);

/* The same of a file by its path. */
enum voco_err voco_orientation_of(const char *path, char ret[8]);

/* The objective that a file of weights was trained with, "voco"; "": it does not say. */
enum voco_err voco_provenance_objective(const char *path, char ret[32]);

/* VOCO_EFORMAT where the voxels of a volume lie in another orientation than the network's;
 * with expected "" every orientation is right.  what: the volume, for the message. */
enum voco_err voco_orientation_expect(const char *expected, const double affine[4][4],
                                      const char *what);

#endif
