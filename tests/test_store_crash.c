/* The store after kills, full disks and missing files: nothing that was published is
 * lost, nothing half-written counts, and converting again completes it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "store_util.h"
#include "tests/test.h"

/* Three volumes of 20^3 fill a shard. */
static const struct voco_store_options small = {.type = VOCO_STORE_U16, .chunk = 8,
                                                .shard_bytes = 60000};
enum { VOLUMES = 8 };

/* Adds what is not there yet; returns how many that were. */
static int
complete(const char *folder)
{
    struct voco_store_writer *w;
    int added = 0;

    ok(voco_store_create(folder, &small, &w));
    for (int k = 0; k < VOLUMES; k++) {
        char id[32];

        snprintf(id, sizeof id, "case%03d", k);
        if (voco_store_written(w, id))
            continue;
        ok(add(w, k, "a", 20, 20, 20));
        added++;
    }
    ok(voco_store_finish(w));
    return added;
}

static int
count_names(const char *folder, const char *part)
{
    DIR *dir = opendir(folder);
    int n = 0;

    VOCO_ASSERT(dir);           /* children come here too */
    for (struct dirent *e; (e = readdir(dir)); )
        n += strstr(e->d_name, part) != NULL;
    closedir(dir);
    return n;
}

static void
check_whole(const char *folder)
{
    struct voco_store *s;

    ok(voco_store_open(folder, &s));
    ck_assert_int_eq(voco_store_count(s), VOLUMES);
    ok(voco_store_verify(s, &check_all));
    voco_store_close(s);
    ck_assert_int_eq(count_names(folder, ".part"), 0);
    ck_assert_int_eq(count_names(folder, ".tmp"), 0);
}

/* Runs work in a child of its own, which must end with this status. */
static void
in_child(void (*work)(const char *folder), const char *folder, int want)
{
    int status;
    const pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        work(folder);
        _exit(9);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == want, "child: %d", status);
}

static void
die_between_volumes(const char *folder)
{
    struct voco_store_writer *w;

    if (voco_store_create(folder, &small, &w))
        _exit(1);
    for (int k = 0; k < 5; k++)
        if (add(w, k, "a", 20, 20, 20))
            _exit(2);
    _exit(3);
}

START_TEST(a_killed_writer_loses_at_most_the_open_shard)
{
    char *folder = scratch_folder();
    struct voco_store *s;

    in_child(die_between_volumes, folder, 3);
    ck_assert_int_eq(count_names(folder, ".part"), 1);
    ok(voco_store_open(folder, &s));
    const int published = voco_store_count(s);
    ck_assert_int_ge(published, 2);
    ck_assert_int_lt(published, 6);
    ok(voco_store_verify(s, &check_all));
    voco_store_close(s);
    ck_assert_int_eq(complete(folder), VOLUMES - published);
    check_whole(folder);
    ck_assert_int_eq(complete(folder), 0);
    scratch_remove(folder);
}
END_TEST

static void
write_for_ever(const char *folder)
{
    for (;;) {
        struct voco_store_writer *w;

        if (voco_store_create(folder, &small, &w))
            _exit(1);
        for (int k = 0; k < VOLUMES; k++) {
            char id[32];

            snprintf(id, sizeof id, "case%03d", k);
            if (!voco_store_written(w, id) && add(w, k, "a", 20, 20, 20))
                _exit(2);
        }
        if (voco_store_finish(w))
            _exit(3);
    }
}

START_TEST(a_writer_killed_at_any_moment_can_be_continued)
{
    for (int t = 0; t < 30; t++) {
        char *folder = scratch_folder();
        struct voco_store *s;
        int status;
        const pid_t child = fork();

        ck_assert_int_ge(child, 0);
        if (child == 0)
            write_for_ever(folder);
        usleep((useconds_t)(1000 + t * t * 80));
        kill(child, SIGKILL);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFSIGNALED(status), "the writer ended by itself: %d", status);
        if (voco_store_open(folder, &s) == VOCO_OK) {   /* else not begun yet */
            ok(voco_store_verify(s, &check_all));
            voco_store_close(s);
        }
        complete(folder);
        check_whole(folder);
        scratch_remove(folder);
    }
}
END_TEST

START_TEST(an_abandoned_writer_leaves_what_was_published)
{
    char *folder = scratch_folder();
    struct voco_store_writer *w;
    struct voco_store *s;

    ok(voco_store_create(folder, &small, &w));
    for (int k = 0; k < 7; k++)
        ok(add(w, k, "a", 20, 20, 20));
    voco_store_abandon(w);
    voco_store_abandon(NULL);
    ck_assert_int_eq(count_names(folder, ".part"), 0);
    ok(voco_store_open(folder, &s));
    ck_assert_int_ge(voco_store_count(s), 2);
    voco_store_close(s);
    complete(folder);
    check_whole(folder);
    scratch_remove(folder);
}
END_TEST

/* ---- states that a kill may leave between two steps of publishing ---- */

static char *
manifest_of(const char *folder, size_t *ret_n)
{
    char *path = voco_format("%s/manifest.jsonl", folder), *text;

    ok(voco_file_read(path, 1 << 20, &text, ret_n));
    free(path);
    return text;
}

static void
put_manifest(const char *folder, const char *text, size_t n)
{
    char *path = voco_format("%s/manifest.jsonl", folder);
    FILE *f = fopen(path, "wb");

    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
    free(path);
}

/* Bytes of the manifest up to and with line number n, counted from 1. */
static size_t
end_of_line(const char *text, int n)
{
    const char *p = text;

    while (n-- > 0) {
        p = strchr(p, '\n');
        ck_assert_ptr_nonnull(p);
        p++;
    }
    return (size_t)(p - text);
}

START_TEST(a_manifest_cut_anywhere_in_its_last_shard_can_be_continued)
{
    char *folder = scratch_folder();
    size_t n;
    struct voco_store *s;

    ck_assert_int_eq(complete(folder), VOLUMES);
    char *text = manifest_of(folder, &n);
    ok(voco_store_open(folder, &s));
    const char *last = strstr(text, "\"shard\":2");
    ck_assert_ptr_nonnull(last);            /* the third and last shard */
    ck_assert_ptr_null(strstr(text, "\"shard\":3"));
    voco_store_close(s);
    while (last[-1] != '\n')
        last--;
    for (size_t cut = (size_t)(last - text); cut < n; cut += 41) {
        char *third = voco_format("%s/shard-00002.h5", folder);

        put_manifest(folder, text, cut);
        ok(voco_store_open(folder, &s));
        ck_assert_int_eq(voco_store_count(s), 6);
        voco_store_close(s);
        ck_assert_int_eq(complete(folder), VOLUMES - 6);
        check_whole(folder);
        free(third);
    }
    free(text);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_manifest_that_lost_more_than_a_kill_can_take_is_not_touched)
{
    char *folder = scratch_folder();
    struct voco_store_writer *w;
    struct voco_store *s;
    size_t n, same_n;

    complete(folder);
    char *text = manifest_of(folder, &n);
    put_manifest(folder, text, end_of_line(text, 1));       /* lists no shard any more */
    fails(VOCO_EFORMAT, voco_store_create(folder, &small, &w));
    says("restore the manifest");
    ck_assert_int_eq(count_names(folder, "shard-"), 3);
    put_manifest(folder, text, end_of_line(text, 3));       /* part of the first shard */
    fails(VOCO_EFORMAT, voco_store_create(folder, &small, &w));
    ck_assert_int_eq(count_names(folder, "shard-"), 3);
    put_manifest(folder, text, 10);
    fails(VOCO_EFORMAT, voco_store_open(folder, &s));
    fails(VOCO_EFORMAT, voco_store_create(folder, &small, &w));
    char *same = manifest_of(folder, &same_n);
    ck_assert_uint_eq(same_n, 10);
    put_manifest(folder, text, n);
    check_whole(folder);
    free(same);
    free(text);
    scratch_remove(folder);
}
END_TEST

START_TEST(a_missing_shard_is_named_and_its_volumes_are_made_again)
{
    for (int k = 0; k < 3; k++) {
        char *folder = scratch_folder();
        char *name = voco_format("shard-%05d.h5", k);
        char *path = voco_format("%s/%s", folder, name);
        struct voco_store *s;

        complete(folder);
        ck_assert_int_eq(unlink(path), 0);
        fails(VOCO_EFORMAT, voco_store_open(folder, &s));
        says(name);
        ck_assert_int_ge(complete(folder), 2);
        check_whole(folder);
        free(path);
        free(name);
        scratch_remove(folder);
    }
}
END_TEST

START_TEST(a_shard_of_another_store_is_refused)
{
    char *folder[2] = {scratch_folder(), scratch_folder()};
    const struct voco_store_options other = {.type = VOCO_STORE_U16, .chunk = 8};
    struct voco_store *s;

    complete(folder[0]);
    store_of(folder[1], &other, 1, 20, 20, 20);
    char *from = voco_format("%s/shard-00000.h5", folder[1]);
    char *to = voco_format("%s/shard-00000.h5", folder[0]);
    char *over = voco_format("%s/shard-00001.h5", folder[0]);
    ck_assert_int_eq(rename(to, over), 0);          /* another number */
    fails(VOCO_EFORMAT, voco_store_open(folder[0], &s));
    ck_assert_int_eq(rename(from, to), 0);          /* right number, other volumes */
    fails(VOCO_EFORMAT, voco_store_open(folder[0], &s));
    free(from);
    free(to);
    free(over);
    for (int f = 0; f < 2; f++)
        scratch_remove(folder[f]);
}
END_TEST

/* ---- disk full ---- */

static off_t file_limit;

/* With files limited to file_limit bytes: either all is well or VOCO_EIO, with nothing
 * unpublished left behind. */
static void
write_limited(const char *folder)
{
    const struct rlimit limit = {(rlim_t)file_limit, (rlim_t)file_limit};
    struct voco_store_writer *w;
    enum voco_err err, last;

    signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
        _exit(1);
    err = voco_store_create(folder, &small, &w);
    if (err)
        _exit(err == VOCO_EIO ? 5 : 2);
    for (int k = 0; k < VOLUMES && !err; k++) {
        char id[32];

        snprintf(id, sizeof id, "case%03d", k);
        if (!voco_store_written(w, id))
            err = add(w, k, "a", 20, 20, 20);
    }
    if (err && add(w, 99, "a", 20, 20, 20) != err)
        _exit(3);                                   /* it stays failed */
    last = voco_store_finish(w);
    if (count_names(folder, ".part") || (err && last != err))
        _exit(4);
    exit(last == VOCO_EIO ? 5 : last == VOCO_OK ? 0 : 6);   /* exit handlers too */
}

START_TEST(a_full_disk_is_an_error_and_leaves_the_earlier_state)
{
    bool failed_late = false;

    for (file_limit = 100; file_limit < 110000; file_limit += file_limit / 10 + 61) {
        char *folder = scratch_folder();
        const pid_t child = fork();
        int status;

        ck_assert_int_ge(child, 0);
        if (child == 0)
            write_limited(folder);
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && (WEXITSTATUS(status) == 5
                                            || WEXITSTATUS(status) == 0),
                      "limit %lld: status %d", (long long)file_limit, status);
        failed_late = failed_late || (WEXITSTATUS(status) == 5 && file_limit > 40000);
        complete(folder);
        check_whole(folder);
        scratch_remove(folder);
    }
    ck_assert(failed_late);
}
END_TEST

START_TEST(a_full_disk_does_not_hurt_published_shards)
{
    char *folder = scratch_folder();
    struct voco_store *s;

    in_child(die_between_volumes, folder, 3);
    ok(voco_store_open(folder, &s));
    const int before = voco_store_count(s);
    voco_store_close(s);
    file_limit = 9000;
    in_child(write_limited, folder, 5);
    ok(voco_store_open(folder, &s));
    ck_assert_int_eq(voco_store_count(s), before);
    ok(voco_store_verify(s, &check_all));
    voco_store_close(s);
    complete(folder);
    check_whole(folder);
    scratch_remove(folder);
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("store_crash");
    TCase *t = tcase_create("store_crash");

    voco_log_level = VOCO_LOG_QUIET;
    tcase_set_timeout(t, 120);
    suite_add_tcase(suite, t);
    tcase_add_test(t, a_killed_writer_loses_at_most_the_open_shard);
    tcase_add_test(t, a_writer_killed_at_any_moment_can_be_continued);
    tcase_add_test(t, an_abandoned_writer_leaves_what_was_published);
    tcase_add_test(t, a_manifest_cut_anywhere_in_its_last_shard_can_be_continued);
    tcase_add_test(t, a_manifest_that_lost_more_than_a_kill_can_take_is_not_touched);
    tcase_add_test(t, a_missing_shard_is_named_and_its_volumes_are_made_again);
    tcase_add_test(t, a_shard_of_another_store_is_refused);
    tcase_add_test(t, a_full_disk_is_an_error_and_leaves_the_earlier_state);
    tcase_add_test(t, a_full_disk_does_not_hurt_published_shards);
    return suite;
}
