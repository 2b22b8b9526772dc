/* voco phantom: a folder of synthetic CT volumes to try everything with. */
#include "cmd/cmd.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/parallel.h"
#include "data/phantom/phantom.h"

static const char *folder, *label_folder, *cases;
static int64_t count = 1, seed = 1, threads = INT64_MIN, scanners;
static double lesions = 0.5;
static bool parts;
static double size[3] = { 192, 192, 112 }, spacing_mm[3] = { 2, 2, 3 };

static const struct voco_opt options[] = {
    { "output", 'o', VOCO_OPT_FOLDER, &folder, "FOLDER", "where the volumes go" },
    { "count", 'n', VOCO_OPT_INT, &count, "N", "volumes", 1, 100000 },
    { "labels", 0, VOCO_OPT_FOLDER, &label_folder, "FOLDER",
      "label maps with the same names, 1..11 by organ, 12 of a lesion" },
    { "parts", 0, VOCO_OPT_FLAG, &parts, NULL,
      "lobes and vertebrae have labels of their own, 13..36, instead of lungs and spine" },
    { "cases", 0, VOCO_OPT_FILE, &cases, "FILE.csv",
      "give each patient an age and perhaps a lesion, and write what is true of each volume" },
    { "lesions", 0, VOCO_OPT_REAL, &lesions, "SHARE",
      "with --cases: patients with a lesion", 0, 1 },
    { "scanners", 0, VOCO_OPT_INT, &scanners, "N",
      "with --cases: scanners with other kernels, noise and scales; 0: one", 0, 1000 },
    { "seed", 0, VOCO_OPT_INT, &seed, "N", "other seed, other patients", 0, 1e18 },
    { "size", 0, VOCO_OPT_REAL3, size, "X,Y,Z", "voxels", 16, 1024 },
    { "spacing", 0, VOCO_OPT_REAL3, spacing_mm, "MM", "voxel size, one number or three",
      0.25, 20 },
    { "threads", 0, VOCO_OPT_INT, &threads, "N", "volumes at once (default: the cores)",
      1, 1024 },
    { NULL }
};

struct job {
    struct voco_phantom_options o;
    struct voco_phantom_case *cases;    /* [count]; NULL: not wanted */
    struct voco_progress progress;
    pthread_mutex_t lock;
    int64_t done;
};

static enum voco_err
write_volume(const char *where, int64_t i, const struct voco_volume *v)
{
    char *path = voco_format("%s/phantom-%05" PRId64 ".nii.gz", where, i);
    enum voco_err err = voco_volume_write(path, v);

    free(path);
    return err;
}

static enum voco_err
make_one(int64_t i, void *user)
{
    struct job *job = user;
    struct voco_phantom_options o = job->o;
    struct voco_volume image, labels = { .voxel = NULL };
    enum voco_err err;

    o.index = (uint32_t)i;
    err = voco_phantom_make(&o, &image, label_folder ? &labels : NULL,
                            job->cases ? &job->cases[i] : NULL);
    if (!err && label_folder)
        err = write_volume(label_folder, i, &labels);
    if (!err)
        err = write_volume(folder, i, &image);
    voco_volume_free(&image);
    voco_volume_free(&labels);
    if (!err) {
        pthread_mutex_lock(&job->lock);
        voco_progress_show(&job->progress, ++job->done, "volumes");
        pthread_mutex_unlock(&job->lock);
    }
    return err;
}

static const char *
side_of(enum voco_phantom_label organ)
{
    return organ == VOCO_PHANTOM_LUNG_RIGHT || organ == VOCO_PHANTOM_KIDNEY_RIGHT ? "right"
           : organ == VOCO_PHANTOM_LUNG_LEFT || organ == VOCO_PHANTOM_KIDNEY_LEFT ? "left"
                                                                                  : "";
}

static enum voco_err
write_cases(const struct voco_phantom_case *c)
{
    char *text;
    size_t n;
    FILE *out = open_memstream(&text, &n);
    enum voco_err err;

    VOCO_NEED(out);
    fprintf(out, "id,age,scanner,region,level,lesion,lesion_organ,lesion_side,lesion_ml\n");
    for (int64_t i = 0; i < count; i++)
        fprintf(out, "phantom-%05" PRId64 ",%.1f,%d,%s,%.2f,%d,%s,%s,%.2f\n", i, c[i].age,
                c[i].scanner, c[i].region, c[i].level, c[i].lesion_ml > 0,
                c[i].lesion_ml > 0 ? voco_phantom_label_name[c[i].lesion_organ] : "",
                side_of(c[i].lesion_organ), c[i].lesion_ml);
    VOCO_NEED(fclose(out) == 0);
    err = voco_file_write_text(cases, text);
    free(text);
    return err;
}

static enum voco_err
run(int argc, char **argv)
{
    struct job job = { .o = { .seed = (uint64_t)seed, .parts = parts, .patients = cases,
                              .lesions = lesions, .scanners = cases ? (int)scanners : 0 } };
    enum voco_err err;

    (void)argc;
    (void)argv;
    if (!folder)
        return voco_fail(VOCO_EUSAGE, "-o FOLDER is missing: where the volumes go");
    for (int i = 0; i < 3; i++) {
        job.o.dim[i] = (int64_t)size[i];
        job.o.spacing_mm[i] = spacing_mm[i];
        if ((double)job.o.dim[i] != size[i])
            return voco_fail(VOCO_EUSAGE, "--size: %g is not a whole number", size[i]);
    }
    if (!cases && scanners)
        return voco_fail(VOCO_EUSAGE, "--scanners: give --cases FILE.csv, which tells the "
                         "scanner of each volume");
    if (parts && !label_folder)
        return voco_fail(VOCO_EUSAGE, "--parts: give --labels FOLDER, where the label maps "
                         "go");
    job.cases = cases ? calloc((size_t)count, sizeof *job.cases) : NULL;
    VOCO_NEED(!cases || job.cases);
    err = voco_folder_make(folder);
    if (!err && label_folder)
        err = voco_folder_make(label_folder);
    if (err) {
        free(job.cases);
        return err;
    }
    pthread_mutex_init(&job.lock, NULL);
    voco_progress_start(&job.progress, "phantom", 0, count);
    err = voco_parallel_for(threads > 0 ? (int)threads : voco_default_threads(), count,
                            make_one, &job);
    voco_progress_end(&job.progress, "volume%s", voco_plural(count));
    pthread_mutex_destroy(&job.lock);
    if (!err && cases)
        err = write_cases(job.cases);
    free(job.cases);
    if (!err)
        printf("%s: %" PRId64 " phantom%s of %" PRId64 "x%" PRId64 "x%" PRId64 " voxels\n"
               "next: voco convert --preset abdomen -o STORE%s%s %s\n", folder, count,
               voco_plural(count),
               job.o.dim[0], job.o.dim[1], job.o.dim[2],
               !label_folder ? ""
               : parts ? " --labels 0-36 --label-folder "
               : cases ? " --labels 0-12 --label-folder " : " --labels 0-11 --label-folder ",
               label_folder ? label_folder : "", folder);
    return err;
}

const struct voco_verb voco_cmd_phantom = {
    .name = "phantom",
    .summary = "make torso-like CT volumes for experiments",
    .args = "",
    .details =
        "The volumes are phantom-00000.nii.gz and so on, in HU, with the axes that CT\n"
        "scanners use.  The same seed and number give the same volume everywhere.",
    .options = options,
    .run = run
};
