/* voco leak: scans that stores share with sets they must not share any with. */
#include "cmd/cmd.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/machine.h"
#include "leak/leak.h"
#include "leak/turn.h"

static struct {
    struct voco_opt_list against;
    const char *output;
    double threshold;
    int64_t pictures, threads;
} c = { .threshold = 0.88, .pictures = 40, .threads = INT64_MIN };

static const struct voco_opt options[] = {
    { "against", 0, VOCO_OPT_LIST, &c.against, "LIST",
      "the other set: a list or folder of volumes, or a store" },
    { "output", 'o', VOCO_OPT_FOLDER, &c.output, "FOLDER",
      "for leak.json, which voco pretrain --exclude reads, and report.html" },
    { "threshold", 0, VOCO_OPT_REAL, &c.threshold, "SCORE",
      "pairs with a lower score are not the same scan", 0, 1 },
    { "pictures", 0, VOCO_OPT_INT, &c.pictures, "N",
      "pairs that the report shows as slices side by side", 0, 1000 },
    { "threads", 0, VOCO_OPT_INT, &c.threads, "N", "(default: the cores)", 1, 1024 },
    { NULL }
};

static void
print_pairs(const struct voco_leak_page *page)
{
    char name[8];

    if (page->leaks->n)
        printf("score  shared  agree  axes    %-30s is in %s as\n", "of the other set",
               page->scans->n_inputs == 1 ? page->scans->input[0].path : "");
    for (int i = 0; i < page->leaks->n; i++) {
        const struct voco_leak *p = &page->leaks->pair[i];

        printf("%.3f %6.0f%%  %-5s  %s  %-30s %s\n", p->alignment.score,
               100 * p->alignment.shared, p->whole ? "whole" : "part",
               voco_turn_name(p->alignment.turn, name), page->against->scan[p->against].id,
               page->scans->scan[p->scan].id);
    }
}

static void
print_problems(const struct voco_scans *s)
{
    for (int i = 0; i < s->n; i++)
        if (s->scan[i].problem)
            printf("not compared: %s: %s\n", s->scan[i].id, s->scan[i].problem);
}

static enum voco_err
write_files(const struct voco_leak_page *page)
{
    enum voco_err err = voco_folder_make(c.output);
    char *json = voco_format("%s/leak.json", c.output);
    char *html = voco_format("%s/report.html", c.output);

    if (!err)
        err = voco_leak_json(json, page);
    if (!err)
        err = voco_leak_html(html, page);
    if (!err)
        printf("%s and %s written\n", json, html);
    free(json);
    free(html);
    return err;
}

static enum voco_err
verdict(const struct voco_leak_page *page)
{
    const int problems = page->scans->n_problems + page->against->n_problems;
    const int n = page->leaks->n;

    if (problems == page->scans->n + page->against->n)
        return voco_fail(VOCO_EFORMAT, "none of the %d scans could be compared", problems);
    if (n && problems)
        return voco_fail(VOCO_EREJECTED, "%d pair%s of the same scan; %d scan%s could not be "
                         "compared", n, n == 1 ? "" : "s", problems,
                         problems == 1 ? "" : "s");
    if (n)
        return voco_fail(VOCO_EREJECTED, "%d pair%s of the same scan", n, n == 1 ? "" : "s");
    if (problems)
        return voco_fail(VOCO_EREJECTED, "%d scan%s could not be compared", problems,
                         problems == 1 ? "" : "s");
    return VOCO_OK;
}

static enum voco_err
run(int argc, char **argv)
{
    struct voco_scans scans = { .scan = NULL }, against = { .scan = NULL };
    struct voco_leaks leaks = { .pair = NULL };
    const struct voco_leak_page page = { &scans, &against, &leaks, c.threshold,
                                         (int)c.pictures };
    const int threads = c.threads > 0 ? (int)c.threads : voco_default_threads();
    enum voco_err err;

    if (!c.against.n)
        return voco_fail(VOCO_EUSAGE, "leak: --against LIST is missing: the set that nothing "
                         "of %s may be in", argv[0]);
    err = voco_scans_read((const char *const *)argv, argc, false, threads, &scans);
    if (!err)
        err = voco_scans_read(c.against.item, c.against.n, true, threads, &against);
    if (!err)
        err = voco_leaks_find(&scans, &against, c.threshold, threads, &leaks);
    if (!err) {
        print_pairs(&page);
        print_problems(&scans);
        print_problems(&against);
        if (leaks.n == 0)
            printf("no scan of one set is in the other: %d x %d compared\n",
                   scans.n - scans.n_problems, against.n - against.n_problems);
    }
    if (!err && c.output)
        err = write_files(&page);
    if (!err)
        err = verdict(&page);
    voco_leaks_free(&leaks);
    voco_scans_free(&against);
    voco_scans_free(&scans);
    return err;
}

const struct voco_verb voco_cmd_leak = {
    .name = "leak",
    .summary = "find scans that a store shares with a test set, also changed copies",
    .args = "STORE... --against LIST",
    .details =
        "STORE is a store or, as LIST, a volume, or a folder or list of volumes.  Copies are\n"
        "found by their voxels, not by their names: resampled, cropped, windowed, turned,\n"
        "noisy or in another format.  Exit status 3 when there are some.",
    .options = options,
    .min_args = 1, .max_args = -1,
    .run = run
};
