/*
 * Inventory: the lines of a manifest compared with the shards in the folder.
 */
#ifndef VOCO_DATA_STORE_INVENTORY_H
#define VOCO_DATA_STORE_INVENTORY_H

#include <stdbool.h>

#include "base/err.h"
#include "data/store/manifest.h"
#include "data/store/shard.h"

struct voco_inventory {
    struct voco_shard *shard;   /* those that the manifest names, by number */
    int n_shards;
    int *shard_of;              /* per line: place in shard[], -1 if it does not count */
    int lost;                   /* number of the lowest missing shard, else -1 */
    int lost_lines;             /* lines of all missing shards */
    int cut;                    /* the last shard if it lacks lines, else -1 */
    int cut_lines;              /* lines that it has */
};

/*
 * Opens every shard that the manifest names and checks that slots, sizes, ids and
 * checksums agree; a disagreement is VOCO_EFORMAT.  Two things may be the work of an
 * interrupted convert (or of a person) and are left to the caller: missing shards, and a
 * last shard of which not all lines are there.  Lines of both have shard_of -1.
 * Free with voco_inventory_free, also after a failure.
 */
enum voco_err voco_inventory_take(const char *folder, const struct voco_manifest *m,
                                  struct voco_inventory *ret);
/* The shard of this number, NULL if it does not count. */
const struct voco_shard *voco_inventory_shard(const struct voco_inventory *v, int number);
void voco_inventory_free(struct voco_inventory *v);     /* accepts {0} */

#endif
