/* HDF5 files are read in a child process: what comes back, and what its end is here. */
#include <signal.h>
#include <unistd.h>

#include "data/store/hdf5_reader.h"
#include "objective/voco/replay.h"
#include "store_util.h"
#include "tests/test.h"

/* ---- files ---- */

/* Rows of 4 MiB: the child sends them in more than one piece, the last one shorter. */
START_TEST(large_datasets_come_back_whole)
{
    enum { ROWS = 17, ROW = 1 << 20 };
    const int64_t dim[3] = { ROWS, 1024, 1024 };
    float *x = malloc((size_t)ROWS * ROW * sizeof *x);
    float *y = malloc((size_t)ROWS * ROW * sizeof *y);
    int64_t got[VOCO_H5_RANK_MAX];
    char *folder = scratch_folder(), *path = voco_format("%s/x.h5", folder);
    struct voco_h5 *h;
    int rank;
    bool there;

    for (int i = 0; i < ROWS * ROW; i++)
        x[i] = (float)(i % 999983);
    ok(voco_h5_create(path, &h));
    ok(voco_h5_write_f32(h, "a/b", 3, dim, x));
    ok(voco_h5_has(h, "a/b", &there));
    ck_assert(there);
    ok(voco_h5_close(h));

    ok(voco_h5_open(path, &h));
    ok(voco_h5_has(h, "a/c", &there));
    ck_assert(!there);
    ok(voco_h5_has(h, "a/b", &there));
    ck_assert(there);
    ok(voco_h5_shape(h, "a/b", &rank, got));
    ck_assert_int_eq(rank, 3);
    ck_assert_mem_eq(got, dim, sizeof dim);
    ok(voco_h5_read_f32(h, "a/b", (int64_t)ROWS * ROW, y));
    ck_assert_mem_eq(x, y, (size_t)ROWS * ROW * sizeof *x);
    fails(VOCO_EFORMAT, voco_h5_read_f32(h, "a/b", 5, y));
    says("expected 5");
    fails(VOCO_EFORMAT, voco_h5_shape(h, "a/c", &rank, got));
    ok(voco_h5_read_f32(h, "a/b", (int64_t)ROWS * ROW, y));         /* it is still there */
    ok(voco_h5_close(h));
    free(x);
    free(y);
    free(path);
    scratch_remove(folder);
}
END_TEST

/* A hole in a file, at which 1.10.8 follows a null pointer (found by fuzzing). */
START_TEST(a_file_that_crashes_the_library_is_refused)
{
    enum { AT = 127, HOLE = 40 };
    const char *golden = getenv("VOCO_GOLDEN");
    char *from = voco_format("%s/unwritten.h5", golden ? golden : "tests/golden");
    char *folder = scratch_folder(), *path = voco_format("%s/x.h5", folder), *data;
    struct voco_newfile f;
    struct voco_replay r;
    size_t n;

    ok(voco_file_read(from, 1 << 16, &data, &n));
    ok(voco_newfile_open(&f, path));
    fwrite(data, 1, AT, f.out);
    for (int i = 0; i < HOLE; i++)
        fputc(0xff, f.out);
    fwrite(data + AT, 1, n - AT, f.out);
    ok(voco_newfile_commit(&f));
    fails(VOCO_EFORMAT, voco_replay_open(path, (const int[]){ 3, 3, 1 }, 1, &r));
    says(path);
    free(data);
    free(path);
    free(from);
    scratch_remove(folder);
}
END_TEST

/* ---- the child ---- */

/* Does what the name of the request says. */
static void
act(void *state, const struct voco_h5_request *q, int to, struct voco_h5_reply *reply)
{
    (void)state;
    if (strcmp(q->name, "crash") == 0) {
        signal(SIGSEGV, SIG_DFL);               /* a sanitizer would handle it */
        raise(SIGSEGV);
    }
    if (strcmp(q->name, "killed") == 0)
        raise(SIGKILL);
    if (strcmp(q->name, "no memory") == 0)
        _exit(6);
    if (strcmp(q->name, "fail") == 0)
        reply->err = voco_fail(VOCO_EFORMAT, "a sentence");
    voco_h5_send_piece(to, "data", (size_t)q->n);
    reply->rank = 3;
}

static enum voco_err
say(struct voco_h5_reader *r, const char *word, int n, void *data, size_t bytes,
    struct voco_h5_reply *reply)
{
    struct voco_h5_request q = { .deed = VOCO_H5_HAS, .n = n };

    strcpy(q.name, word);
    return voco_h5_reader_ask(r, &q, data, bytes, reply);
}

START_TEST(the_end_of_the_child_is_an_error)
{
    static const struct {
        const char *word;
        enum voco_err err;
        const char *says;
    } end[] = {
        { "crash", VOCO_EFORMAT, "signal 11" }, { "killed", VOCO_EMEMORY, "was killed" },
        { "no memory", VOCO_EMEMORY, "no memory" }
    };

    for (size_t i = 0; i < sizeof end / sizeof *end; i++) {
        struct voco_h5_reader *r;
        struct voco_h5_reply reply;

        ok(voco_h5_reader_open("file.h5", act, NULL, &r));
        ok(say(r, "", 0, NULL, 0, &reply));
        fails(end[i].err, say(r, end[i].word, 0, NULL, 0, &reply));
        says("file.h5");
        says(end[i].says);
        fails(VOCO_EFORMAT, say(r, "", 0, NULL, 0, &reply));
        voco_h5_reader_close(r);
    }
}
END_TEST

START_TEST(replies_have_the_length_that_was_asked_for)
{
    static const struct {
        int sent, asked;
    } wrong[] = { { 3, 2 }, { 2, 3 }, { 0, 1 } };
    struct voco_h5_reader *r;
    struct voco_h5_reply reply;
    char data[4] = "";

    ok(voco_h5_reader_open("file.h5", act, NULL, &r));
    ok(say(r, "", 4, data, 4, &reply));
    ck_assert_mem_eq(data, "data", 4);
    ck_assert_int_eq(reply.rank, 3);
    fails(VOCO_EFORMAT, say(r, "fail", 0, NULL, 0, &reply));
    says("a sentence");
    ok(say(r, "", 4, data, 4, &reply));         /* a refusal is not the end */
    voco_h5_reader_close(r);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ok(voco_h5_reader_open("file.h5", act, NULL, &r));
        fails(VOCO_EFORMAT,
              say(r, "", wrong[i].sent, data, (size_t)wrong[i].asked, &reply));
        voco_h5_reader_close(r);
    }
}
END_TEST

/* The second child has a copy of the first one's socket. */
START_TEST(readers_are_closed_in_any_order)
{
    struct voco_h5_reader *r[2];
    struct voco_h5_reply reply;

    for (int first = 0; first < 2; first++) {
        for (int i = 0; i < 2; i++)
            ok(voco_h5_reader_open("file.h5", act, NULL, &r[i]));
        voco_h5_reader_close(r[first]);
        ok(say(r[1 - first], "", 0, NULL, 0, &reply));
        voco_h5_reader_close(r[1 - first]);
    }
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("hdf5");
    TCase *t = tcase_create("files"), *child = tcase_create("child");

    tcase_add_test(t, large_datasets_come_back_whole);
    tcase_add_test(t, a_file_that_crashes_the_library_is_refused);
    tcase_add_test(child, the_end_of_the_child_is_an_error);
    tcase_add_test(child, replies_have_the_length_that_was_asked_for);
    tcase_add_test(child, readers_are_closed_in_any_order);
    suite_add_tcase(s, t);
    suite_add_tcase(s, child);
    return s;
}
