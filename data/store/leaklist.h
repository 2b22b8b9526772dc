/*
 * Which volumes of a store the report of voco leak names: those that are also in a set
 * that they must not be in.
 */
#ifndef VOCO_DATA_STORE_LEAKLIST_H
#define VOCO_DATA_STORE_LEAKLIST_H

#include <stdbool.h>

#include "base/err.h"
#include "data/store/store.h"

/*
 * (*ret)[i] for every volume of the store: is it in a pair of the report?  *ret_n: how
 * many are.  The report must be about this store as it is, by its hash, or volumes that
 * were added since would count as searched: VOCO_EUSAGE.  A file that is no such report
 * is VOCO_EFORMAT.  Free *ret.
 */
enum voco_err voco_leak_report_read(const char *path, const struct voco_store *store,
                                    bool **ret, int *ret_n);

#endif
