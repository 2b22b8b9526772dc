/* DICOM folders, through dcm2niix run as a program (no shell): its exit code and what it
 * wrote decide. */
#define _GNU_SOURCE                 /* strcasestr */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/open.h"
#include "data/volume/kind.h"
#include "data/volume/source.h"
#include "data/volume/volume.h"

extern char **environ;

enum { FILES_MAX = 256 };

/* The .nii files that one run wrote, without the ending. */
struct outputs {
    char *stem[FILES_MAX];
    int n;
};

bool
voco_is_dicom_folder(const char *path)
{
    DIR *folder = voco_open_folder(path);
    struct dirent *e;
    bool found = false;

    if (folder == NULL)
        return false;
    while (!found && (e = readdir(folder)) != NULL) {
        if (e->d_name[0] == '.' || voco_volume_ending(e->d_name) > 0)
            continue;
        char *file = voco_format("%s/%s", path, e->d_name);
        found = !voco_is_folder(file) && voco_kind_sniff(file) == VOCO_KIND_DICOM;
        free(file);
    }
    closedir(folder);
    return found;
}

/* Run dcm2niix on input, output into folder, everything it says into log. */
static enum voco_err
run(const char *input, const char *folder, const char *log, int *ret_status)
{
    const char *const args[] = {
        "dcm2niix", "-g", "i",      /* ignore the user's saved defaults */
        "-b", "y", "-z", "n", "-d", "0", "-f", "series%s", "-o", folder, input, NULL
    };
    posix_spawn_file_actions_t actions;
    pid_t child;
    int failed;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return voco_fail(VOCO_EMEMORY, "no memory to run dcm2niix");
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, log, O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    failed = posix_spawnp(&child, args[0], &actions, NULL, (char *const *)args, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed == ENOENT)
        return voco_fail(VOCO_EFORMAT, "%s: DICOM needs the program dcm2niix, which is"
                         " not installed (Debian: apt install dcm2niix)", input);
    if (failed != 0) {
        errno = failed;
        return voco_fail_errno(VOCO_EIO, "dcm2niix cannot be run");
    }
    while (waitpid(child, ret_status, 0) < 0)
        if (errno != EINTR)
            return voco_fail_errno(VOCO_EIO, "dcm2niix: waitpid");
    return VOCO_OK;
}

/* Lines that every run of dcm2niix prints. */
static bool
is_banner(const char *line)
{
    static const char *const SAID[] = {
        "Chris Rorden's dcm2niiX", "Defaults ignored", "Found ", "Conversion required"
    };

    for (size_t i = 0; i < sizeof SAID / sizeof *SAID; i++)
        if (strncmp(line, SAID[i], strlen(SAID[i])) == 0)
            return true;
    return false;
}

/* The last line of an error, else of a warning, else the last one that is news. Free the
 * result. */
static char *
reason_in(const char *log)
{
    static const char *const WORD[] = {"error", "warning", ""};
    char *text = NULL, *best[3] = {NULL};
    size_t n;

    if (voco_file_read(log, 1 << 20, &text, &n) != VOCO_OK)
        return voco_format("it said nothing");
    for (char *line = strtok(text, "\r\n"); line != NULL; line = strtok(NULL, "\r\n"))
        for (int i = 0; i < 3; i++)
            if (!is_banner(line) && strcasestr(line, WORD[i]) != NULL)
                best[i] = line;
    char *const reason = best[0] != NULL ? best[0] : best[1] != NULL ? best[1] : best[2];
    char *const copy = voco_format("%.300s", reason != NULL ? reason : "it said nothing");
    free(text);
    return copy;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
list_outputs(const char *folder, struct outputs *o)
{
    DIR *dir = voco_open_folder(folder);
    struct dirent *e;

    while (dir != NULL && o->n < FILES_MAX && (e = readdir(dir)) != NULL) {
        const size_t n = strlen(e->d_name);

        if (n > 4 && strcmp(e->d_name + n - 4, ".nii") == 0)
            o->stem[o->n++] = voco_format("%.*s", (int)(n - 4), e->d_name);
    }
    if (dir != NULL)
        closedir(dir);
    qsort(o->stem, (size_t)o->n, sizeof *o->stem, by_name);
}

/* For unequal slice distances and tilted gantries dcm2niix writes the series as it is
 * and a corrected one, X_Eq_1 or X_Tilt_1: the corrected one is the volume. */
static void
prefer_corrected(struct outputs *o)
{
    int kept = 0;

    for (int i = 0; i < o->n; i++) {
        const size_t n = strlen(o->stem[i]);
        bool corrected = false;

        for (int j = 0; j < o->n; j++)
            if (o->stem[j] != NULL && strncmp(o->stem[j], o->stem[i], n) == 0 &&
                (strncmp(o->stem[j] + n, "_Eq", 3) == 0 ||
                 strncmp(o->stem[j] + n, "_Tilt", 5) == 0))
                corrected = true;
        if (corrected) {
            free(o->stem[i]);
            o->stem[i] = NULL;
        }
    }
    for (int i = 0; i < o->n; i++)
        if (o->stem[i] != NULL)
            o->stem[kept++] = o->stem[i];
    o->n = kept;
}

/* The length of the part of an output's name before _Eq or _Tilt, or of all of it. */
static int
series_part(const char *stem)
{
    const char *eq = strstr(stem, "_Eq"), *tilt = strstr(stem, "_Tilt");
    const char *end = eq != NULL && (tilt == NULL || eq < tilt) ? eq : tilt;

    return end != NULL ? (int)(end - stem) : (int)strlen(stem);
}

/* What the JSON file of an output says; NULL (with a sentence) when it is not there or no
 * JSON.  A corrected volume has that of the series.  Release it with json_decref. */
static json_t *
description(const char *folder, const char *stem)
{
    const int n = series_part(stem);
    char *path = voco_format("%s/%.*s.json", folder, n, stem);
    json_t *json;

    if (voco_json_read(path, VOCO_JSON_BYTES, 0, &json) != VOCO_OK)
        voco_fail_in(VOCO_EFORMAT, "dcm2niix wrote no usable description");
    free(path);
    return json;
}

static char *
describe_series(const char *folder, const char *stem)
{
    json_t *json = description(folder, stem);
    const char *what = json_string_value(json_object_get(json, "SeriesDescription"));
    const char *modality = json_string_value(json_object_get(json, "Modality"));
    char *path = voco_format("%s/%s.nii", folder, stem), *text;
    struct voco_volume_header h = {.dim = {0}};

    if (voco_volume_describe(path, &h) == VOCO_OK)
        text = voco_format("%s \"%s\" %s %dx%dx%d", stem, what != NULL ? what : "",
                           modality != NULL ? modality : "?", (int)h.dim[0],
                           (int)h.dim[1], (int)h.dim[2]);
    else
        text = voco_format("%s \"%s\"", stem, what != NULL ? what : "");
    free(path);
    json_decref(json);
    return text;
}

static enum voco_err
several(const char *input, const char *folder, const struct outputs *o)
{
    char *list = voco_format("%s", "");

    for (int i = 0; i < o->n && i < 8; i++) {
        char *one = describe_series(folder, o->stem[i]);
        char *longer = voco_format("%s%s%s", list, i > 0 ? "; " : "", one);

        free(one);
        free(list);
        list = longer;
    }
    voco_fail(VOCO_EFORMAT, "%s: %d series in one folder, expected one; put the wanted"
              " one in a folder of its own: %s%s", input, o->n, list,
              o->n > 8 ? "; ..." : "");
    free(list);
    return VOCO_EFORMAT;
}

static enum voco_err
fail_without_volume(const char *input, const char *log)
{
    char *reason = reason_in(log);

    voco_fail(VOCO_EFORMAT, "%s: dcm2niix found no volume: %s", input, reason);
    free(reason);
    return VOCO_EFORMAT;
}

static enum voco_err
judge(const char *input, const char *folder, const char *log, int status, char **ret_file)
{
    struct outputs o = {.n = 0};
    enum voco_err err = VOCO_OK;

    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        char *reason = reason_in(log);

        if (WIFEXITED(status))
            voco_fail(VOCO_EFORMAT, "%s: dcm2niix gave up with code %d: %s", input,
                      WEXITSTATUS(status), reason);
        else
            voco_fail(VOCO_EFORMAT, "%s: dcm2niix was killed by signal %d", input,
                      WTERMSIG(status));
        free(reason);
        return VOCO_EFORMAT;
    }
    list_outputs(folder, &o);
    prefer_corrected(&o);
    if (o.n == 0)
        err = fail_without_volume(input, log);
    else if (o.n > 1)
        err = several(input, folder, &o);
    if (err == VOCO_OK) {
        json_t *json = description(folder, o.stem[0]);

        if (json == NULL)
            err = voco_fail_in(VOCO_EFORMAT, "%s", input);
        else
            *ret_file = voco_format("%s/%s.nii", folder, o.stem[0]);
        if (o.stem[0][series_part(o.stem[0])] != '\0')
            voco_note("%s: dcm2niix corrected unequal slice distances or a tilted gantry",
                      input);
        json_decref(json);
    }
    for (int i = 0; i < o.n; i++)
        free(o.stem[i]);
    return err;
}

enum voco_err
voco_dicom_convert(const char *path, char **ret_folder, char **ret_file)
{
    const char *tmp = getenv("TMPDIR");
    char *input = realpath(path, NULL);         /* begins with /, never with - */
    char *log;
    int status = 0;
    enum voco_err err;

    *ret_folder = *ret_file = NULL;
    if (input == NULL)
        return voco_fail_errno(VOCO_EIO, "%s", path);
    *ret_folder = voco_format("%s/voco-dicom-XXXXXX",
                              tmp != NULL && *tmp != '\0' ? tmp : "/tmp");
    if (mkdtemp(*ret_folder) == NULL) {
        err = voco_fail_errno(VOCO_EIO, "%s: no temporary folder", *ret_folder);
        free(*ret_folder);
        *ret_folder = NULL;
        free(input);
        return err;
    }
    log = voco_format("%s/log", *ret_folder);
    err = run(input, *ret_folder, log, &status);
    if (err == VOCO_OK)
        err = judge(path, *ret_folder, log, status, ret_file);
    free(log);
    free(input);
    return err;
}

enum voco_err
voco_dicom_files(const char *path, char ***ret, int *ret_n)
{
    DIR *folder = voco_open_folder(path);
    struct dirent *e;
    int room = 0;
    enum voco_err err = VOCO_OK;

    *ret = NULL;
    *ret_n = 0;
    if (folder == NULL)
        return voco_fail_errno(VOCO_EIO, "%s", path);
    while ((e = voco_folder_next(folder, path, &err)) != NULL) {
        char *file = voco_format("%s/%s", path, e->d_name);

        if (e->d_name[0] == '.' || voco_is_folder(file)) {
            free(file);
            continue;
        }
        if (*ret_n == room) {
            room = room > 0 ? 2 * room : 64;
            *ret = realloc(*ret, (size_t)room * sizeof **ret);
            VOCO_NEED(*ret != NULL);
        }
        (*ret)[(*ret_n)++] = file;
    }
    closedir(folder);
    if (*ret_n > 0)
        qsort(*ret, (size_t)*ret_n, sizeof **ret, by_name);
    return err;
}
