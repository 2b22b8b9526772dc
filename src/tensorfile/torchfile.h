/*
 * PyTorch's files since 1.6: a zip archive with a pickle of the structure and an entry of
 * plain bytes for each storage.
 *
 *   NAME/data.pkl     a dict of tensors, perhaps inside of others
 *   NAME/data/KEY     the elements of storage KEY
 *   NAME/byteorder    "little" or "big"; not in files of 2.0 and before
 *   NAME/version      a number
 *   NAME/extra/voco.json      voco's metadata; torch.load ignores it
 */
#ifndef VOCO_TENSORFILE_TORCHFILE_H
#define VOCO_TENSORFILE_TORCHFILE_H

#include "tensorfile/safetensors.h"
#include "tensorfile/zip.h"

/* Of a buffer that the caller keeps.  The tensors are those of the dict in the deepest of
 * the known wrappers (state_dict, network_weights, net, student), or of the only dict
 * that has any.  On the way to them only dicts and torch's calls that make tensors
 * may be met; another Python name there is an error that names it, elsewhere it is listed
 * in f->foreign.  The plain values under init_args, trainer_name and
 * inference_allowed_mirroring_axes go to f->beside.  Each tensor lies in its storage, and no two have the same name. */
enum voco_err voco_torchfile_parse(struct voco_tensorfile *f, const void *bytes, size_t n,
                                   const char *what);

/* Does it begin like a zip archive, or like a file of PyTorch before 1.6? */
bool voco_torchfile_is(const void *bytes, size_t n);

/* ---- writing ---- */

/* A dict of the items, whose elements are put in turn by voco_torchfile_put, part->i their
 * index; loads with torch.load(weights_only=True).  wrapper NULL: the dict itself is the
 * file's value, else {wrapper: dict}.  storage[i], NULL: i, is the item that i shares its
 * elements with; only items that are their own storage are put. */
enum voco_err voco_torchfile_begin(struct voco_zipwriter *w, const char *wrapper,
                                   const struct voco_filetensor *item, const int *storage,
                                   int n, const struct voco_filemeta *meta, int n_meta);
enum voco_err voco_torchfile_put(struct voco_zipwriter *w, size_t bytes,
                                 const struct voco_zippart *part);

#endif
