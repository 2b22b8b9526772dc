/*
 * Pickles as data.  Python runs a pickle like a program; this reader runs nothing.
 *
 * Where a pickle says "call X with these arguments", the result is a node that says just
 * that, with X as two words.  The caller interprets them: it knows the few calls that
 * make tensors, and refuses the rest.
 *
 * Opcodes of protocols 2 to 5 as picklers write them; anything else is an error.  At most
 * VOCO_PICKLE_VALUES values are pushed, so that memory and time are bounded, and values
 * are at most VOCO_PICKLE_DEPTH deep inside each other when they are put there.  A value
 * may be in several places, and a hostile pickle can put a list into itself: who walks
 * down counts the steps.
 */
#ifndef VOCO_TENSORFILE_PICKLE_H
#define VOCO_TENSORFILE_PICKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { VOCO_PICKLE_VALUES = 1000000, VOCO_PICKLE_DEPTH = 64 };

enum voco_pickle_kind {
    VOCO_PICKLE_NONE,
    VOCO_PICKLE_BOOL,           /* whole: 0 or 1 */
    VOCO_PICKLE_INT,            /* whole */
    VOCO_PICKLE_BIG,            /* an integer of more than 64 bits */
    VOCO_PICKLE_REAL,
    VOCO_PICKLE_TEXT,           /* text; UTF-8 unless hostile */
    VOCO_PICKLE_BYTES,          /* text */
    VOCO_PICKLE_TUPLE,          /* item */
    VOCO_PICKLE_LIST,           /* item */
    VOCO_PICKLE_SET,            /* item */
    VOCO_PICKLE_DICT,           /* item: key, value, key, value, ... */
    VOCO_PICKLE_GLOBAL,         /* text: "os", more: "system" */
    VOCO_PICKLE_CALL,           /* of callee with args; item: added to the result */
    VOCO_PICKLE_PERSISTENT      /* args: identify an object outside of the pickle */
};

/* Bytes inside the pickle, without a 0 behind them. */
struct voco_pickle_text { const char *at; size_t n; };

struct voco_pickle_node {
    enum voco_pickle_kind kind;
    int depth;
    union {
        int64_t whole;
        double real;
        struct voco_pickle_text text;
        struct { int callee, args; };
    };
    struct voco_pickle_text more;
    int *item, n, room;         /* node numbers; owned */
};

struct voco_pickle {
    struct voco_pickle_node *node;
    int n, root;
    size_t room;
};

/* Of a buffer that the caller keeps and nodes point into. */
enum voco_err voco_pickle_parse(struct voco_pickle *p, const void *bytes, size_t n,
                                const char *what);
void voco_pickle_close(struct voco_pickle *p);      /* accepts {0} */

const struct voco_pickle_node *voco_pickle_node(const struct voco_pickle *p, int id);
bool voco_pickle_is_text(const struct voco_pickle_node *node, const char *text);
bool voco_pickle_is_global(const struct voco_pickle_node *node, const char *module,
                           const char *name);

/* "os.system", for people; other bytes than printable ASCII are '?'. Free it. */
char *voco_pickle_global_name(const struct voco_pickle_node *node);

#endif
