/* The order of volumes: a keyed permutation per epoch, datasets weighted by repetition. */
#include "data/batch/sampler.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"

enum { WEIGHT_MAX = 1000 };

/* The store's datasets, "a, b, c"; the caller frees. */
static char *
known_datasets(const struct voco_store *store)
{
    char *list = voco_format("%s", "");

    for (int i = 0; i < voco_store_count(store); i++) {
        const char *name = voco_store_entry(store, i)->dataset;
        bool seen = false;

        for (int k = 0; k < i && !seen; k++)
            seen = strcmp(voco_store_entry(store, k)->dataset, name) == 0;
        if (!seen) {
            char *more = voco_format("%s%s%s", list, *list ? ", " : "",
                                     *name ? name : "(no name)");

            free(list);
            list = more;
        }
    }
    return list;
}

/* weight[i] of the volumes in the dataset that text names. */
static enum voco_err
apply(const struct voco_store *store, const char *text, int *weight)
{
    const char *equals = strrchr(text, '=');
    char *end = NULL;
    const long w = equals ? strtol(equals + 1, &end, 10) : -1;
    const size_t n = equals ? (size_t)(equals - text) : 0;
    int found = 0;

    if (!equals || end == equals + 1 || *end || w < 0 || w > WEIGHT_MAX)
        return voco_fail(VOCO_EUSAGE, "repeat '%s': expected DATASET=WEIGHT with a whole "
                         "number from 0 to %d", text, WEIGHT_MAX);
    for (int i = 0; i < voco_store_count(store); i++) {
        const char *name = voco_store_entry(store, i)->dataset;

        if (strlen(name) == n && strncmp(name, text, n) == 0) {
            weight[i] = (int)w;
            found++;
        }
    }
    if (found == 0) {
        char *known = known_datasets(store);

        voco_fail(VOCO_EUSAGE, "repeat '%s': the store has no dataset '%.*s'; it has: %s",
                  text, (int)n, text, known);
        free(known);
        return VOCO_EUSAGE;
    }
    return VOCO_OK;
}

/* Room for an epoch of s->length. */
static enum voco_err
allocate(struct voco_sampler *s)
{
    s->volume = malloc((size_t)s->length * sizeof *s->volume);
    s->order = malloc((size_t)s->length * sizeof *s->order);
    return s->volume && s->order ? VOCO_OK
        : voco_fail(VOCO_EMEMORY, "no memory for the order of %lld volumes",
                    (long long)s->length);
}

enum voco_err
voco_sampler_list(struct voco_sampler *s, const int *volume, int n, uint64_t seed)
{
    enum voco_err err;

    *s = (struct voco_sampler){.seed = seed, .length = n, .epoch = -1};
    if ((err = allocate(s)) == VOCO_OK)
        memcpy(s->volume, volume, (size_t)n * sizeof *volume);
    return err;
}

enum voco_err
voco_sampler_init(struct voco_sampler *s, const struct voco_store *store, uint64_t seed,
                  const char *const *repeat, int n_repeat, const bool *exclude)
{
    const int n = voco_store_count(store);
    int *weight = malloc(((size_t)n + 1) * sizeof *weight);
    enum voco_err err = VOCO_OK;

    *s = (struct voco_sampler){.seed = seed, .epoch = -1};
    if (!weight)
        return voco_fail(VOCO_EMEMORY, "no memory for the order of %d volumes", n);
    for (int i = 0; i < n; i++)
        weight[i] = 1;
    for (int k = 0; k < n_repeat && !err; k++)
        err = apply(store, repeat[k], weight);
    for (int i = 0; i < n && !err; i++) {
        if (exclude && exclude[i])
            weight[i] = 0;
        s->length += weight[i];
    }
    if (!err && s->length == 0)
        err = voco_fail(VOCO_EUSAGE, n ? "every volume of the store has weight 0 or is excluded"
                                       : "the store holds no volumes");
    if (!err && s->length > UINT32_MAX)
        err = voco_fail(VOCO_EUSAGE, "an epoch of %lld volumes is too long",
                        (long long)s->length);
    if (!err)
        err = allocate(s);
    for (int i = 0, at = 0; i < n && !err; i++)
        for (int k = 0; k < weight[i]; k++)
            s->volume[at++] = i;
    free(weight);
    return err;
}

void
voco_sampler_free(struct voco_sampler *s)
{
    free(s->volume);
    free(s->order);
    memset(s, 0, sizeof *s);
}

int
voco_sampler_at(struct voco_sampler *s, int64_t position)
{
    const int64_t epoch = position / s->length;

    if (epoch != s->epoch) {
        const struct voco_rng_key key = {.seed = s->seed, .step = (uint64_t)epoch,
                                         .purpose = VOCO_RNG_ORDER};

        voco_rng_permute(&key, (uint32_t)s->length, s->order);
        s->epoch = epoch;
    }
    return s->volume[s->order[position % s->length]];
}
