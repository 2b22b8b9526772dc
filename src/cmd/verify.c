/* voco verify: are stores, checkpoints and runs undamaged, to the last byte? */
#include "cmd/cmd.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "data/store/store.h"
#include "tensorfile/tensorfile.h"
#include "train/checkpoint.h"

static int64_t threads;

static const struct voco_opt options[] = {
    { .name = "threads", .letter = 't', .kind = VOCO_OPT_INT, .value = &threads,
      .arg = "N", .max = 1024,
      .help = "shards of a store to check at once (0: one per core)" },
    { 0 }
};

struct watch {
    const char *path;
    int faults;
    struct voco_progress progress;
};

static void
show_progress(int done, int total, void *user)
{
    struct watch *w = user;

    w->progress.total = total;          /* channels and label maps count by themselves */
    voco_progress_show(&w->progress, done, "of %d volumes", total);
}

static void
print_fault(const char *sentence, void *user)
{
    struct watch *w = user;

    printf("%s\n", sentence);
    w->faults++;
}

static enum voco_err
verify_store(const char *path)
{
    struct watch w = {.path = path};
    const struct voco_store_check check = {
        .threads = threads > 0 ? (int)threads : voco_default_threads(),
        .report = print_fault, .progress = show_progress, .user = &w
    };
    struct voco_store *s;
    enum voco_err err = voco_store_open(path, &s);

    if (err) {
        print_fault(voco_fail_text(), &w);
        return err;
    }
    voco_progress_start(&w.progress, "verify", 0, voco_store_count(s));
    err = voco_store_verify(s, &check);
    voco_progress_end(&w.progress, "%s", "");
    if (err)
        err = voco_fail(err, "%s: %d fault%s; move the named shards away and run voco "
                        "convert again, which makes their volumes anew", path, w.faults,
                        voco_plural(w.faults));
    else
        printf("%s: store, %d volume%s whole, hash %08x\n", path, voco_store_count(s),
               voco_store_count(s) == 1 ? "" : "s", (unsigned)voco_store_hash(s));
    voco_store_close(s);
    return err;
}

static enum voco_err
verify_checkpoint(const char *path)
{
    const enum voco_err err = voco_checkpoint_verify(path);

    if (err)
        printf("%s\n", voco_fail_text());
    else
        printf("%s: checkpoint, whole\n", path);
    return err;
}

/* Checksums where the format has them (.pt); else one check is possible: the tensors fill
 * the file. */
static enum voco_err
verify_weights(const char *path)
{
    struct voco_tensorfile f;
    enum voco_err err = voco_tensorfile_open(&f, path);

    if (err == VOCO_OK)
        err = voco_tensorfile_verify(&f);
    if (err)
        printf("%s\n", voco_fail_text());
    else
        printf("%s: weights, %s\n", path, strcmp(f.format, "PyTorch") == 0 ? "whole"
               : "well-formed (the format has no checksums)");
    voco_tensorfile_close(&f);
    return err;
}

static int
is_checkpoint_name(const struct dirent *e)
{
    static const char begin[] = "ckpt-";
    const char *digits = e->d_name + sizeof begin - 1;

    return strncmp(e->d_name, begin, sizeof begin - 1) == 0 && *digits
        && digits[strspn(digits, "0123456789")] == '\0';
}

/* All checkpoints of a run, and its final weights. */
static enum voco_err
verify_run(const char *path)
{
    char *weights = voco_format("%s/model.safetensors", path);
    struct dirent **name;
    enum voco_err first = VOCO_OK;
    const int n = scandir(path, &name, is_checkpoint_name, alphasort);

    if (n < 0)
        first = voco_fail_errno(VOCO_EIO, "%s: cannot list", path);
    for (int i = 0; i < n; i++) {
        char *checkpoint = voco_format("%s/%s", path, name[i]->d_name);
        const enum voco_err err = verify_checkpoint(checkpoint);

        first = first ? first : err;
        free(checkpoint);
        free(name[i]);
    }
    if (n >= 0)
        free(name);
    if (voco_file_exists(weights)) {
        const enum voco_err err = verify_weights(weights);

        first = first ? first : err;
    } else if (n == 0) {
        printf("%s: run without checkpoints\n", path);
    }
    free(weights);
    return first;
}

static enum voco_err
verify_path(const char *path)
{
    if (!voco_is_folder(path)) {
        if (voco_file_exists(path))
            return verify_weights(path);
        return voco_fail(VOCO_EUSAGE, "%s: no such file or folder", path);
    }
    if (voco_store_is(path))
        return verify_store(path);
    if (voco_folder_has(path, "SUMS"))
        return verify_checkpoint(path);
    if (voco_folder_has(path, "config.json"))
        return verify_run(path);
    return voco_fail(VOCO_EUSAGE, "%s: neither a store (manifest.jsonl), a checkpoint "
                     "(SUMS) nor a run (config.json)", path);
}

/* Everything is looked at; the result is the first failure's. */
static enum voco_err
run(int argc, char **argv)
{
    enum voco_err first = VOCO_OK;
    char *why = NULL;

    for (int i = 0; i < argc; i++) {
        const enum voco_err err = verify_path(argv[i]);

        if (err && !first) {
            first = err;
            why = voco_format("%s", voco_fail_text());
        } else if (err) {
            voco_warn("%s", voco_fail_text());
        }
    }
    if (first)
        voco_fail(first, "%s", why);
    free(why);
    return first;
}

const struct voco_verb voco_cmd_verify = {
    .name = "verify",
    .summary = "check stores, checkpoints and runs to the last byte",
    .args = "PATH...",
    .details = "A PATH is a store, a checkpoint, a run folder (all its checkpoints and "
               "its weights), or weights (.safetensors, .pt, .pth).  Every fault is a line on "
               "the standard output.",
    .options = options,
    .min_args = 1,
    .max_args = -1,
    .run = run
};
