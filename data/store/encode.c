/* Encoding the volumes of a case into chunks, and counting their labels. */
#include "data/store/encode.h"

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

/* ---- counts of labels for sampling ---- */

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

/* ---- a volume ---- */

/* The state of encoding a case. */
struct work {
    const struct voco_store_options *o;
    struct voco_deflater *d;
    bool *has_image;            /* [voxels] some channel is above low; NULL: not asked */
    float low;
    int64_t clipped;
};

static enum voco_err
part_init(const struct work *w, const struct voco_volume *v, struct voco_encoded *e)
{
    e->grid = voco_chunk_grid(v->dim, w->o->chunk);
    e->n = voco_chunk_count(&e->grid);
    e->chunk_bytes = calloc((size_t)e->n, sizeof *e->chunk_bytes);
    e->chunk = calloc((size_t)e->n, sizeof *e->chunk);
    e->table = calloc((size_t)e->n, sizeof *e->table);
    return e->chunk_bytes && e->chunk && e->table ? VOCO_OK : VOCO_EMEMORY;
}

static enum voco_err
encode_chunk(struct voco_deflater *d, const uint8_t *slab, int64_t i, uint8_t *planes,
             struct voco_encoded *e)
{
    const size_t element_bytes = voco_store_element_bytes(e->type);
    const size_t bound =
        voco_deflate_bound((size_t)voco_chunk_voxels(&e->grid) * element_bytes);

    if (e->room - e->used < bound) {
        const size_t room = e->room + e->room / 2 + 4 * bound;
        uint8_t *more = realloc(e->bytes, room);

        if (!more)
            return VOCO_EMEMORY;
        e->bytes = more;
        e->room = room;
    }
    e->chunk_bytes[i] = voco_chunk_encode(d, &e->grid, element_bytes, slab, i, planes,
                                          e->bytes + e->used);
    e->used += e->chunk_bytes[i];
    return e->chunk_bytes[i] ? VOCO_OK : VOCO_EMEMORY;
}

/* Layer by layer of chunks, whose elements stay in a cache. */
static enum voco_err
encode_layers(struct work *w, const struct voco_volume *v, struct voco_encoded *e)
{
    const struct voco_chunk_grid *g = &e->grid;
    const size_t element_bytes = voco_store_element_bytes(e->type);
    const int64_t plane = g->dim[1] * g->dim[2], per_layer = g->n[1] * g->n[2];
    uint8_t *slab = malloc((size_t)(g->edge[0] * plane) * element_bytes);
    uint8_t *planes = malloc((size_t)voco_chunk_voxels(g) * element_bytes);
    enum voco_err err = slab && planes ? VOCO_OK : VOCO_EMEMORY;

    for (int64_t layer = 0; !err && layer < g->n[0]; layer++) {
        const int64_t x = layer * g->edge[0], left = g->dim[0] - x;
        const int64_t n = (left < g->edge[0] ? left : g->edge[0]) * plane;

        w->clipped += voco_store_elements(e->type, v->voxel + x * plane, n, slab);
        e->crc = voco_crc32c(e->crc, slab, (size_t)n * element_bytes);
        if (w->has_image)
            mark_image(e->type, slab, n, w->low, w->has_image + x * plane);
        for (int64_t i = 0; !err && i < per_layer; i++)
            err = encode_chunk(w->d, slab, layer * per_layer + i, planes, e);
    }
    free(planes);
    free(slab);
    return err;
}

static enum voco_err
encode_part(struct work *w, const struct voco_volume *v, struct voco_encoded *e)
{
    enum voco_err err = part_init(w, v, e);
    size_t at = 0;

    if (!err)
        err = encode_layers(w, v, e);
    if (err)
        return voco_fail(err, "no memory to compress %lld x %lld x %lld voxels",
                         (long long)e->grid.dim[0], (long long)e->grid.dim[1],
                         (long long)e->grid.dim[2]);
    for (int64_t i = 0; i < e->n; i++) {        /* bytes does not move any more */
        e->chunk[i] = e->bytes + at;
        e->table[i].bytes = (uint32_t)e->chunk_bytes[i];
        e->table[i].crc = voco_crc32c(0, e->bytes + at, e->chunk_bytes[i]);
        at += e->chunk_bytes[i];
    }
    return VOCO_OK;
}

/* ---- a case ---- */

/* Outlines of organs are alike from row to row, which runs do not know of. */
static enum voco_err
encode_label(struct work *w, const struct voco_volume *v, const bool *has_image,
             struct voco_encoded_case *e)
{
    struct voco_encoded *label = &e->part[e->n - 1];
    const int level = w->o->level == VOCO_DEFLATE_RUNS ? LABEL_LEVEL : w->o->level;
    struct work own = { .o = w->o };
    enum voco_err err = voco_label_count(v, &e->count, &e->n_counts);

    if (!err)
        err = voco_deflater_new(level, &own.d);
    if (!err) {
        label->type = label_type(e->count, e->n_counts);
        err = encode_part(&own, v, label);
    }
    if (!err)
        count_chunks(v, has_image, label, &e->background);
    voco_deflater_free(own.d);
    return err;
}

static enum voco_err
encode_case(struct work *w, const struct voco_case *c, struct voco_encoded_case *e)
{
    const int64_t *dim = c->channel[0].dim, n = dim[0] * dim[1] * dim[2];
    const bool labelled = c->label.voxel != NULL;
    struct voco_shard_volume *crcs = calloc((size_t)c->n_channels, sizeof *crcs);
    enum voco_err err = VOCO_OK;

    w->has_image = labelled ? calloc((size_t)n, sizeof *w->has_image) : NULL;
    if (!crcs || (labelled && !w->has_image))
        err = voco_fail(VOCO_EMEMORY, "no memory to encode %lld voxels", (long long)n);
    for (int i = 0; !err && i < c->n_channels; i++) {
        e->part[i].type = w->o->type;
        err = encode_part(w, &c->channel[i], &e->part[i]);
        crcs[i].crc = e->part[i].crc;
    }
    if (!err)
        e->crc = voco_channels_crc(crcs, c->n_channels);
    if (!err && labelled)
        err = encode_label(w, &c->label, w->has_image, e);
    free(crcs);
    free(w->has_image);
    return err;
}

enum voco_err
voco_encode(const struct voco_store_options *o, const struct voco_case *c,
            const double window[2], struct voco_encoded_case *ret, int64_t *ret_clipped)
{
    const int n = c->n_channels + (c->label.voxel != NULL);
    struct work w = { .o = o, .low = (float)window[0] };
    enum voco_err err = voco_deflater_new(o->level, &w.d);

    *ret = (struct voco_encoded_case){.part = calloc((size_t)n, sizeof *ret->part)};
    if (!err && !ret->part)
        err = voco_fail(VOCO_EMEMORY, "no memory for %d volumes", n);
    if (!err) {
        ret->n = n;
        err = encode_case(&w, c, ret);
    }
    voco_deflater_free(w.d);
    if (ret_clipped)
        *ret_clipped = w.clipped;
    return err;
}
