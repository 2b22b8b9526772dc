/* The readers of lists of inputs, of recipes, and of tables of features. */
#include <stdlib.h>
#include <string.h>

#include "data/dataset/datalist.h"
#include "data/dataset/features.h"
#include "data/dataset/recipe.h"
#include "data/store/cropfile.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/targets.h"

static void
touch_text(const char *text)
{
    if (text)
        fuzz_touch(text, strlen(text));
}

/* Some of the files that lists name are there. */
static void
make_files(void)
{
    static const char *const name[] = {
        "a.nii", "imagesTr/a_0000.nii.gz", "imagesTr/a_0001.nii.gz", "imagesTr/b_0001.nii.gz",
        "imagesTs/c_0000.nii.gz", "labelsTr/a.nii.gz"
    };
    static bool made;

    for (size_t i = 0; i < sizeof name / sizeof *name && !made; i++)
        fuzz_file(name[i], "", 0);
    made = true;
}

static int
read_list(const char *name, const uint8_t *bytes, size_t n)
{
    const struct voco_datalist_options options = { .test_split = true };
    struct voco_datalist l = { .n = 0 };

    make_files();
    if (voco_datalist_add(&l, fuzz_file(name, bytes, n), &options) == VOCO_OK
        && voco_datalist_finish(&l) == VOCO_OK)
        for (int i = 0; i < l.n; i++) {
            touch_text(l.item[i].id);
            touch_text(l.item[i].label);
            touch_text(l.item[i].class_name);
            touch_text(l.item[i].dataset);
            touch_text(l.item[i].problem);
            for (int k = 0; k < l.item[i].n_images; k++)
                touch_text(l.item[i].image[k]);
        }
    for (int i = 0; i < l.classes.n; i++)
        touch_text(l.classes.class_[i].name);
    voco_datalist_free(&l);
    return 0;
}

int
fuzz_listtext(const uint8_t *bytes, size_t n)
{
    return read_list("list.txt", bytes, n);
}

int
fuzz_listcsv(const uint8_t *bytes, size_t n)
{
    return read_list("list.csv", bytes, n);
}

int
fuzz_listjson(const uint8_t *bytes, size_t n)
{
    return read_list("dataset.json", bytes, n);
}

int
fuzz_recipe(const uint8_t *bytes, size_t n)
{
    static const char *const verb[] = { "convert", "finetune seg", "predict", "eval" };
    struct voco_recipe t;

    if (voco_recipe_open(fuzz_file("recipe.json", bytes, n), &t) != VOCO_OK)
        return 0;
    for (size_t i = 0; i < sizeof verb / sizeof *verb; i++) {
        char **word;
        int words;

        if (voco_recipe_words(&t, verb[i], &word, &words) != VOCO_OK)
            continue;
        while (words > 0) {
            touch_text(word[--words]);
            free(word[words]);
        }
        free(word);
    }
    voco_recipe_free(&t);
    return 0;
}

/* A CSV, or an NPY file whose ids are those of two rows. */
int
fuzz_features(const uint8_t *bytes, size_t n)
{
    static const char ids[] = "id\na\nb\n";
    const char *path = fuzz_file("features.npy", bytes, n);
    struct voco_features f;

    fuzz_file("features.csv", ids, sizeof ids - 1);
    if (voco_cropfile_is(path))         /* what is found there may be the HDF5 library's */
        return 0;
    if (voco_features_read(path, &f) == VOCO_OK)
        fuzz_touch(f.x, (size_t)f.n * (size_t)f.width * sizeof *f.x);
    touch_text(f.first_bad);
    for (int i = 0; i < f.n; i++)
        touch_text(f.id[i]);
    voco_features_free(&f);
    return 0;
}
