/*
 * The work of voco convert on a volume, stage by stage, on one core.
 *
 *   bench/transform PRESET VOLUME...               PRESET: a name of voco convert --preset
 *
 * Prints tab-separated values, a line a volume and their sum: millions of voxels in the
 * file and in the store, ms to read (inflate included), to transform and to encode, the
 * least of some rounds each, and the bytes that the store would write.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "data/store/chunk.h"
#include "data/convert/convert.h"
#include "data/store/encode.h"
#include "data/transform/preset.h"

enum { ROUNDS = 7 };

struct row {
    double in, out, bytes;      /* voxels in millions, bytes */
    double read_ms, transform_ms, encode_ms;
};

static void
least(double *ms, double begin_s)
{
    const double now_ms = (voco_seconds() - begin_s) * 1e3;

    *ms = *ms == 0 || now_ms < *ms ? now_ms : *ms;
}

static enum voco_err
encode(const struct voco_case *c, const double window[2], struct row *row)
{
    static const struct voco_store_options o = { .type = VOCO_STORE_U16,
                                                 .chunk = VOCO_CHUNK_DEFAULT, .level = 1 };
    struct voco_encoded_case e;
    const double begin_s = voco_seconds();
    const enum voco_err err = voco_encode(&o, c, window, &e, NULL);

    least(&row->encode_ms, begin_s);
    row->bytes = e.n ? (double)e.part[0].used : 0;
    voco_encoded_free(&e);
    return err;
}

static double
millions(const struct voco_volume *v)
{
    return (double)(v->dim[0] * v->dim[1] * v->dim[2]) / 1e6;
}

static enum voco_err
measure(const struct voco_transform *t, const struct voco_item *item, struct row *row)
{
    enum voco_err err = VOCO_OK;

    for (int round = 0; !err && round < ROUNDS; round++) {
        struct voco_transform_report report = { .json = NULL };
        struct voco_case c;
        double begin_s = voco_seconds();

        if ((err = voco_case_read(item, VOCO_CHANNEL_REFUSE, NULL, &c)))
            return err;
        least(&row->read_ms, begin_s);
        row->in = millions(c.channel);
        begin_s = voco_seconds();
        err = voco_transform_case(&c, t, &report);
        least(&row->transform_ms, begin_s);
        row->out = millions(c.channel);
        if (!err)
            err = encode(&c, report.window, row);
        voco_transform_report_free(&report);
        voco_case_free(&c);
    }
    return err;
}

static void
print_row(const char *name, const struct row *r)
{
    printf("%s\t%.2f\t%.2f\t%.1f\t%.1f\t%.1f\t%.0f\n", name, r->in, r->out, r->read_ms,
           r->transform_ms, r->encode_ms, r->bytes);
}

int
main(int argc, char **argv)
{
    const struct voco_preset *p = voco_presets;
    struct row sum = { 0 };

    while (argc > 1 && p->name && strcmp(p->name, argv[1]) != 0)
        p++;
    if (argc < 3 || !p->name) {
        fprintf(stderr, "usage: bench/transform PRESET VOLUME...\n");
        return 2;
    }
    printf("volume\tMvoxel in\tout\tread ms\ttransform ms\tencode ms\tbytes\n");
    for (int i = 2; i < argc; i++) {
        const struct voco_item item = { .id = argv[i], .image = &argv[i], .n_images = 1 };
        struct row row = { 0 };

        if (measure(&p->transform, &item, &row)) {
            fprintf(stderr, "bench/transform: %s\n", voco_fail_text());
            return 1;
        }
        print_row(argv[i], &row);
        sum = (struct row){ sum.in + row.in, sum.out + row.out, sum.bytes + row.bytes,
                            sum.read_ms + row.read_ms,
                            sum.transform_ms + row.transform_ms,
                            sum.encode_ms + row.encode_ms };
    }
    print_row("all", &sum);
    return 0;
}
