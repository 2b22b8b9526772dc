/* src/report: pictures, charts, metrics, event files, signals. */
#define _GNU_SOURCE
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "report/canvas.h"
#include "report/metrics.h"
#include "objective/voco/mosaic.h"
#include "report/plot.h"
#include "report/png.h"
#include "objective/embed/collapse.h"
#include "objective/voco/signals.h"
#include "report/tensorboard.h"
#include "tests/test.h"

static char *folder;

static void
make_folder(void)
{
    const char *tmp = getenv("TMPDIR");

    folder = voco_format("%s/voco-report-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void
remove_folder(void)
{
    ck_assert_int_eq(voco_folder_remove(folder), VOCO_OK);
    free(folder);
}

/* folder/name in a buffer that the next call but three overwrites. */
static const char *
in_folder(const char *name)
{
    static char path[4][512];
    static int i;

    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", folder, name);
    return path[i];
}

static void
write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static char *
read_text(const char *path)
{
    char *text;
    size_t n;

    ck_assert_msg(!voco_file_read(path, 1 << 24, &text, &n), "%s", voco_fail_text());
    return text;
}

/* ---- pictures ---- */

START_TEST(png_reads_back_as_it_was_written)
{
    uint8_t pixels[5 * 7 * 3];
    struct voco_picture p = { pixels, 7, 5, 3 }, q;

    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    for (p.channels = 1; p.channels <= 3; p.channels += 2) {
        ck_assert_int_eq(voco_png_write(in_folder("a.png"), &p), VOCO_OK);
        ck_assert_int_eq(voco_png_read(in_folder("a.png"), &q), VOCO_OK);
        ck_assert_int_eq(q.width, 7);
        ck_assert_int_eq(q.height, 5);
        ck_assert_int_eq(q.channels, p.channels);
        ck_assert_mem_eq(q.pixels, pixels, 7 * 5 * (size_t)p.channels);
        free(q.pixels);
    }
}
END_TEST

START_TEST(broken_png_is_an_error)
{
    struct voco_picture q;
    uint8_t pixels[64 * 64];
    char *bytes;
    size_t n;

    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * i * 31 >> 3);
    ck_assert_int_eq(voco_png_write(in_folder("a.png"),
                                    &(struct voco_picture){ pixels, 64, 64, 1 }), VOCO_OK);
    ck_assert_int_eq(voco_file_read(in_folder("a.png"), 1 << 20, &bytes, &n), VOCO_OK);
    for (size_t keep = 0; keep < n - 12; keep += 97) {      /* IEND is 12 bytes */
        FILE *f = fopen(in_folder("cut.png"), "wb");

        ck_assert_uint_eq(fwrite(bytes, 1, keep, f), keep);
        fclose(f);
        ck_assert_int_eq(voco_png_read(in_folder("cut.png"), &q), VOCO_EFORMAT);
    }
    free(bytes);
    ck_assert_int_eq(voco_png_read(in_folder("none.png"), &q), VOCO_EFORMAT);
    ck_assert_int_eq(voco_png_write(in_folder("no/such/a.png"),
                                    &(struct voco_picture){ pixels, 64, 64, 1 }), VOCO_EIO);
}
END_TEST

static int
ink(const struct voco_canvas *c)
{
    int dark = 0;

    for (int i = 0; i < c->width * c->height * 3; i += 3)
        dark += c->rgb[i] < 128;
    return dark;
}

START_TEST(everything_outside_the_canvas_is_clipped)
{
    const struct voco_text_style style = { 20, 0, VOCO_MIDDLE, true, true };
    const double wild[][2] = { { -1e6, -1e6 }, { 1e6, 1e6 }, { NAN, 0 }, { 5, INFINITY } };
    const float pixel = 1;
    struct voco_canvas c;

    ck_assert_int_eq(voco_canvas_init(&c, 40, 30, 0xFFFFFF), VOCO_OK);
    voco_canvas_fill(&c, -10, -10, 5, 5, 0, 1);
    voco_canvas_fill(&c, 38.5, 28.5, 1e5, 1e5, 0xFF0000, 1);
    voco_canvas_frame(&c, -5, -5, 100, 100, 3, 0);
    voco_canvas_text(&c, -3, 500, &style, "outside");
    voco_canvas_gray(&c, 39, -7, 20, 20, &(struct voco_gray){ &pixel, 1, 1, 1, 1 });
    ck_assert_int_eq(ink(&c), 0);
    voco_canvas_path(&c, wild, 4, 2, 0, 1);
    ck_assert_int_gt(ink(&c), 25);
    voco_canvas_free(&c);
}
END_TEST

START_TEST(every_character_can_be_drawn_and_only_blank_is_blank)
{
    const struct voco_text_style style = { 20, 0, VOCO_LEFT, false, false };

    for (int ch = 32; ch < 127; ch++) {
        const char text[2] = { (char)ch, 0 };
        struct voco_canvas c;

        ck_assert_int_eq(voco_canvas_init(&c, 30, 30, 0xFFFFFF), VOCO_OK);
        voco_canvas_text(&c, 8, 20, &style, text);
        ck_assert_msg((ink(&c) > 0) == (ch != ' '), "character %d", ch);
        ck_assert_double_le(voco_text_width(&style, text), 15);
        voco_canvas_free(&c);
    }
    ck_assert_double_eq(voco_text_width(&style, "\xC3\xA9"), voco_text_width(&style, "?"));
}
END_TEST

/* sRGB to CIELAB, white D65. */
static void
to_lab(uint32_t color, double lab[3])
{
    static const double xyz_of[3][3] = { { 0.4124564, 0.3575761, 0.1804375 },
                                         { 0.2126729, 0.7151522, 0.0721750 },
                                         { 0.0193339, 0.1191920, 0.9503041 } };
    static const double white[3] = { 0.95047, 1, 1.08883 };
    double f[3];

    for (int k = 0; k < 3; k++) {
        double sum = 0;

        for (int c = 0; c < 3; c++) {
            const double v = (color >> (16 - 8 * c) & 255) / 255.0;

            sum += xyz_of[k][c] * (v <= 0.04045 ? v / 12.92 : pow((v + 0.055) / 1.055, 2.4));
        }
        sum /= white[k];
        f[k] = sum > 0.008856 ? cbrt(sum) : 7.787 * sum + 16.0 / 116;
    }
    lab[0] = 116 * f[1] - 16;
    lab[1] = 500 * (f[0] - f[1]);
    lab[2] = 200 * (f[1] - f[2]);
}

/* Differences of about 2 can just be seen side by side; classes lie apart in a picture. */
START_TEST(colors_of_classes_can_be_told_apart)
{
    ck_assert_int_ge(VOCO_BRIGHT_COLORS, 20);
    for (int i = 0; i < VOCO_BRIGHT_COLORS; i++)
        for (int k = 0; k < i; k++) {
            double a[3], b[3];

            to_lab(voco_color_bright(i), a);
            to_lab(voco_color_bright(k), b);
            ck_assert_msg(hypot(hypot(a[0] - b[0], a[1] - b[1]), a[2] - b[2]) > 20,
                          "colours %d and %d", k, i);
        }
    ck_assert_uint_eq(voco_color_bright(0), voco_color_bright(VOCO_BRIGHT_COLORS));
}
END_TEST

START_TEST(gray_images_mirror_by_negative_strides)
{
    const float v[4] = { 0, 1, 0, 0 };      /* white is right above */
    struct voco_canvas c;

    ck_assert_int_eq(voco_canvas_init(&c, 8, 8, 0x808080), VOCO_OK);
    voco_canvas_gray(&c, 0, 0, 8, 8, &(struct voco_gray){ v, 2, 2, 2, 1 });
    ck_assert_uint_eq(c.rgb[7 * 3], 255);
    ck_assert_uint_eq(c.rgb[0], 0);
    voco_canvas_gray(&c, 0, 0, 8, 8, &(struct voco_gray){ v + 3, 2, 2, -2, -1 });
    ck_assert_uint_eq(c.rgb[7 * 3], 0);
    ck_assert_uint_eq(c.rgb[7 * 8 * 3], 255);
    voco_canvas_free(&c);
}
END_TEST

/* ---- charts ---- */

START_TEST(ticks_are_round_and_inside)
{
    double tick[16], step;
    int n = voco_ticks(-0.3, 0.7, 5, tick, &step);

    ck_assert_int_eq(n, 5);
    ck_assert_double_eq_tol(step, 0.2, 1e-12);
    ck_assert_double_eq_tol(tick[0], -0.2, 1e-12);
    ck_assert(tick[1] == 0);
    for (double range = 1e-9; range < 1e12; range *= 3.7) {
        n = voco_ticks(range, 3 * range, 6, tick, &step);
        ck_assert_int_ge(n, 3);
        ck_assert_int_le(n, 13);
        ck_assert_double_ge(tick[0], range * (1 - 1e-8));
        ck_assert_double_le(tick[n - 1], 3 * range * (1 + 1e-8));
    }
}
END_TEST

/* A run folder with these metrics: does it become a picture? */
static enum voco_err
plot_text(const char *text)
{
    struct voco_picture p;
    enum voco_err err;

    write_text(in_folder("metrics.jsonl"), text);
    err = voco_plot_run(folder);
    if (!err) {
        ck_assert_int_eq(voco_png_read(in_folder("loss.png"), &p), VOCO_OK);
        ck_assert_int_ge(p.width, 640);
        free(p.pixels);
        ck_assert_int_eq(voco_folder_remove(in_folder("loss.png")), VOCO_OK);
    }
    return err;
}

START_TEST(odd_runs_are_drawn_or_refused_with_a_sentence)
{
    ck_assert_int_eq(voco_plot_run(folder), VOCO_EFORMAT);
    ck_assert_ptr_nonnull(strstr(voco_fail_text(), "no metrics.jsonl"));
    ck_assert_int_eq(plot_text(""), VOCO_EFORMAT);
    ck_assert_int_eq(plot_text("hello\n{\n\n[1]\n{\"step\":\"x\"}\n"), VOCO_EFORMAT);
    ck_assert_int_eq(plot_text("{\"step\":0}\n"), VOCO_OK);
    ck_assert_int_eq(plot_text("{\"step\":3,\"loss\":5,\"lr\":0}\n"), VOCO_OK);
    ck_assert_int_eq(plot_text("{\"step\":3,\"loss\":null}\n"), VOCO_OK);
    ck_assert_int_eq(plot_text("{\"step\":0,\"loss\":-1e308}\n{\"step\":1,\"loss\":1e308}\n"),
                     VOCO_OK);
    ck_assert_int_eq(plot_text("{\"step\":0,\"loss\":1e300,\"grad_norm\":-1}\n"
                               "{\"step\":9000000000000,\"loss\":-1e300,\"grad_norm\":0}\n"
                               "{\"step\":5,\"seconds\":1e-300}\n{\"step\":5,\"lo"),
                     VOCO_OK);
    ck_assert_int_eq(plot_text("{\"step\":9223372036854775806,\"loss\":1e-320}\n"
                               "{\"step\":9223372036854775807,\"loss\":0,\"lr\":-1e-310}\n"),
                     VOCO_OK);
    ck_assert_int_eq(plot_text("{\"step\":1,\"loss\":2,\"lr\":1e-4}\n"
                               "{\"step\":2,\"loss\":2,\"lr\":1e-4}\n"), VOCO_OK);
}
END_TEST

START_TEST(long_runs_and_several_runs_are_drawn)
{
    const char *runs[17];
    struct voco_metrics *m;
    struct voco_metric row[] = { { "loss", 0 }, { "grad_norm", 0 } };

    ck_assert_int_eq(voco_metrics_open(in_folder("metrics.jsonl"), 0, &m), VOCO_OK);
    for (int step = 0; step < 6000; step++) {
        row[0].value = step % 500 == 7 ? (double)NAN : 9.0 / (1 + step);
        row[1].value = 1 + step % 3;
        ck_assert_int_eq(voco_metrics_write(m, step, row, 2, NULL), VOCO_OK);
    }
    ck_assert_int_eq(voco_metrics_close(m), VOCO_OK);
    ck_assert_int_eq(voco_plot_run(folder), VOCO_OK);
    for (int i = 0; i < 17; i++)
        runs[i] = folder;
    ck_assert_int_eq(voco_plot_runs(runs, 3, in_folder("three.png")), VOCO_OK);
    ck_assert_int_eq(voco_plot_runs(runs, 17, in_folder("many.png")), VOCO_EUSAGE);
}
END_TEST

/* The block's brightness is x: the picture must be bright on its left. */
START_TEST(mosaic_has_patients_right_on_the_left)
{
    enum { ROI = 4, N = ROI * ROI * ROI };
    static float crops[9 * N], img[2 * N];
    const int start[] = { 0, 0, 0, 6, 4, 0 };
    const struct voco_tiling grid = { .n = { 3, 3, 1 }, .edge = ROI };
    const float labels[18] = { [0] = 1, [9 + 4] = 0.5f, [9 + 7] = 0.5f };
    const float predicted[18] = { [0] = 1, [9] = NAN };
    struct voco_mosaic m[2] = {
        { "a", ROI, 2, false, grid, crops, img, start, labels, predicted },
        { "b", ROI, 0, true, grid, crops, img, start, labels, NULL },
    };
    struct voco_picture p;

    for (int k = 0; k < 9; k++)
        for (int i = 0; i < N; i++)
            crops[k * N + i] = (float)(k / 3 * ROI + i / (ROI * ROI)) / (3 * ROI - 1);
    ck_assert_msg(!voco_mosaic_write(in_folder("m.png"), "t", m, 2), "%s",
                  voco_fail_text());
    ck_assert_int_eq(voco_png_read(in_folder("m.png"), &p), VOCO_OK);
    const uint8_t *line = p.pixels + (size_t)(p.height * 3 / 4) * (size_t)p.width * 3;
    ck_assert_uint_gt(line[3 * 40], 240);           /* x = 11 */
    ck_assert_uint_lt(line[3 * 520], 15);           /* x = 0 */
    free(p.pixels);
}
END_TEST

/* ---- metrics ---- */

START_TEST(doubles_read_back_the_same)
{
    const struct voco_rng_key key = { 3, 0, 0, 0, VOCO_RNG_TEST };
    char buf[32];

    ck_assert_str_eq(voco_format_double(0.1, buf), "0.1");
    ck_assert_str_eq(voco_format_double(1e-4, buf), "0.0001");
    for (uint32_t i = 0; i < 10000; i++) {
        const double v = voco_rng_normal(&key, i) * pow(10, (int)(i % 600) - 300);
        const float f = (float)voco_rng_normal(&key, i);

        ck_assert(strtod(voco_format_double(v, buf), NULL) == v);
        ck_assert(strtof(voco_format_double(f, buf), NULL) == f);
    }
}
END_TEST

START_TEST(metrics_lines_say_what_is_not_finite)
{
    const struct voco_metric row[] = { { "loss", NAN }, { "lr", 1e-4 }, { "g", -INFINITY } };
    struct voco_metrics *m;
    struct voco_history h;

    ck_assert_int_eq(voco_metrics_open(in_folder("m.jsonl"), 0, &m), VOCO_OK);
    ck_assert_int_eq(voco_metrics_write(m, 0, row + 1, 1, NULL), VOCO_OK);
    ck_assert_int_eq(voco_metrics_write(m, 1, row, 3, "a \"b\"\n"), VOCO_OK);
    ck_assert_int_eq(voco_metrics_sync(m), VOCO_OK);
    ck_assert_int_eq(voco_metrics_close(m), VOCO_OK);

    char *text = read_text(in_folder("m.jsonl"));
    ck_assert_str_eq(text, "{\"step\":0,\"lr\":0.0001}\n"
                     "{\"step\":1,\"loss\":null,\"lr\":0.0001,\"g\":null,"
                     "\"nonfinite\":{\"loss\":\"nan\",\"g\":\"-inf\"},"
                     "\"note\":\"a \\\"b\\\"\\u000a\"}\n");
    free(text);
    ck_assert_int_eq(voco_history_read(in_folder("m.jsonl"), &h), VOCO_OK);
    ck_assert_int_eq(h.n, 2);
    ck_assert_int_eq(h.n_series, 3);
    ck_assert(isnan(voco_history_series(&h, "loss")[0]));
    ck_assert(isinf(voco_history_series(&h, "loss")[1]));
    ck_assert(voco_history_series(&h, "lr")[1] == 1e-4);
    ck_assert_ptr_null(voco_history_series(&h, "note"));
    voco_history_free(&h);
}
END_TEST

START_TEST(resuming_forgets_the_steps_that_will_be_repeated)
{
    static const char kept[] = "{\"step\":0,\"loss\":3}\n{\"step\":1,\"loss\":2}\n";
    struct voco_metrics *m;
    char *text;

    write_text(in_folder("m.jsonl"), "{\"step\":0,\"loss\":3}\n{\"step\":1,\"loss\":2}\n"
               "{\"step\":2,\"loss\":1}\nnonsense\n{\"step\":3,\"loss\":1}\n"
               "{\"step\":1,\"lo");
    ck_assert_int_eq(voco_metrics_open(in_folder("m.jsonl"), 2, &m), VOCO_OK);
    ck_assert_int_eq(voco_metrics_close(m), VOCO_OK);
    text = read_text(in_folder("m.jsonl"));
    ck_assert_str_eq(text, kept);
    free(text);

    /* Nothing to forget: the same file, and what is written comes behind it. */
    ck_assert_int_eq(voco_metrics_open(in_folder("m.jsonl"), 2, &m), VOCO_OK);
    ck_assert_int_eq(voco_metrics_write(m, 2, NULL, 0, NULL), VOCO_OK);
    ck_assert_int_eq(voco_metrics_close(m), VOCO_OK);
    text = read_text(in_folder("m.jsonl"));
    ck_assert_mem_eq(text, kept, sizeof kept - 1);
    ck_assert_str_eq(text + sizeof kept - 1, "{\"step\":2}\n");
    free(text);

    ck_assert_int_eq(voco_metrics_open(in_folder("m.jsonl"), 0, &m), VOCO_OK);
    ck_assert_int_eq(voco_metrics_close(m), VOCO_OK);
    text = read_text(in_folder("m.jsonl"));
    ck_assert_str_eq(text, "");
    free(text);
    ck_assert_int_eq(voco_metrics_open(in_folder("no/m.jsonl"), 0, &m), VOCO_EIO);
}
END_TEST

START_TEST(of_a_repeated_step_the_last_line_counts)
{
    struct voco_history h;

    write_text(in_folder("m.jsonl"), "{\"step\":4,\"b\":7}\n{\"step\":2,\"a\":1}\n"
               "{\"step\":3,\"a\":2}\n{\"step\":2,\"a\":5,\"c\":{\"a\":1},\"d\":\"e\"}\n"
               "{\"step\":2");
    ck_assert_int_eq(voco_history_read(in_folder("m.jsonl"), &h), VOCO_OK);
    ck_assert_int_eq(h.n, 3);
    ck_assert_int_eq(h.n_series, 2);
    ck_assert_int_eq(h.bad_lines, 1);
    ck_assert_int_eq(h.step[0], 2);
    ck_assert_int_eq(h.step[2], 4);
    ck_assert(voco_history_series(&h, "a")[0] == 5);
    ck_assert(isnan(voco_history_series(&h, "a")[2]));
    ck_assert(voco_history_series(&h, "b")[2] == 7);
    voco_history_free(&h);
}
END_TEST

/* ---- event files ---- */

static uint64_t
little_endian(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = n - 1; i >= 0; i--)
        v = v << 8 | p[i];
    return v;
}

static uint32_t
unmasked(uint32_t crc)
{
    crc -= 0xA282EAD8u;
    return crc << 15 | crc >> 17;
}

/* Payloads of the records of the only event file in the folder; returns their number. */
static int
read_records(char **ret_bytes, const uint8_t *payload[8], size_t size[8])
{
    DIR *dir = opendir(folder);
    char *name = NULL;
    struct dirent *entry;
    size_t n, at = 0;
    int records = 0;

    while ((entry = readdir(dir)))
        if (strncmp(entry->d_name, "events.out.tfevents.", 20) == 0) {
            ck_assert_ptr_null(name);
            name = voco_format("%s/%s", folder, entry->d_name);
        }
    closedir(dir);
    ck_assert_int_eq(voco_file_read(name, 1 << 20, ret_bytes, &n), VOCO_OK);
    free(name);
    for (; at < n; records++) {
        const uint8_t *p = (const uint8_t *)*ret_bytes + at;

        ck_assert_int_lt(records, 8);
        ck_assert_uint_ge(n - at, 16);
        size[records] = (size_t)little_endian(p, 8);
        ck_assert_uint_le(size[records], n - at - 16);
        payload[records] = p + 12;
        ck_assert_uint_eq(unmasked((uint32_t)little_endian(p + 8, 4)),
                          voco_crc32c(0, p, 8));
        ck_assert_uint_eq(unmasked((uint32_t)little_endian(p + 12 + size[records], 4)),
                          voco_crc32c(0, p + 12, size[records]));
        at += 16 + size[records];
    }
    return records;
}

START_TEST(event_records_are_framed_and_encoded_as_tensorboard_reads_them)
{
    /* Behind the 9 bytes of the wall time: step, then the one field. */
    static const uint8_t version[] = "\x10\x00\x1A\x0D" "brain.Event:2";
    static const uint8_t start[] = "\x10\xAC\x02\x3A\x02\x08\x01";
    static const uint8_t scalar[] = "\x10\xAC\x02\x2A\x0D\x0A\x0B\x0A\x04loss\x15"
                                    "\x00\x00\x20\x40";
    const struct { const uint8_t *bytes; size_t n; } want[] = {
        { version, sizeof version - 1 }, { start, sizeof start - 1 },
        { scalar, sizeof scalar - 1 },
    };
    uint8_t gray[4] = { 0, 1, 2, 3 };
    const uint8_t *payload[8];
    struct voco_events *e;
    size_t size[8];
    char *bytes;

    ck_assert_msg(!voco_events_open(folder, 300, &e), "%s", voco_fail_text());
    ck_assert_int_eq(voco_events_scalar(e, "loss", 300, 2.5), VOCO_OK);
    ck_assert_int_eq(voco_events_image(e, "mosaic", 300,
                                       &(struct voco_picture){ gray, 2, 2, 1 }), VOCO_OK);
    ck_assert_int_eq(voco_events_flush(e), VOCO_OK);
    ck_assert_int_eq(voco_events_close(e), VOCO_OK);
    ck_assert_int_eq(read_records(&bytes, payload, size), 4);
    for (int i = 0; i < 3; i++) {
        ck_assert_uint_eq(payload[i][0], 1 << 3 | 1);
        ck_assert_uint_eq(size[i], 9 + want[i].n);
        ck_assert_mem_eq(payload[i] + 9, want[i].bytes, want[i].n);
    }
    ck_assert_ptr_nonnull(memmem(payload[3], size[3], "\x89PNG\r\n", 6));
    free(bytes);
    ck_assert_int_eq(voco_events_open(in_folder("none"), 0, &e), VOCO_EIO);
}
END_TEST

/* ---- signals ---- */

START_TEST(collapse_signals_agree_with_a_singular_value_decomposition)
{
    /* numpy.linalg.svd in double precision on the same hash-filled matrices. */
    static const struct { int n, c; double lo, hi, cosine, rank; } row[] = {
        { 22, 33, -0.5, 1.0, 0.25018874401162344, 18.777988387886808 },
        { 44, 7, -1, 1, -0.000573815912844498, 6.818114394940186 },
        { 200, 288, -1, 1.5, 0.10911283515582271, 173.96531438163308 },
    };

    for (int i = 0; i < 3; i++) {
        const int64_t count = (int64_t)row[i].n * row[i].c;
        float *x = malloc((size_t)count * sizeof *x);
        struct voco_collapse got;

        voco_hash_uniform(7, "embeddings", count, row[i].lo, row[i].hi, x);
        ck_assert_int_eq(voco_collapse_signals(x, row[i].n, row[i].c, &got), VOCO_OK);
        ck_assert_double_eq_tol(got.cosine, row[i].cosine, 1e-12);
        /* n > c: the n - c zeros come out as roots of rounding, 1e-8 each. */
        ck_assert_double_eq_tol(got.effective_rank, row[i].rank,
                                row[i].n > row[i].c ? 1e-4 : 1e-10);
        free(x);
    }
}
END_TEST

START_TEST(collapse_signals_know_their_ends)
{
    const float same[] = { 1, 2, 2, 4, 4, 8 }, apart[] = { 0, 3, 0, -3, 0, 0, 0, 0, 3 };
    const float zero[6] = { 0 }, bad[] = { 1, NAN };
    struct voco_collapse s;

    ck_assert_int_eq(voco_collapse_signals(same, 3, 2, &s), VOCO_OK);
    ck_assert_double_eq_tol(s.cosine, 1, 1e-12);
    ck_assert_double_eq_tol(s.effective_rank, 1, 1e-5);
    ck_assert_int_eq(voco_collapse_signals(apart, 3, 3, &s), VOCO_OK);
    ck_assert_double_eq_tol(s.cosine, 0, 1e-12);
    ck_assert_double_eq_tol(s.effective_rank, 3, 1e-12);
    ck_assert_int_eq(voco_collapse_signals(zero, 2, 3, &s), VOCO_OK);
    ck_assert(s.cosine == 0 && s.effective_rank == 0);
    ck_assert_int_eq(voco_collapse_signals(bad, 2, 1, &s), VOCO_OK);
    ck_assert(isnan(s.cosine) && isnan(s.effective_rank));
    ck_assert_int_eq(voco_collapse_signals(same, 1, 2, &s), VOCO_OK);
    ck_assert(isnan(s.cosine) && fabs(s.effective_rank - 1) < 1e-12);
    ck_assert_int_eq(voco_collapse_signals(NULL, 0, 4, &s), VOCO_OK);
}
END_TEST

/* The Laplacian of a path of n points has the eigenvalues 2 - 2 cos(pi k / n). */
START_TEST(jacobi_finds_the_eigenvalues_of_a_path)
{
    enum { N = 50 };
    double a[N * N] = { 0 }, value[N];

    for (int i = 0; i + 1 < N; i++) {
        a[i * N + i] += 1;
        a[(i + 1) * N + i + 1] += 1;
        a[i * N + i + 1] = a[(i + 1) * N + i] = -1;
    }
    voco_eigenvalues(a, N, value);
    for (int k = 0; k < N; k++)
        ck_assert_double_eq_tol(value[k], 2 - 2 * cos(acos(-1) * (N - 1 - k) / N), 1e-13);
}
END_TEST

START_TEST(position_accuracy_accepts_ties_in_truth_and_shares_ties_in_answers)
{
    const float labels[] = { 0.5f, 0.5f, 0, /**/ 0.2f, 0.8f, 0, /**/ 0, 0, 1 };
    const float answers[] = { 0.1f, 0.9f, 0, /**/ 0.9f, 0.1f, 0, /**/ 0, 0, 0 };
    struct voco_position p = voco_position_signals(labels, answers, 3, 3);

    ck_assert_double_eq_tol(p.accuracy, (1 + 0 + 1.0 / 3) / 3, 1e-12);
    ck_assert_double_eq_tol(p.error, (0.4 + 0.4 + 0.7 + 0.7 + 1) / 9, 1e-7);
    p = voco_position_signals(labels, (float[]){ NAN, 0, 0 }, 1, 3);
    ck_assert(p.accuracy == 0 && isnan(p.error));
}
END_TEST

Suite *
test_suite(void)
{
    Suite *s = suite_create("report");
    TCase *files = tcase_create("files"), *numbers = tcase_create("numbers");

    tcase_set_timeout(files, 60);
    tcase_add_checked_fixture(files, make_folder, remove_folder);
    tcase_add_test(files, png_reads_back_as_it_was_written);
    tcase_add_test(files, broken_png_is_an_error);
    tcase_add_test(files, odd_runs_are_drawn_or_refused_with_a_sentence);
    tcase_add_test(files, long_runs_and_several_runs_are_drawn);
    tcase_add_test(files, mosaic_has_patients_right_on_the_left);
    tcase_add_test(files, metrics_lines_say_what_is_not_finite);
    tcase_add_test(files, resuming_forgets_the_steps_that_will_be_repeated);
    tcase_add_test(files, of_a_repeated_step_the_last_line_counts);
    tcase_add_test(files, event_records_are_framed_and_encoded_as_tensorboard_reads_them);
    tcase_add_test(numbers, everything_outside_the_canvas_is_clipped);
    tcase_add_test(numbers, every_character_can_be_drawn_and_only_blank_is_blank);
    tcase_add_test(numbers, colors_of_classes_can_be_told_apart);
    tcase_add_test(numbers, gray_images_mirror_by_negative_strides);
    tcase_add_test(numbers, ticks_are_round_and_inside);
    tcase_add_test(numbers, doubles_read_back_the_same);
    tcase_add_test(numbers, collapse_signals_agree_with_a_singular_value_decomposition);
    tcase_add_test(numbers, collapse_signals_know_their_ends);
    tcase_add_test(numbers, jacobi_finds_the_eigenvalues_of_a_path);
    tcase_add_test(numbers,
                   position_accuracy_accepts_ties_in_truth_and_shares_ties_in_answers);
    suite_add_tcase(s, files);
    suite_add_tcase(s, numbers);
    return s;
}
