/* Deflate blocks (RFC 1951) of literals and of runs: copies from one byte back. */
#include "data/codec/runs.h"

#include <string.h>

enum {
    END = 256,                  /* the symbol behind the last of a block */
    SYMBOLS = 286,              /* literals, END and 29 of lengths */
    LENGTHS = 29,
    RUN_MIN = 3,
    RUN_MAX = 258,
    BITS_MAX = 15,              /* of a symbol */
    PRE_SYMBOLS = 19,           /* of the code that the lengths of codes are written in */
    PRE_BITS_MAX = 7,
    HEAD_MAX = SYMBOLS + 1      /* lengths of codes: symbols, and one distance */
};

/* ---- tokens ---- */

/* Bytes from p on, at most n, that are b. */
static int
run_length(const uint8_t *p, int n, uint8_t b)
{
    const uint64_t all = b * UINT64_C(0x0101010101010101);
    uint64_t word;
    int i = 0;

    for (; i + 8 <= n; i += 8) {
        memcpy(&word, p + i, sizeof word);
        if (word != all)
            break;
    }
    while (i < n && p[i] == b)
        i++;
    return i;
}

/* Tokens of a run of n more bytes b; returns how many. */
static int
put_run(uint8_t b, int n, uint16_t *token)
{
    int k = 0;

    for (; n >= RUN_MIN; k++) {
        const int part = n < RUN_MAX ? n : RUN_MAX;

        token[k] = (uint16_t)(256 + part - RUN_MIN);
        n -= part;
    }
    while (n-- > 0)
        token[k++] = b;
    return k;
}

/* A byte is literal; three or more equal bytes behind it are a run. */
static int
parse(const uint8_t *in, int n, uint16_t *token)
{
    int k = 0, i = 0;

    while (i + RUN_MIN < n) {
        const uint8_t b = in[i];
        uint32_t four;

        memcpy(&four, in + i, sizeof four);
        token[k++] = b;
        i++;
        if (four == b * UINT32_C(0x01010101)) {
            const int run = run_length(in + i, n - i, b);

            k += put_run(b, run, token + k);
            i += run;
        }
    }
    while (i < n)
        token[k++] = in[i++];
    return k;
}

static void
count_tokens(struct voco_runs *r, int n)
{
    int i = 0;

    memset(r->count, 0, sizeof r->count);
    for (; i + 4 <= n; i += 4) {
        r->count[0][r->token[i]]++;
        r->count[1][r->token[i + 1]]++;
        r->count[2][r->token[i + 2]]++;
        r->count[3][r->token[i + 3]]++;
    }
    for (; i < n; i++)
        r->count[0][r->token[i]]++;
    for (int t = 0; t < 512; t++)
        r->count[0][t] += r->count[1][t] + r->count[2][t] + r->count[3][t];
}

/* Length symbol s stands for runs of first_length(s) to first_length(s + 1) - 1 bytes,
 * told apart by extra bits; the last one for RUN_MAX alone. */
static int
extra_bits(int s)
{
    return s < 8 || s == LENGTHS - 1 ? 0 : s / 4 - 1;
}

static int
first_length(int s)
{
    return s >= LENGTHS - 1 ? RUN_MAX + s - (LENGTHS - 1)
         : s < 8 ? RUN_MIN + s : RUN_MIN + ((4 + s % 4) << extra_bits(s));
}

/* ---- Huffman codes ---- */

/* Symbols that occur, the rarest first, as count << 9 | symbol; returns how many. */
static int
sort_counts(const uint32_t *count, int symbols, uint32_t *key)
{
    uint32_t other[SYMBOLS];
    int n = 0;

    for (int s = 0; s < symbols; s++)
        if (count[s])
            key[n++] = count[s] << 9 | (uint32_t)s;
    for (int shift = 9; shift < 25; shift += 8) {       /* counts have 16 bits */
        uint16_t at[257] = { 0 };

        for (int i = 0; i < n; i++)
            at[(key[i] >> shift & 255) + 1]++;
        for (int b = 0; b < 256; b++)
            at[b + 1] = (uint16_t)(at[b + 1] + at[b]);
        for (int i = 0; i < n; i++)
            other[at[key[i] >> shift & 255]++] = key[i];
        memcpy(key, other, (size_t)n * sizeof *key);
    }
    return n;
}

/* How many of n sorted symbols get a code of each length, by Huffman's algorithm: the two
 * lightest trees become one.  Trees are made in the order of their weights, so they and
 * the leaves are two queues. */
static void
lengths_by_depth(const uint32_t *key, int n, int most, int at_length[])
{
    uint32_t weight[2 * SYMBOLS];
    int parent[2 * SYMBOLS], depth[2 * SYMBOLS], leaf = 0, tree = n;

    for (int i = 0; i < n; i++)
        weight[i] = key[i] >> 9;
    for (int next = n; next < 2 * n - 1; next++) {
        weight[next] = 0;
        for (int child = 0; child < 2; child++) {
            const bool is_leaf =
                leaf < n && (tree >= next || weight[leaf] <= weight[tree]);
            const int i = is_leaf ? leaf++ : tree++;

            weight[next] += weight[i];
            parent[i] = next;
        }
    }
    depth[2 * n - 2] = 0;
    for (int i = 2 * n - 3; i >= 0; i--) {
        depth[i] = depth[parent[i]] + 1;
        if (i < n)
            at_length[depth[i] < most ? depth[i] : most]++;
    }
}

/* Codes that were cut to `most` bits may be too many: the tree has no room for them.  One
 * of the longest shorter ones grows by a bit and takes one of the cut beside it. */
static void
make_room(int at_length[], int most)
{
    int64_t used = 0;

    for (int l = 1; l <= most; l++)
        used += (int64_t)at_length[l] << (most - l);
    for (; used > (int64_t)1 << most; used--) {
        int l = most - 1;

        while (at_length[l] == 0)
            l--;
        at_length[l]--;
        at_length[l + 1] += 2;
        at_length[most]--;
    }
}

/* The length of each symbol's code, 0 for symbols that do not occur; at least two do. */
static void
choose_lengths(const uint32_t *count, int symbols, int most, uint8_t *length)
{
    int at_length[BITS_MAX + 1] = { 0 };
    uint32_t key[SYMBOLS];
    const int n = sort_counts(count, symbols, key);

    memset(length, 0, (size_t)symbols);
    lengths_by_depth(key, n, most, at_length);
    make_room(at_length, most);
    for (int l = most, i = 0; l > 0; l--)
        for (int k = 0; k < at_length[l]; k++)
            length[key[i++] & 511] = (uint8_t)l;
}

/* Codes as bits << 5 | length, the first bit lowest. */
static void
assign_codes(const uint8_t *length, int symbols, uint32_t *code)
{
    uint32_t next[BITS_MAX + 2] = { 0 };

    for (int s = 0; s < symbols; s++)
        if (length[s])
            next[length[s] + 1]++;
    for (int l = 2; l <= BITS_MAX; l++)
        next[l] = (next[l] + next[l - 1]) << 1;
    for (int s = 0; s < symbols; s++) {
        const int l = length[s];
        uint32_t bits = 0, c = l ? next[l]++ : 0;

        for (int i = 0; i < l; i++, c >>= 1)
            bits = bits << 1 | (c & 1);
        code[s] = bits << 5 | (uint32_t)l;
    }
}

/* ---- bits ---- */

/* Written out, the stores become one. */
static inline void
flush(struct voco_bits *b)
{
    const uint64_t held = b->held;

    b->to[0] = (uint8_t)held;
    b->to[1] = (uint8_t)(held >> 8);
    b->to[2] = (uint8_t)(held >> 16);
    b->to[3] = (uint8_t)(held >> 24);
    b->to[4] = (uint8_t)(held >> 32);
    b->to[5] = (uint8_t)(held >> 40);
    b->to[6] = (uint8_t)(held >> 48);
    b->to[7] = (uint8_t)(held >> 56);
    b->to += b->n >> 3;
    b->held >>= b->n & ~7;
    b->n &= 7;
}

static inline void
add(struct voco_bits *b, uint32_t bits, int n)
{
    b->held |= (uint64_t)bits << b->n;
    b->n += n;
}

static inline void
add_code(struct voco_bits *b, uint32_t code)
{
    add(b, code >> 5, (int)(code & 31));
}

/* ---- a block ---- */

/* The lengths of the codes as a block's head writes them. */
struct head {
    uint8_t symbol[HEAD_MAX];
    uint8_t extra[HEAD_MAX], extra_n[HEAD_MAX];
    int n;
    uint32_t code[PRE_SYMBOLS];
    int n_pre;                          /* lengths of code[] that are written */
    int bits;                           /* all of it */
};

/* The order in which lengths of code[] are written, those that are rarely used last. */
static const uint8_t PRE_ORDER[PRE_SYMBOLS] = {
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15
};

static void
head_add(struct head *h, int symbol, int extra, int extra_n)
{
    h->symbol[h->n] = (uint8_t)symbol;
    h->extra[h->n] = (uint8_t)extra;
    h->extra_n[h->n++] = (uint8_t)extra_n;
}

/* Zeros in one symbol of 3 to 138, repetitions in one of 3 to 6. */
static void
head_symbols(const uint8_t *length, int n, struct head *h)
{
    for (int i = 0, same; i < n; i += same) {
        const int most = length[i] ? 7 : 138;

        for (same = 1; same < most && i + same < n && length[i + same] == length[i];)
            same++;
        if (length[i] == 0 && same >= 3) {
            head_add(h, same <= 10 ? 17 : 18, same <= 10 ? same - 3 : same - 11,
                     same <= 10 ? 3 : 7);
        } else if (same >= 4) {
            head_add(h, length[i], 0, 0);
            head_add(h, 16, same - 4, 2);
        } else {
            head_add(h, length[i], 0, 0);
            same = 1;
        }
    }
}

static void
make_head(const uint8_t *length, int n, struct head *h)
{
    uint32_t count[PRE_SYMBOLS] = { 0 };
    uint8_t pre[PRE_SYMBOLS];

    h->n = 0;
    head_symbols(length, n, h);
    for (int i = 0; i < h->n; i++)
        count[h->symbol[i]]++;
    choose_lengths(count, PRE_SYMBOLS, PRE_BITS_MAX, pre);
    assign_codes(pre, PRE_SYMBOLS, h->code);
    h->n_pre = PRE_SYMBOLS;
    while (pre[PRE_ORDER[h->n_pre - 1]] == 0)
        h->n_pre--;
    h->bits = 3 + 14 + 3 * h->n_pre;
    for (int i = 0; i < h->n; i++)
        h->bits += pre[h->symbol[i]] + h->extra_n[i];
}

static void
put_head(const struct head *h, bool last, struct voco_bits *b)
{
    add(b, last, 1);
    add(b, 2, 2);                       /* with codes of its own */
    add(b, SYMBOLS - 257, 5);
    add(b, 0, 5);                       /* one distance */
    add(b, (uint32_t)h->n_pre - 4, 4);
    flush(b);
    for (int i = 0; i < h->n_pre; i++) {
        add(b, h->code[PRE_ORDER[i]] & 31, 3);
        flush(b);
    }
    for (int i = 0; i < h->n; i++) {
        add_code(b, h->code[h->symbol[i]]);
        add(b, h->extra[i], h->extra_n[i]);
        flush(b);
    }
}

/* Codes of tokens: a run's has extra bits and the one bit of the only distance. */
static void
token_codes(const uint32_t *symbol, uint32_t *code)
{
    memcpy(code, symbol, 256 * sizeof *code);
    for (int s = 0; s < LENGTHS; s++) {
        const uint32_t of_s = symbol[END + 1 + s], n = of_s & 31;
        const int first = first_length(s), end = first_length(s + 1);

        for (int l = first; l < end; l++)
            code[256 + l - RUN_MIN] = ((uint32_t)(l - first) << n | of_s >> 5) << 5
                | (n + (uint32_t)extra_bits(s) + 1);
    }
}

static void
put_tokens(const struct voco_runs *r, int n, struct voco_bits *bits)
{
    struct voco_bits b = *bits;
    int i = 0;

    for (; i + 2 <= n; i += 2) {        /* two take 42 bits at most */
        add_code(&b, r->code[r->token[i]]);
        add_code(&b, r->code[r->token[i + 1]]);
        flush(&b);
    }
    if (i < n)
        add_code(&b, r->code[r->token[i]]);
    flush(&b);
    *bits = b;
}

static void
put_stored(const uint8_t *in, int n, bool last, struct voco_bits *b)
{
    add(b, last, 3);
    b->n = (b->n + 7) & ~7;
    flush(b);
    add(b, (uint32_t)n | ~(uint32_t)n << 16, 32);
    flush(b);
    memcpy(b->to, in, (size_t)n);
    b->to += n;
}

/* Counts of symbols from those of tokens. */
static void
count_symbols(const uint32_t *token, uint32_t *count)
{
    memcpy(count, token, 256 * sizeof *count);
    count[END] = 1;
    for (int s = 0; s < LENGTHS; s++) {
        count[END + 1 + s] = 0;
        for (int l = first_length(s); l < first_length(s + 1); l++)
            count[END + 1 + s] += token[256 + l - RUN_MIN];
    }
}

void
voco_runs_block(struct voco_runs *r, const uint8_t *in, int n, bool last,
                struct voco_bits *bits)
{
    const int n_tokens = parse(in, n, r->token);
    uint32_t count[SYMBOLS], code[SYMBOLS];
    uint8_t length[SYMBOLS + 1];
    struct head head;
    int64_t size;

    count_tokens(r, n_tokens);
    count_symbols(r->count[0], count);
    choose_lengths(count, SYMBOLS, BITS_MAX, length);
    length[SYMBOLS] = 1;                /* of the only distance */
    assign_codes(length, SYMBOLS, code);
    token_codes(code, r->code);
    make_head(length, SYMBOLS + 1, &head);
    size = head.bits + (code[END] & 31);
    for (int t = 0; t < 512; t++)
        size += (int64_t)r->count[0][t] * (r->code[t] & 31);
    if (size > (int64_t)7 * n) {
        put_stored(in, n, last, bits);
        return;
    }
    put_head(&head, last, bits);
    put_tokens(r, n_tokens, bits);
    add_code(bits, code[END]);
    if (last)
        bits->n = (bits->n + 7) & ~7;
    flush(bits);
}
