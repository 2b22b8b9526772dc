/*
 * Weights of a model in files: safetensors of our own, and whatever can be read.
 */
#ifndef VOCO_MODEL_WEIGHTS_H
#define VOCO_MODEL_WEIGHTS_H

#include "model/coverage.h"
#include "model/model.h"
#include "model/recognise.h"
#include "model/seginfo.h"

/* Parameters and buffers as one safetensors file, with what the model has of its
 * provenance, windows, transforms and classes.  A teacher (voco_teacher_config) serves the
 * training alone and is left out.  The checksum and the size may be NULL. */
enum voco_err voco_model_save(const char *path, struct voco_ctx *ctx,
                              const struct voco_model *model, uint32_t *ret_crc,
                              uint64_t *ret_bytes);

/* The same with the teacher, for checkpoints. */
enum voco_err voco_model_save_all(const char *path, struct voco_ctx *ctx,
                                  const struct voco_model *model, uint32_t *ret_crc,
                                  uint64_t *ret_bytes);

/* Load by name from safetensors or .pt, whatever is in front of the names (coverage.h).
 * The report is printed.  Parameters that the file lacks keep their values. */
enum voco_err voco_model_load(const char *path, struct voco_ctx *ctx,
                              struct voco_model *model, const struct voco_demand *demand,
                              struct voco_coverage *ret);

/* The same but for the numbers: whether the file would do for a model of this kind. */
enum voco_err voco_model_cover(const char *path, const struct voco_model_config *config,
                               const struct voco_demand *demand);

/* The configuration of a network as a file of weights tells it, for who uses no numbers of
 * it; VOCO_ECHECKPOINT for networks that voco does not know. */
enum voco_err voco_model_recognise(const char *path, struct voco_model_config *ret);

/* The same for callers that do.  merging is the value of --merging, or -1 without it; it
 * counts where the file has no order.  Without either, a warning names the assumption. */
enum voco_err voco_model_recognise_as(const char *path, int merging,
                                      struct voco_model_config *ret);

/* The same where only the encoder of a Swin UNETR will do. */
enum voco_err voco_model_recognise_swinunetr(const char *path, int merging,
                                             struct voco_model_config *ret);

/* For verbs that run a network: VOCO_EUSAGE where --merging contradicts the weights. */
enum voco_err voco_model_expect_merging(const char *path, int merging,
                                        const struct voco_model_config *config);

/* The same for a recognised network; path is for messages. */
enum voco_err voco_network_config(const struct voco_network *net, const char *path,
                                  struct voco_model_config *ret);

/* The metadata of our files about the network: entries of VOCO_MODEL_KEYS, whose values
 * are constants; returns their number.  Assumptions are left out, so that nobody takes
 * them for facts.  The architecture is the last. */
enum { VOCO_MODEL_KEYS = 3 };
int voco_model_meta(const struct voco_model_config *config, bool decoder,
                    struct voco_filemeta meta[VOCO_MODEL_KEYS]);

/* The index table of window attention that PyTorch keeps beside each bias table: row of
 * the table for a pair of tokens.  index [343][343]. */
enum { VOCO_INDEX_TOKENS = VOCO_WINDOW * VOCO_WINDOW * VOCO_WINDOW };
void voco_position_index(int64_t *index);

/* NAME.relative_position_bias_table -> NAME.relative_position_index, or NULL. Free it. */
char *voco_position_index_name(const char *bias_table);

#endif
