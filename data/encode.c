/* Encoding the volumes of a case into chunks, and counting their labels. */
#include "data/encode.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

enum { LABEL_LEVEL = 6 };

static void
free_part(struct voco_encoded *e)
{
    free(e->bytes);
    free(e->chunk_bytes);
    free(e->chunk);
    free(e->table);
}

void
voco_encoded_free(struct voco_encoded_case *e)
{
    for (int i = 0; i < e->n; i++)
        free_part(&e->part[i]);
    free(e->part);
    free(e->count);
    memset(e, 0, sizeof *e);
}

static enum voco_err
encode_chunks(struct voco_encoded *e, struct voco_deflater *d, const uint8_t *elements)
{
    const size_t element_bytes = voco_store_element_bytes(e->type);
    const size_t raw = (size_t)voco_chunk_voxels(&e->grid) * element_bytes;
    const size_t bound = voco_deflate_bound(raw);
    uint8_t *planes = malloc(raw);
    enum voco_err err = planes ? VOCO_OK : VOCO_EMEMORY;

    for (int64_t i = 0; !err && i < e->n; i++) {
        if (e->room - e->used < bound) {
            const size_t room = e->room + e->room / 2 + 4 * bound;
            uint8_t *more = realloc(e->bytes, room);

            if (!more) {
                err = VOCO_EMEMORY;
                break;
            }
            e->bytes = more;
            e->room = room;
        }
        e->chunk_bytes[i] = voco_chunk_encode(d, &e->grid, element_bytes, elements, i,
                                              planes, e->bytes + e->used);
        if (e->chunk_bytes[i] == 0)
            err = VOCO_EMEMORY;
        e->used += e->chunk_bytes[i];
    }
    free(planes);
    if (err)
        return voco_fail(err, "no memory to compress %lld x %lld x %lld voxels",
                         (long long)e->grid.dim[0], (long long)e->grid.dim[1],
                         (long long)e->grid.dim[2]);
    size_t at = 0;
    for (int64_t i = 0; i < e->n; i++) {        /* bytes does not move any more */
        e->chunk[i] = e->bytes + at;
        e->table[i].bytes = (uint32_t)e->chunk_bytes[i];
        e->table[i].crc = voco_crc32c(0, e->bytes + at, e->chunk_bytes[i]);
        at += e->chunk_bytes[i];
    }
    return VOCO_OK;
}

/* elements: room for those of the volume, filled. */
static enum voco_err
encode_part(const struct voco_volume *v, int chunk, struct voco_deflater *d,
            uint8_t *elements, struct voco_encoded *e, int64_t *clipped)
{
    const int64_t n = v->dim[0] * v->dim[1] * v->dim[2];

    e->grid = voco_chunk_grid(v->dim, chunk);
    e->n = voco_chunk_count(&e->grid);
    e->chunk_bytes = calloc((size_t)e->n, sizeof *e->chunk_bytes);
    e->chunk = calloc((size_t)e->n, sizeof *e->chunk);
    e->table = calloc((size_t)e->n, sizeof *e->table);
    if (!elements || !e->chunk_bytes || !e->chunk || !e->table)
        return voco_fail(VOCO_EMEMORY, "no memory to encode %lld voxels", (long long)n);
    *clipped += voco_store_elements(e->type, v->voxel, n, elements);
    e->crc = voco_crc32c(0, elements, (size_t)n * voco_store_element_bytes(e->type));
    return encode_chunks(e, d, elements);
}

/* ---- what sampling wants to know of labels ---- */

/* has_image[i] becomes true where the stored value, read again, is above 0. */
static void
mark_image(enum voco_store_type type, const uint8_t *elements, int64_t n, float low,
           bool *has_image)
{
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *p = elements + i * (type == VOCO_STORE_F32 ? 4 : 2);
        const unsigned word = p[0] | (unsigned)p[1] << 8;

        if (type == VOCO_STORE_U16)
            has_image[i] |= word > 0;
        else if (type == VOCO_STORE_I16)
            has_image[i] |= (float)(int16_t)word > low;
        else {
            const uint32_t bits = word | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
            float value;

            memcpy(&value, &bits, sizeof value);
            has_image[i] |= value > 0;
        }
    }
}

/* Both kinds of voxels in every chunk. */
static void
count_chunks(const struct voco_volume *label, const bool *has_image,
             struct voco_encoded *e, int64_t *ret_background)
{
    const struct voco_chunk_grid *g = &e->grid;

    for (int64_t x = 0, i = 0; x < g->dim[0]; x++)
        for (int64_t y = 0; y < g->dim[1]; y++)
            for (int64_t z = 0; z < g->dim[2]; z++, i++) {
                const int64_t c = (x / g->edge[0] * g->n[1] + y / g->edge[1]) * g->n[2]
                    + z / g->edge[2];
                const bool labelled = label->voxel[i] > 0;

                e->table[c].voxels[VOCO_VOXEL_LABELLED] += labelled;
                if (!labelled && has_image[i]) {
                    e->table[c].voxels[VOCO_VOXEL_BACKGROUND]++;
                    ++*ret_background;
                }
            }
}

static enum voco_store_type
label_type(const struct voco_class_count *count, int n)
{
    return n > 0 && count[n - 1].class_id > 255 ? VOCO_STORE_LABEL16 : VOCO_STORE_LABEL8;
}

/* ---- a case ---- */

/* Outlines of organs are alike from row to row, which runs do not know of. */
static enum voco_err
encode_label(const struct voco_store_options *o, const struct voco_volume *v,
             uint8_t *elements, struct voco_encoded *e, int64_t *clipped)
{
    const int level = o->level == VOCO_DEFLATE_RUNS ? LABEL_LEVEL : o->level;
    struct voco_deflater *d;
    enum voco_err err = voco_deflater_new(level, &d);

    if (!err)
        err = encode_part(v, o->chunk, d, elements, e, clipped);
    voco_deflater_free(d);
    return err;
}

static enum voco_err
encode_case(const struct voco_store_options *o, const struct voco_case *c,
            const double window[2], struct voco_deflater *d, struct voco_encoded_case *e,
            int64_t *clipped)
{
    const int64_t *dim = c->channel[0].dim, n = dim[0] * dim[1] * dim[2];
    const bool labelled = c->label.voxel != NULL;
    uint8_t *elements = malloc((size_t)n * 4);
    bool *has_image = labelled ? calloc((size_t)n, sizeof *has_image) : NULL;
    struct voco_shard_volume *crcs = calloc((size_t)c->n_channels, sizeof *crcs);
    enum voco_err err = VOCO_OK;

    if (!crcs || (labelled && !has_image))
        err = voco_fail(VOCO_EMEMORY, "no memory to encode %lld voxels", (long long)n);
    for (int i = 0; !err && i < c->n_channels; i++) {
        e->part[i].type = o->type;
        err = encode_part(&c->channel[i], o->chunk, d, elements, &e->part[i], clipped);
        if (!err && labelled)
            mark_image(o->type, elements, n, (float)window[0], has_image);
        if (!err)
            crcs[i].crc = e->part[i].crc;
    }
    if (!err)
        e->crc = voco_channels_crc(crcs, c->n_channels);
    if (!err && labelled)
        err = voco_label_count(&c->label, &e->count, &e->n_counts);
    if (!err && labelled) {
        struct voco_encoded *label = &e->part[c->n_channels];

        label->type = label_type(e->count, e->n_counts);
        err = encode_label(o, &c->label, elements, label, clipped);
        if (!err)
            count_chunks(&c->label, has_image, label, &e->background);
    }
    free(crcs);
    free(has_image);
    free(elements);
    return err;
}

enum voco_err
voco_encode(const struct voco_store_options *o, const struct voco_case *c,
            const double window[2], struct voco_encoded_case *ret, int64_t *ret_clipped)
{
    const int n = c->n_channels + (c->label.voxel != NULL);
    struct voco_deflater *d = NULL;
    int64_t clipped = 0;
    enum voco_err err = voco_deflater_new(o->level, &d);

    *ret = (struct voco_encoded_case){.part = calloc((size_t)n, sizeof *ret->part)};
    if (!err && !ret->part)
        err = voco_fail(VOCO_EMEMORY, "no memory for %d volumes", n);
    if (!err) {
        ret->n = n;
        err = encode_case(o, c, window, d, ret, &clipped);
    }
    voco_deflater_free(d);
    if (ret_clipped)
        *ret_clipped = clipped;
    return err;
}
