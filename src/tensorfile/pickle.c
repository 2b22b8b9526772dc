/* A data-only reader of Python pickles; opcodes as in CPython's pickletools, protocol 5. */
#include "tensorfile/pickle.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

struct reader {
    struct voco_pickle *p;
    const unsigned char *begin, *at, *end;
    const char *what;
    int *stack, n_stack, room_stack;
    int *mark, n_mark, room_mark;       /* heights of the stack */
    int *memo, room_memo;               /* -1: nothing there */
    int n_memo, pushed;
    enum voco_err err;
};

/* All helpers do nothing after a failure, and the first one keeps its sentence. */
static int
bad(struct reader *r, const char *why)
{
    if (r->err == VOCO_OK)
        r->err = voco_fail(VOCO_EFORMAT, "%s, byte %zu: %s", r->what,
                           (size_t)(r->at - r->begin), why);
    return -1;
}

/* Room for one more int. */
static bool
grow(struct reader *r, int **list, int n, int *room)
{
    if (n == *room) {
        const int more = *room ? 2 * *room : 16;
        int *longer = realloc(*list, (size_t)more * sizeof **list);

        if (!longer) {
            if (r->err == VOCO_OK)
                r->err = voco_fail(VOCO_EMEMORY, "%s: no memory", r->what);
            return false;
        }
        *list = longer;
        *room = more;
    }
    return true;
}

/* ---- bytes ---- */

static const unsigned char *
take(struct reader *r, uint64_t n)
{
    const unsigned char *p = r->at;

    if (r->err != VOCO_OK)
        return NULL;
    if (n > (uint64_t)(r->end - r->at)) {
        bad(r, "truncated");
        return NULL;
    }
    r->at += n;
    return p;
}

static uint64_t
take_little(struct reader *r, int n)
{
    const unsigned char *p = take(r, (uint64_t)n);
    uint64_t x = 0;

    while (p && n-- > 0)
        x = x << 8 | p[n];
    return x;
}

static struct voco_pickle_text
take_text(struct reader *r, int length_bytes)
{
    const uint64_t n = take_little(r, length_bytes);
    const unsigned char *p = take(r, n);

    return (struct voco_pickle_text){ (const char *)p, p ? (size_t)n : 0 };
}

static struct voco_pickle_text
take_line(struct reader *r)
{
    const unsigned char *p = r->at;
    const unsigned char *line_end = memchr(p, '\n', (size_t)(r->end - p));

    if (!line_end) {
        bad(r, "truncated");
        return (struct voco_pickle_text){ 0 };
    }
    r->at = line_end + 1;
    return (struct voco_pickle_text){ (const char *)p, (size_t)(line_end - p) };
}

/* ---- nodes and the stack ---- */

static struct voco_pickle_node *
at(struct reader *r, int id)
{
    VOCO_ASSERT(id >= 0 && id < r->p->n);
    return &r->p->node[id];
}

static void
push(struct reader *r, int id)
{
    if (id < 0 || r->err != VOCO_OK)
        return;
    if (r->pushed++ >= VOCO_PICKLE_VALUES)
        bad(r, "more than 1000000 values");
    else if (grow(r, &r->stack, r->n_stack, &r->room_stack))
        r->stack[r->n_stack++] = id;
}

/* A fresh node on the stack; -1 after a failure. */
static int
make(struct reader *r, struct voco_pickle_node node)
{
    struct voco_pickle *p = r->p;

    if (r->err != VOCO_OK)
        return -1;
    if ((size_t)p->n == p->room) {
        const size_t more = p->room ? 2 * p->room : 256;
        struct voco_pickle_node *longer = realloc(p->node, more * sizeof *longer);

        if (!longer) {
            r->err = voco_fail(VOCO_EMEMORY, "%s: no memory", r->what);
            return -1;
        }
        p->node = longer;
        p->room = more;
    }
    p->node[p->n] = node;
    push(r, p->n);
    return p->n++;
}

/* How much of the stack lies above the last mark. */
static int
above_mark(const struct reader *r)
{
    return r->n_stack - (r->n_mark ? r->mark[r->n_mark - 1] : 0);
}

static int
pop(struct reader *r)
{
    if (r->err != VOCO_OK || above_mark(r) < 1)
        return bad(r, "a value is taken that is not there");
    return r->stack[--r->n_stack];
}

static int
top(struct reader *r)
{
    if (r->err != VOCO_OK || above_mark(r) < 1)
        return bad(r, "a value is used that is not there");
    return r->stack[r->n_stack - 1];
}

static void
set_mark(struct reader *r)
{
    if (grow(r, &r->mark, r->n_mark, &r->room_mark))
        r->mark[r->n_mark++] = r->n_stack;
    if (r->n_mark > VOCO_PICKLE_VALUES)
        bad(r, "more than 1000000 marks");
}

/* The stack's height at the last mark, which goes. */
static int
pop_mark(struct reader *r)
{
    if (r->err != VOCO_OK || r->n_mark == 0)
        return bad(r, "a mark is used that is not there");
    return r->mark[--r->n_mark];
}

static void
deepen(struct reader *r, int parent, int child)
{
    const int depth = at(r, child)->depth + 1;

    if (depth > at(r, parent)->depth)
        at(r, parent)->depth = depth;
    if (depth > VOCO_PICKLE_DEPTH)
        bad(r, "values more than 64 deep inside each other");
}

/* The stack from height on goes into the node. */
static void
gather(struct reader *r, int id, int height)
{
    if (id < 0 || height < 0 || r->err != VOCO_OK)
        return;
    for (int i = height; i < r->n_stack && r->err == VOCO_OK; i++) {
        struct voco_pickle_node *node = at(r, id);

        if (grow(r, &node->item, node->n, &node->room))
            node->item[node->n++] = r->stack[i];
        deepen(r, id, r->stack[i]);
    }
    r->n_stack = height;
}

/* The values above the height become one. */
static void
collect(struct reader *r, enum voco_pickle_kind kind, int height)
{
    const int id = make(r, (struct voco_pickle_node){ .kind = kind });

    if (id < 0 || height < 0)
        return;
    r->n_stack--;
    if (kind == VOCO_PICKLE_DICT && (r->n_stack - height) % 2 != 0)
        bad(r, "a dict with a key without a value");
    gather(r, id, height);
    push(r, id);
}

static void
tuple(struct reader *r, int n)
{
    if (above_mark(r) < n)
        bad(r, "a value is taken that is not there");
    else
        collect(r, VOCO_PICKLE_TUPLE, r->n_stack - n);
}

/* The values above the height are added to the one below them. */
static void
extend(struct reader *r, int height, bool pairs)
{
    const int floor = r->n_mark ? r->mark[r->n_mark - 1] : 0;
    enum voco_pickle_kind kind;

    if (r->err != VOCO_OK || height < 0)
        return;
    if (height <= floor) {
        bad(r, "a value is used that is not there");
        return;
    }
    kind = at(r, r->stack[height - 1])->kind;
    if (kind != VOCO_PICKLE_CALL
        && kind != (pairs ? VOCO_PICKLE_DICT : VOCO_PICKLE_LIST)
        && (pairs || kind != VOCO_PICKLE_SET))
        bad(r, "something is added to a value that holds no others");
    else if (pairs && (r->n_stack - height) % 2 != 0)
        bad(r, "a dict with a key without a value");
    else
        gather(r, r->stack[height - 1], height);
}

static void
call(struct reader *r, bool keywords)
{
    const int kw = keywords ? pop(r) : -1, args = pop(r), callee = pop(r);
    int id;

    if (r->err != VOCO_OK)
        return;
    if (at(r, args)->kind != VOCO_PICKLE_TUPLE) {
        bad(r, "a call whose arguments are no tuple");
        return;
    }
    id = make(r, (struct voco_pickle_node){ .kind = VOCO_PICKLE_CALL, .callee = callee,
                                            .args = args });
    if (id < 0)
        return;
    deepen(r, id, callee);
    deepen(r, id, args);
    if (kw >= 0)
        deepen(r, id, kw);
}

/* State of an object: nothing that we need, but it must have an object. */
static void
build(struct reader *r)
{
    pop(r);
    if (top(r) >= 0 && at(r, top(r))->kind != VOCO_PICKLE_CALL)
        bad(r, "state for a value that is no object");
}

static void
persistent(struct reader *r)
{
    const int args = pop(r);
    const int id = args < 0 ? -1
        : make(r, (struct voco_pickle_node){ .kind = VOCO_PICKLE_PERSISTENT, .callee = -1,
                                             .args = args });

    if (id >= 0)
        deepen(r, id, args);
}

static void
stack_global(struct reader *r)
{
    const int name = pop(r), module = pop(r);

    if (r->err != VOCO_OK)
        return;
    if (at(r, name)->kind != VOCO_PICKLE_TEXT || at(r, module)->kind != VOCO_PICKLE_TEXT)
        bad(r, "a global whose name is no text");
    else
        make(r, (struct voco_pickle_node){ .kind = VOCO_PICKLE_GLOBAL,
                                           .text = at(r, module)->text,
                                           .more = at(r, name)->text });
}

/* ---- memo ---- */

static void
put(struct reader *r, uint64_t i)
{
    const int id = top(r);

    if (id < 0)
        return;
    if (i >= VOCO_PICKLE_VALUES) {
        bad(r, "a memo beyond 1000000");
        return;
    }
    while ((uint64_t)r->room_memo <= i) {
        const int before = r->room_memo;

        if (!grow(r, &r->memo, before, &r->room_memo))
            return;
        memset(r->memo + before, -1, (size_t)(r->room_memo - before) * sizeof *r->memo);
    }
    r->n_memo += r->memo[i] < 0;
    r->memo[i] = id;
}

static void
get(struct reader *r, uint64_t i)
{
    if (i >= (uint64_t)r->room_memo || r->memo[i] < 0)
        bad(r, "a memo is used that is not there");
    else
        push(r, r->memo[i]);
}

/* ---- numbers ---- */

static void
whole(struct reader *r, enum voco_pickle_kind kind, int64_t x)
{
    make(r, (struct voco_pickle_node){ .kind = kind, .whole = x });
}

/* Two's complement, little-endian, of any length. */
static void
long_integer(struct reader *r, uint64_t n)
{
    const unsigned char *p = take(r, n);
    uint64_t x = 0;

    if (!p)
        return;
    for (uint64_t i = n; i-- > 0 && n <= 8;)
        x = x << 8 | p[i];
    if (n > 0 && n < 8 && p[n - 1] & 0x80)
        x |= ~UINT64_C(0) << 8 * n;
    whole(r, n <= 8 ? VOCO_PICKLE_INT : VOCO_PICKLE_BIG, n <= 8 ? (int64_t)x : 0);
}

static void
real(struct reader *r)
{
    const unsigned char *p = take(r, 8);
    uint64_t bits = 0;
    double x;

    for (int i = 0; p && i < 8; i++)
        bits = bits << 8 | p[i];
    memcpy(&x, &bits, sizeof x);
    make(r, (struct voco_pickle_node){ .kind = VOCO_PICKLE_REAL, .real = x });
}

static void
text(struct reader *r, enum voco_pickle_kind kind, struct voco_pickle_text t)
{
    make(r, (struct voco_pickle_node){ .kind = kind, .text = t });
}

static void
empty(struct reader *r, enum voco_pickle_kind kind)
{
    make(r, (struct voco_pickle_node){ .kind = kind });
}

/* ---- opcodes ---- */

static void
unknown(struct reader *r, int op)
{
    r->at--;
    if (op > ' ' && op < 127)
        r->err = voco_fail(VOCO_EFORMAT, "%s, byte %zu: opcode '%c', which protocols 2 to 5 "
                           "have no use for", r->what, (size_t)(r->at - r->begin), op);
    else
        r->err = voco_fail(VOCO_EFORMAT, "%s, byte %zu: unknown opcode 0x%02x", r->what,
                           (size_t)(r->at - r->begin), op);
}

static void
global(struct reader *r)
{
    const struct voco_pickle_text module = take_line(r), name = take_line(r);

    make(r, (struct voco_pickle_node){ .kind = VOCO_PICKLE_GLOBAL, .text = module,
                                       .more = name });
}

static void
step(struct reader *r, int op)
{
    switch (op) {
    case 0x80:                                                  /* PROTO */
        if (take_little(r, 1) > 5)
            bad(r, "a protocol after 5");
        break;
    case 0x95: take_little(r, 8); break;                        /* FRAME */
    case '(': set_mark(r); break;
    case '0': pop(r); break;                                    /* POP */
    case '1': if (pop_mark(r) >= 0) r->n_stack = r->mark[r->n_mark]; break; /* POP_MARK */
    case '2': push(r, top(r)); break;                           /* DUP */
    case 'q': put(r, take_little(r, 1)); break;                 /* BINPUT */
    case 'r': put(r, take_little(r, 4)); break;                 /* LONG_BINPUT */
    case 0x94: put(r, (uint64_t)r->n_memo); break;              /* MEMOIZE */
    case 'h': get(r, take_little(r, 1)); break;                 /* BINGET */
    case 'j': get(r, take_little(r, 4)); break;                 /* LONG_BINGET */
    case 'N': empty(r, VOCO_PICKLE_NONE); break;
    case 0x88: whole(r, VOCO_PICKLE_BOOL, 1); break;            /* NEWTRUE */
    case 0x89: whole(r, VOCO_PICKLE_BOOL, 0); break;            /* NEWFALSE */
    case 'K': whole(r, VOCO_PICKLE_INT, (int64_t)take_little(r, 1)); break;     /* BININT1 */
    case 'M': whole(r, VOCO_PICKLE_INT, (int64_t)take_little(r, 2)); break;     /* BININT2 */
    case 'J': whole(r, VOCO_PICKLE_INT, (int32_t)take_little(r, 4)); break;     /* BININT */
    case 0x8A: long_integer(r, take_little(r, 1)); break;       /* LONG1 */
    case 0x8B: long_integer(r, take_little(r, 4)); break;       /* LONG4 */
    case 'G': real(r); break;                                   /* BINFLOAT */
    case 0x8C: text(r, VOCO_PICKLE_TEXT, take_text(r, 1)); break;   /* SHORT_BINUNICODE */
    case 'X': text(r, VOCO_PICKLE_TEXT, take_text(r, 4)); break;    /* BINUNICODE */
    case 0x8D: text(r, VOCO_PICKLE_TEXT, take_text(r, 8)); break;   /* BINUNICODE8 */
    case 'U': text(r, VOCO_PICKLE_TEXT, take_text(r, 1)); break;    /* of Python 2 */
    case 'T': text(r, VOCO_PICKLE_TEXT, take_text(r, 4)); break;
    case 'C': text(r, VOCO_PICKLE_BYTES, take_text(r, 1)); break;   /* SHORT_BINBYTES */
    case 'B': text(r, VOCO_PICKLE_BYTES, take_text(r, 4)); break;   /* BINBYTES */
    case 0x8E:                                                      /* BINBYTES8 */
    case 0x96: text(r, VOCO_PICKLE_BYTES, take_text(r, 8)); break;  /* BYTEARRAY8 */
    case ')': empty(r, VOCO_PICKLE_TUPLE); break;
    case 0x85: tuple(r, 1); break;                              /* TUPLE1 */
    case 0x86: tuple(r, 2); break;
    case 0x87: tuple(r, 3); break;
    case 't': collect(r, VOCO_PICKLE_TUPLE, pop_mark(r)); break;
    case ']': empty(r, VOCO_PICKLE_LIST); break;
    case 'l': collect(r, VOCO_PICKLE_LIST, pop_mark(r)); break;
    case 'a': if (above_mark(r) >= 2) extend(r, r->n_stack - 1, false);     /* APPEND */
        else bad(r, "a value is used that is not there");
        break;
    case 'e': extend(r, pop_mark(r), false); break;             /* APPENDS */
    case '}': empty(r, VOCO_PICKLE_DICT); break;
    case 'd': collect(r, VOCO_PICKLE_DICT, pop_mark(r)); break;
    case 's': if (above_mark(r) >= 3) extend(r, r->n_stack - 2, true);      /* SETITEM */
        else bad(r, "a value is used that is not there");
        break;
    case 'u': extend(r, pop_mark(r), true); break;              /* SETITEMS */
    case 0x8F: empty(r, VOCO_PICKLE_SET); break;                /* EMPTY_SET */
    case 0x90: extend(r, pop_mark(r), false); break;            /* ADDITEMS */
    case 0x91: collect(r, VOCO_PICKLE_SET, pop_mark(r)); break; /* FROZENSET */
    case 'c': global(r); break;
    case 0x93: stack_global(r); break;
    case 'R':                                                   /* REDUCE */
    case 0x81: call(r, false); break;                           /* NEWOBJ */
    case 0x92: call(r, true); break;                            /* NEWOBJ_EX */
    case 'b': build(r); break;
    case 'Q': persistent(r); break;                             /* BINPERSID */
    default: unknown(r, op);
    }
}

enum voco_err
voco_pickle_parse(struct voco_pickle *p, const void *bytes, size_t n, const char *what)
{
    struct reader r = { .p = p, .begin = bytes, .at = bytes, .what = what };

    *p = (struct voco_pickle){ .root = -1 };
    r.end = r.begin + n;
    if (n < 2 || r.begin[0] != 0x80 || r.begin[1] < 2)
        bad(&r, "no pickle of protocol 2 or later");
    while (r.err == VOCO_OK) {
        const unsigned char *op = take(&r, 1);

        if (!op)
            break;
        if (*op == '.') {                                       /* STOP */
            if (r.n_stack != 1 || r.n_mark != 0)
                bad(&r, "the end, but not with one value");
            else if (r.at != r.end)
                bad(&r, "bytes behind the end");
            else
                p->root = r.stack[0];
            break;
        }
        step(&r, *op);
    }
    free(r.stack);
    free(r.mark);
    free(r.memo);
    if (r.err != VOCO_OK)
        voco_pickle_close(p);
    return r.err;
}

void
voco_pickle_close(struct voco_pickle *p)
{
    for (int i = 0; i < p->n; i++)
        free(p->node[i].item);
    free(p->node);
    *p = (struct voco_pickle){ .root = -1 };
}

const struct voco_pickle_node *
voco_pickle_node(const struct voco_pickle *p, int id)
{
    VOCO_ASSERT(id >= 0 && id < p->n);
    return &p->node[id];
}

static bool
same(struct voco_pickle_text t, const char *text)
{
    return strlen(text) == t.n && memcmp(t.at, text, t.n) == 0;
}

bool
voco_pickle_is_text(const struct voco_pickle_node *node, const char *words)
{
    return node->kind == VOCO_PICKLE_TEXT && same(node->text, words);
}

bool
voco_pickle_is_global(const struct voco_pickle_node *node, const char *module,
                      const char *name)
{
    return node->kind == VOCO_PICKLE_GLOBAL && same(node->text, module)
        && same(node->more, name);
}

char *
voco_pickle_global_name(const struct voco_pickle_node *node)
{
    const int a = node->text.n < 100 ? (int)node->text.n : 100;
    const int b = node->more.n < 100 ? (int)node->more.n : 100;
    char *name = voco_format("%.*s.%.*s", a, node->text.at, b, node->more.at);

    for (char *c = name; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
    return name;
}
