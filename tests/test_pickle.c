/* The data-only pickle reader: what picklers write is read, all else is refused, nothing
 * is run. */
#include <stdlib.h>
#include <string.h>

#include "tensorfile/pickle.h"
#include "tests/scratch.h"
#include "tests/test.h"

/* A copy of exactly its size, so that a sanitizer sees any step beyond. */
static enum voco_err
parse(struct voco_pickle *p, const void *bytes, size_t n)
{
    void *exact = malloc(n ? n : 1);
    enum voco_err err;

    memcpy(exact, bytes, n);
    err = voco_pickle_parse(p, exact, n, "p");
    free(exact);                        /* nodes point into it, numbers do not */
    return err;
}

#define PARSE(p, text) voco_pickle_parse(p, text, sizeof text - 1, "p")
#define NODE const struct voco_pickle_node *

static NODE
root(const struct voco_pickle *p)
{
    return voco_pickle_node(p, p->root);
}

static NODE
item(const struct voco_pickle *p, NODE x, int i)
{
    ck_assert_int_lt(i, x->n);
    return voco_pickle_node(p, x->item[i]);
}

START_TEST(numbers_and_texts_are_read)
{
    static const struct { const char *bytes; size_t n; enum voco_pickle_kind kind; int64_t x; }
    whole[] = {
#define W(text, kind, x) { text, sizeof text - 1, VOCO_PICKLE_##kind, x }
        W("\x80\x02K\xff.", INT, 255), W("\x80\x02M\x01\x02.", INT, 513),
        W("\x80\x02J\xff\xff\xff\xff.", INT, -1), W("\x80\x02\x8a\x00.", INT, 0),
        W("\x80\x02\x8a\x01\x80.", INT, -128), W("\x80\x02\x8a\x02\xff\x00.", INT, 255),
        W("\x80\x02\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", INT, INT64_MIN),
        W("\x80\x02\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x80\x00.", BIG, 0),
        W("\x80\x02\x8b\x01\x00\x00\x00\x07.", INT, 7), W("\x80\x02\x88.", BOOL, 1),
        W("\x80\x02\x89.", BOOL, 0), W("\x80\x02N.", NONE, 0),
    };
    struct voco_pickle p;

    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        ck_assert_int_eq(voco_pickle_parse(&p, whole[i].bytes, whole[i].n, "p"), VOCO_OK);
        ck_assert_int_eq(root(&p)->kind, whole[i].kind);
        ck_assert_int_eq(root(&p)->whole, whole[i].x);
        voco_pickle_close(&p);
    }
    ck_assert_int_eq(PARSE(&p, "\x80\x02G\xbf\xf8\0\0\0\0\0\0."), VOCO_OK);
    ck_assert(root(&p)->kind == VOCO_PICKLE_REAL && root(&p)->real == -1.5);
    voco_pickle_close(&p);
    ck_assert_int_eq(PARSE(&p, "\x80\x02X\x03\0\0\0abc."), VOCO_OK);
    ck_assert(voco_pickle_is_text(root(&p), "abc") && !voco_pickle_is_text(root(&p), "ab"));
    voco_pickle_close(&p);
}
END_TEST

START_TEST(containers_hold_what_was_put_in)
{
    struct voco_pickle p;
    NODE list;
    NODE dict;

    /* [(1, 2), {"k": 3}, the same list's first item again] */
    ck_assert_int_eq(PARSE(&p, "\x80\x04\x95\0\0\0\0\0\0\0\0]\x94(K\x01K\x02\x86q\x05"
                           "}\x8c\x01kK\x03sh\x05" "e."), VOCO_OK);
    list = root(&p);
    ck_assert(list->kind == VOCO_PICKLE_LIST && list->n == 3);
    ck_assert_int_eq(item(&p, item(&p, list, 0), 1)->whole, 2);
    dict = item(&p, list, 1);
    ck_assert(dict->kind == VOCO_PICKLE_DICT && dict->n == 2);
    ck_assert(voco_pickle_is_text(item(&p, dict, 0), "k"));
    ck_assert_ptr_eq(item(&p, list, 2), item(&p, list, 0));
    ck_assert_int_eq(list->depth, 2);
    voco_pickle_close(&p);
}
END_TEST

START_TEST(calls_are_kept_as_words)
{
    struct voco_pickle p;
    NODE call;
    char *name;

    ck_assert_int_eq(PARSE(&p, "\x80\x02" "cos\nsystem\nX\x04\0\0\0true\x85R."), VOCO_OK);
    call = root(&p);
    ck_assert_int_eq(call->kind, VOCO_PICKLE_CALL);
    ck_assert(voco_pickle_is_global(voco_pickle_node(&p, call->callee), "os", "system"));
    ck_assert(voco_pickle_is_text(item(&p, voco_pickle_node(&p, call->args), 0), "true"));
    name = voco_pickle_global_name(voco_pickle_node(&p, call->callee));
    ck_assert_str_eq(name, "os.system");
    free(name);
    voco_pickle_close(&p);
    ck_assert_int_eq(PARSE(&p, "\x80\x04\x8c\x02os\x8c\x06s\x1b\ntem\x93)\x81}b."), VOCO_OK);
    name = voco_pickle_global_name(voco_pickle_node(&p, root(&p)->callee));
    ck_assert_str_eq(name, "os.s??tem");        /* nothing that a terminal obeys */
    free(name);
    voco_pickle_close(&p);
}
END_TEST

static const struct { const char *bytes; size_t n; const char *says; } refused[] = {
#define R(text, says) { text, sizeof text - 1, says }
    R("", "no pickle"), R("\x80", "no pickle"), R("I1\n.", "no pickle"),
    R("\x80\x01N.", "no pickle"), R("\x80\x06N.", "protocol after 5"),
    R("\x80\x02", "truncated"), R("\x80\x02N", "truncated"),
    R("\x80\x02.", "not with one value"), R("\x80\x02NN.", "not with one value"),
    R("\x80\x02(N.", "not with one value"), R("\x80\x02N.N", "bytes behind the end"),
    R("\x80\x02I1\n.", "opcode 'I'"), R("\x80\x02ios\nsystem\n.", "opcode 'i'"),
    R("\x80\x02(cos\nsystem\no.", "opcode 'o'"), R("\x80\x02\x82\x01.", "opcode 0x82"),
    R("\x80\x02\x97.", "opcode 0x97"), R("\x80\x02\xff.", "unknown opcode 0xff"),
    R("\x80\x02\0.", "unknown opcode 0x00"),
    R("\x80\x02t.", "mark"), R("\x80\x02u.", "mark"), R("\x80\x02" "1.", "mark"),
    R("\x80\x02" "0.", "not there"), R("\x80\x02" "2.", "not there"),
    R("\x80\x02Na.", "not there"), R("\x80\x02N\x86.", "not there"),
    R("\x80\x02N(0.", "not there"), R("\x80\x02](\x85.", "not there"),
    R("\x80\x02(e.", "not there"), R("\x80\x02NR.", "not there"),
    R("\x80\x02q\x01.", "not there"), R("\x80\x02h\x01.", "memo"),
    R("\x80\x02Nr\xff\xff\xff\xff.", "memo beyond"), R("\x80\x02j\xff\xff\xff\xff.", "memo"),
    R("\x80\x02}NNNt.", "mark"), R("\x80\x02}(NNNu.", "without a value"),
    R("\x80\x02(NNNd.", "without a value"), R("\x80\x02NNa.", "holds no others"),
    R("\x80\x02]NNs.", "holds no others"), R("\x80\x02}(Ne.", "holds no others"),
    R("\x80\x02NNR.", "no tuple"), R("\x80\x02N}b.", "no object"),
    R("\x80\x02X\xff\xff\xff\xffxx.", "truncated"), R("\x80\x02\x8a\x7fx.", "truncated"),
    R("\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "truncated"),
    R("\x80\x02\x8b\xff\xff\xff\xff.", "truncated"),
    R("\x80\x02" "cos.system", "truncated"), R("\x80\x02" "cos\nsystem", "truncated"),
    R("\x80\x04K\x01K\x02\x93.", "no text"), R("\x80\x02NQ", "truncated"),
};

START_TEST(hostile_pickle_is_refused_in_words)
{
    struct voco_pickle p;

    ck_assert_msg(parse(&p, refused[_i].bytes, refused[_i].n) == VOCO_EFORMAT, "%d", _i);
    ck_assert_says(refused[_i].says);
    ck_assert_int_eq(p.n, 0);
}
END_TEST

/* The same byte n times between a front and an end. */
static enum voco_err
parse_repeated(struct voco_pickle *p, const char *front, const char *unit, int n,
               const char *end)
{
    const size_t a = strlen(front), b = strlen(unit), c = strlen(end);
    char *bytes = malloc(a + b * (size_t)n + c);
    enum voco_err err;

    memcpy(bytes, front, a);
    for (int i = 0; i < n; i++)
        memcpy(bytes + a + b * (size_t)i, unit, b);
    memcpy(bytes + a + b * (size_t)n, end, c);
    err = parse(p, bytes, a + b * (size_t)n + c);
    free(bytes);
    return err;
}

START_TEST(depth_and_number_of_values_are_bounded)
{
    struct voco_pickle p;

    ck_assert_int_eq(parse_repeated(&p, "\x80\x02N", "\x85", 64, "."), VOCO_OK);
    voco_pickle_close(&p);
    ck_assert_int_eq(parse_repeated(&p, "\x80\x02N", "\x85", 65, "."), VOCO_EFORMAT);
    ck_assert_says("64 deep");
    ck_assert_int_eq(parse_repeated(&p, "\x80\x02", "]", 2000000, "."), VOCO_EFORMAT);
    ck_assert_says("1000000 values");
    ck_assert_int_eq(parse_repeated(&p, "\x80\x02", "(", 2000000, "."), VOCO_EFORMAT);
    ck_assert_says("1000000 marks");
    ck_assert_int_eq(parse_repeated(&p, "\x80\x02]q\x01(", "h\x01", 2000000, "e."),
                     VOCO_EFORMAT);                     /* a list full of itself */
    /* ten times the one before, and so on: 10^30 values to whoever walks all of it */
    ck_assert_int_eq(parse_repeated(&p, "\x80\x02]", "q\x01" "0(h\x01h\x01h\x01h\x01h\x01"
                                    "h\x01h\x01h\x01h\x01h\x01l", 30, "."), VOCO_OK);
    ck_assert_int_lt(p.n, 100);
    voco_pickle_close(&p);
}
END_TEST

/* A state_dict of one tensor, as torch.save of version 2 writes it. */
static const char state[] =
    "\x80\x02" "ccollections\nOrderedDict\nq\0)Rq\x01(X\x06\0\0\0weightq\x02"
    "ctorch._utils\n_rebuild_tensor_v2\nq\x03((X\x07\0\0\0storageq\x04" "ctorch\nFloatStorage\n"
    "q\x05X\x01\0\0\0" "0q\x06X\x03\0\0\0cpuq\x07K\x04tq\x08QK\0K\x02K\x02\x86q\x09K\x02K\x01"
    "\x86q\x0a\x89h\0)Rq\x0btq\x0cRq\x0du}q\x0eX\x09\0\0\0_metadataq\x0fh\0)Rq\x10sb.";

START_TEST(pickle_cut_anywhere_is_refused)
{
    const size_t n = sizeof state - 1;
    struct voco_pickle p;

    ck_assert_int_eq(parse(&p, state, n), VOCO_OK);
    voco_pickle_close(&p);
    for (size_t cut = 0; cut < n; cut++)
        ck_assert_msg(parse(&p, state, cut) == VOCO_EFORMAT, "cut to %zu of %zu", cut, n);
}
END_TEST

START_TEST(changed_bytes_are_refused_or_data)
{
    const size_t n = sizeof state - 1;
    char *bytes = malloc(n);
    struct voco_pickle p;
    int refused_n = 0;

    memcpy(bytes, state, n);
    for (size_t i = 0; i < n; i++) {
        for (int x = 1; x < 256; x++) {
            bytes[i] = (char)(state[i] ^ x);
            if (voco_pickle_parse(&p, bytes, n, "p") == VOCO_OK)
                voco_pickle_close(&p);
            else
                refused_n++;
        }
        bytes[i] = state[i];
    }
    ck_assert_int_gt(refused_n, (int)n * 255 / 4);
    free(bytes);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("pickle");
    TCase *tc = tcase_create("pickle");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, numbers_and_texts_are_read);
    tcase_add_test(tc, containers_hold_what_was_put_in);
    tcase_add_test(tc, calls_are_kept_as_words);
    tcase_add_loop_test(tc, hostile_pickle_is_refused_in_words, 0,
                        (int)(sizeof refused / sizeof *refused));
    tcase_add_test(tc, depth_and_number_of_values_are_bounded);
    tcase_add_test(tc, pickle_cut_anywhere_is_refused);
    tcase_add_test(tc, changed_bytes_are_refused_or_data);
    suite_add_tcase(suite, tc);
    return suite;
}
