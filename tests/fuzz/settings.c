/* The readers of JSON: settings of runs, transforms, plans, tables; and of metrics. */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "data/transform/transform.h"
#include "data/transform/unmap.h"
#include "dev/cpu/tuning.h"
#include "model/nnunet.h"
#include "model/provenance.h"
#include "objective/voco/voco.h"
#include "report/metrics.h"
#include "report/plot.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/targets.h"
#include "train/best.h"
#include "train/checkpoint.h"
#include "train/runconfig.h"
#include "train/schedule.h"
#include "train/settings.h"

/* ---- transforms and the way back ---- */

static void
undo(const struct voco_unmap *m)
{
    enum { MOST = 1 << 14 };
    const double from = (double)m->dim[0] * (double)m->dim[1] * (double)m->dim[2];
    const double to = (double)m->source_dim[0] * (double)m->source_dim[1]
        * (double)m->source_dim[2];
    uint8_t *label, *label_out;
    float *x, *x_out;

    if (from > MOST || to > MOST)
        return;
    label = calloc((size_t)from, 1);
    label_out = malloc((size_t)to);
    x = calloc((size_t)from, sizeof *x);
    x_out = malloc((size_t)to * sizeof *x_out);
    if (!label || !label_out || !x || !x_out)
        abort();
    voco_unmap_labels(m, label, label_out);
    voco_unmap_linear(m, x, 0, x_out);
    fuzz_touch(label_out, (size_t)to);
    fuzz_touch(x_out, (size_t)to * sizeof *x_out);
    free(label);
    free(label_out);
    free(x);
    free(x_out);
}

int
fuzz_transform(const uint8_t *bytes, size_t n)
{
    char *text = fuzz_text(bytes, n), what[256];
    struct voco_transform t, default_t = { .orient = true };
    struct voco_unmap m;

    if (voco_transform_parse(text, &t) == VOCO_OK)
        free(voco_transform_options(&t));
    if (voco_transform_of_report(text, &t) == VOCO_OK)
        voco_transform_same(text, &t, what, sizeof what);
    voco_transform_same(text, &default_t, what, sizeof what);
    if (voco_unmap_parse(text, &m) == VOCO_OK)
        undo(&m);
    free(text);
    return 0;
}

/* ---- what files of weights say besides ---- */

/* Values of the metadata, each ended by a byte 1, in a safetensors file without tensors. */
int
fuzz_metadata(const uint8_t *bytes, size_t n)
{
    static const char *const key[] = {
        "voco.roi", "voco.transform", "voco.preset", "voco.classes", "voco.orientation",
        "voco.provenance"
    };
    enum { KEYS = sizeof key / sizeof *key };
    json_t *meta = json_object();
    struct voco_provenance p = { .root = json_object() };
    struct voco_seginfo info;
    uint8_t length[8] = { 0 };
    char *text, orientation[8];
    const char *path;

    for (int i = 0; i < KEYS && n > 0; i++) {
        const uint8_t *end = memchr(bytes, 1, n);
        const size_t part = end ? (size_t)(end - bytes) : n;

        json_object_set_new(meta, key[i], json_stringn((const char *)bytes, part));
        bytes += part + (end != NULL);
        n -= part + (end != NULL);
    }
    meta = json_pack("{s:o}", "__metadata__", meta);
    text = json_dumps(meta, JSON_COMPACT);
    json_decref(meta);
    if (!text)
        abort();
    for (int i = 0; i < 8; i++)
        length[i] = (uint8_t)((uint64_t)strlen(text) >> 8 * i);
    path = fuzz_file2("weights.safetensors", length, sizeof length, text, strlen(text));
    free(text);
    if (voco_seginfo_read(path, &info) == VOCO_OK)
        fuzz_touch(&info.n_classes, sizeof info.n_classes);
    voco_seginfo_free(&info);
    voco_orientation_of(path, orientation);
    voco_provenance_parent(&p, path);
    voco_provenance_free(&p);
    return 0;
}

/* Plans as a file of their own, and as a checkpoint of nnU-Net has them. */
int
fuzz_plans(const uint8_t *bytes, size_t n)
{
    char *text = fuzz_text(bytes, n);
    struct voco_tensorfile f = { .beside = text };
    const struct voco_nnunet_source own = { .plans = fuzz_file("plans.json", bytes, n) };
    const struct voco_nnunet_source none = { .configuration = NULL };
    struct voco_seginfo info;
    bool found;
    int axes;

    for (int i = 0; i < 2; i++) {
        if (voco_nnunet_read(&f, "weights.pth", i ? &own : &none, &found, &info, &axes)
            == VOCO_OK)
            fuzz_touch(&info.roi, sizeof info.roi);
        voco_seginfo_free(&info);
    }
    voco_nnunet_axes(&f, &axes);
    free(text);
    return 0;
}

/* ---- runs ---- */

int
fuzz_run(const uint8_t *bytes, size_t n)
{
    static const struct voco_score_name dice = { .name = "dice" };
    static const struct voco_pretrain_config config = VOCO_PRETRAIN_DEFAULTS;
    static char *folder, *now;
    struct voco_state state;

    if (!now) {
        json_t *record = voco_settings_record(voco_pretrain_options, &config);

        now = json_dumps(record, 0);
        json_decref(record);
        folder = voco_format("%s/run", fuzz_folder());
    }
    fuzz_file("run/state.json", bytes, n);
    fuzz_file("run/config.json", bytes, n);
    fuzz_file("run/best.json", bytes, n);
    if (voco_checkpoint_state(folder, &state) == VOCO_OK) {
        voco_settings_compare(&voco_objective_voco, folder, state.options, now);
        free((char *)(uintptr_t)state.options);
    }
    voco_runconfig_integer(folder, "group");
    voco_runconfig_is(folder, "precision", "f32");
    voco_best_read(&dice, folder, 1000);
    return 0;
}

/* SUMS, whose own line is added, of a checkpoint of three short files. */
int
fuzz_sums(const uint8_t *bytes, size_t n)
{
    static char *folder;
    char line[32];

    if (!folder) {
        fuzz_file("ckpt/model.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
        fuzz_file("ckpt/optimizer.safetensors", "\2\0\0\0\0\0\0\0{}", 10);
        fuzz_file("ckpt/state.json", "{}", 2);
        folder = voco_format("%s/ckpt", fuzz_folder());
    }
    snprintf(line, sizeof line, "%08" PRIx32 " 0 SUMS\n", voco_crc32c(0, bytes, n));
    fuzz_file2("ckpt/SUMS", bytes, n, line, strlen(line));
    voco_checkpoint_verify(folder);
    return 0;
}

int
fuzz_tune(const uint8_t *bytes, size_t n)
{
    static const struct voco_tuning_key key = {
        .cpu = "cpu", .isa = "avx2", .voco = "1", .onednn = "2", .blas = "3", .threads = 2
    };
    struct voco_choices choices;

    if (voco_tuning_read(fuzz_file("tune.json", bytes, n), &key, &choices) == VOCO_OK)
        voco_choices_free(&choices);
    return 0;
}

/* ---- metrics and their picture ---- */

/* Read; and opened to go on from a step, which rewrites the file. */
int
fuzz_metrics(const uint8_t *bytes, size_t n)
{
    static char *again;
    struct voco_history h;
    struct voco_metrics *m;
    FILE *out;

    if (voco_history_read(fuzz_file("metrics.jsonl", bytes, n), &h) == VOCO_OK) {
        for (int i = 0; i < h.n_series; i++)
            fuzz_touch(h.value[i], (size_t)h.n * sizeof *h.value[i]);
        voco_history_series(&h, "loss");
        voco_history_free(&h);
    }
    if (!again)
        again = voco_format("%s/again.jsonl", fuzz_folder());
    out = fopen(again, "wb");
    if (!out || fwrite(bytes, 1, n, out) != n || fclose(out) != 0)
        abort();
    if (voco_metrics_open(again, 3, &m) == VOCO_OK)
        voco_metrics_close(m);
    return 0;
}

/* A chart of up to 64 points: a byte of options, then steps of four bytes and values of
 * eight. */
int
fuzz_plot(const uint8_t *bytes, size_t n)
{
    enum { POINTS = 64, ROW = 12 };
    struct voco_chart chart = voco_chart_new("chart");
    struct voco_canvas canvas;
    int64_t step[POINTS], count = 0;
    double value[POINTS];

    if (n < 1)
        return 0;
    for (size_t at = 1; at + ROW <= n && count < POINTS; at += ROW, count++) {
        uint32_t ahead;

        memcpy(&ahead, bytes + at, 4);
        memcpy(&value[count], bytes + at + 4, 8);
        step[count] = (count ? step[count - 1] : -1) + 1
            + (bytes[0] & 1 ? (int64_t)ahead << 16 : ahead & 0xff);
    }
    chart.log_y = bytes[0] & 2;
    chart.smooth = bytes[0] & 4;
    chart.low = bytes[0] & 8 ? 0 : 1;
    chart.high = bytes[0] & 8 ? 1 : 0;
    chart.guide = bytes[0] & 16 && count ? value[0] : NAN;
    chart.guide_name = "guide";
    chart.x_label = "step";
    chart.series[0] = (struct voco_series){ "series", step, value, count, 0xff };
    chart.n_series = 1;
    if (voco_canvas_init(&canvas, 160, 100, 0xffffff) != VOCO_OK)
        abort();
    voco_chart_draw(&canvas, 0, 0, 160, 100, &chart);
    voco_canvas_free(&canvas);
    return 0;
}
