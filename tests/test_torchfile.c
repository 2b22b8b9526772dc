/* .pt files: those of PyTorch are read, ours come back, damaged and hostile ones are
 * refused.  tests/golden/pt is made by tools/golden_pt.py. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tensorfile/names.h"
#include "tensorfile/torchfile.h"
#include "tests/archive.h"
#include "tests/test.h"

static char *
golden(const char *name)
{
    return voco_format("%s/pt/%s", getenv("VOCO_GOLDEN"), name);
}

static enum voco_err
open_golden(struct voco_tensorfile *f, const char *name)
{
    char *path = golden(name);
    const enum voco_err err = voco_tensorfile_open(f, path);

    free(path);
    return err;
}

static const struct voco_filetensor *
find(const struct voco_tensorfile *f, const char *name)
{
    const struct voco_filetensor *t = voco_tensorfile_find(f, name);

    ck_assert_msg(t != NULL, "no %s", name);
    ck_assert_int_eq(voco_filetensor_check(t), VOCO_OK);
    return t;
}

/* Element i of the golden tensors is i / 4 - 1. */
static void
expect_floats(const struct voco_tensorfile *f, const char *name, const char *type,
              const char *shape, const int *index, int n)
{
    const struct voco_filetensor *t = find(f, name);
    float x[64];
    char buf[192];

    ck_assert_str_eq(t->type, type);
    ck_assert_str_eq(voco_filetensor_shape(t, buf), shape);
    ck_assert_int_eq(voco_filetensor_count(t), n);
    ck_assert_int_eq(voco_filetensor_convert(t, "F32", x), VOCO_OK);
    for (int i = 0; i < n; i++)
        ck_assert_msg(x[i] == (float)(index ? index[i] : i) / 4 - 1, "%s[%d] is %g", name, i,
                      (double)x[i]);
}

/* Of the newest torch at hand, and of older ones; 2.0.1 writes the bytes of 1.13.1. */
static const char *const versions[] = { "", "-1.13.1", "-2.3.1" };
enum { VERSIONS = sizeof versions / sizeof *versions };

static enum voco_err
open_version(struct voco_tensorfile *f, const char *name, int version)
{
    char *file = voco_format("%s%s.pt", name, versions[version]);
    const enum voco_err err = open_golden(f, file);

    free(file);
    return err;
}

START_TEST(every_type_is_read)
{
    static const int64_t want[] = { -1, 0, 1, 2 };
    struct voco_tensorfile f;
    int64_t got[4];

    ck_assert_int_eq(open_version(&f, "types", _i), VOCO_OK);
    ck_assert_int_eq(f.n, 10);
    ck_assert_str_eq(f.wrapper, "");
    expect_floats(&f, "f32", "F32", "[2,3]", NULL, 6);
    expect_floats(&f, "f64", "F64", "[3]", NULL, 3);
    expect_floats(&f, "f16", "F16", "[5]", NULL, 5);
    expect_floats(&f, "bf16", "BF16", "[2,2]", NULL, 4);
    expect_floats(&f, "scalar", "F32", "[]", NULL, 1);
    expect_floats(&f, "empty", "F32", "[0,3]", NULL, 0);
    expect_floats(&f, "parameter", "F32", "[3]", NULL, 3);
    ck_assert_int_eq(voco_filetensor_copy(find(&f, "i64"), got), VOCO_OK);
    ck_assert(memcmp(got, want, sizeof want) == 0);
    ck_assert_str_eq(find(&f, "i32")->type, "I32");
    ck_assert_str_eq(find(&f, "u8")->type, "U8");
    voco_tensorfile_close(&f);
}
END_TEST

START_TEST(views_of_a_shared_storage_are_laid_out)
{
    static const int row[] = { 6, 7, 8, 9, 10, 11 }, column[] = { 2, 8, 14, 20 };
    static const int block[] = { 8, 9, 10, 14, 15, 16 }, step[] = { 0, 3, 12, 15 };
    int transposed[24], permuted[24];
    struct voco_tensorfile f;

    for (int i = 0; i < 24; i++) {
        transposed[i] = i % 4 * 6 + i / 4;
        permuted[i] = i / 3 % 2 * 12 + i % 3 * 4 + i / 6;       /* [4,2,3] of [2,3,4] */
    }
    ck_assert_int_eq(open_version(&f, "views", _i), VOCO_OK);
    expect_floats(&f, "base", "F32", "[4,6]", NULL, 24);
    expect_floats(&f, "row", "F32", "[6]", row, 6);
    expect_floats(&f, "column", "F32", "[4]", column, 4);
    expect_floats(&f, "transposed", "F32", "[6,4]", transposed, 24);
    expect_floats(&f, "block", "F32", "[2,3]", block, 6);
    expect_floats(&f, "step", "F32", "[2,2]", step, 4);
    expect_floats(&f, "permuted", "F32", "[4,2,3]", permuted, 24);
    ck_assert_int_eq(find(&f, "base")->entry, find(&f, "transposed")->entry);
    voco_tensorfile_close(&f);
}
END_TEST

static const struct { const char *name, *wrapper; } wrapped[] = {
    { "wrapped.pt", "state_dict" }, { "nested.pt", "network_weights.net" },
    { "wrapped-1.13.1.pt", "state_dict" }, { "nested-1.13.1.pt", "network_weights.net" },
    { "wrapped-2.3.1.pt", "state_dict" }, { "nested-2.3.1.pt", "network_weights.net" },
    { "only.pt", "model_ema" }, { "torch16.pt", "state_dict" }, { "protocol4.pt", "" },
    { "nocrc.pt", "" }, { "zip64.pt", "" },
};

START_TEST(tensors_are_found_in_wrappers)
{
    struct voco_tensorfile f;

    ck_assert_int_eq(open_golden(&f, wrapped[_i].name), VOCO_OK);
    ck_assert_str_eq(f.wrapper, wrapped[_i].wrapper);
    ck_assert_int_eq(f.n, 2);
    expect_floats(&f, "module.conv.weight", "F32", "[2,1,2,2,2]", NULL, 16);
    expect_floats(&f, "module.conv.bias", "F32", "[2]", NULL, 2);
    voco_tensorfile_close(&f);
}
END_TEST

START_TEST(state_dict_of_a_module_is_read)
{
    struct voco_tensorfile f;

    ck_assert_int_eq(open_version(&f, "module", _i), VOCO_OK);
    ck_assert_int_eq(f.n, 2);
    expect_floats(&f, "weight", "F32", "[2,2]", NULL, 4);
    expect_floats(&f, "bias", "F32", "[2]", NULL, 2);
    voco_tensorfile_close(&f);
}
END_TEST

START_TEST(names_beside_the_tensors_are_listed)
{
    struct voco_tensorfile f;

    ck_assert_int_eq(open_version(&f, "wrapped", _i), VOCO_OK);
    ck_assert_int_eq(f.n_foreign, 2);
    ck_assert_str_eq(f.foreign[0], "argparse.Namespace");
    ck_assert_str_eq(f.foreign[1], "pathlib.PurePosixPath");
    voco_tensorfile_close(&f);
}
END_TEST

START_TEST(other_files_of_pytorch_are_refused_with_a_way_out)
{
    struct voco_tensorfile f;

    ck_assert_int_eq(open_golden(&f, "before16.pt"), VOCO_EFORMAT);
    ck_assert_says("before 1.6");
    ck_assert_says("torch.save(torch.load(");
    ck_assert_int_eq(open_golden(&f, "big.pt"), VOCO_EFORMAT);
    ck_assert_says("byteorder is 'big'");
}
END_TEST

/* ---- archives made here ---- */

/* Of a copy of exactly this size. */
static enum voco_err
parse(const char *bytes, size_t n)
{
    char *exact = malloc(n ? n : 1);
    struct voco_tensorfile f;
    enum voco_err err;

    memcpy(exact, bytes, n);
    err = voco_torchfile_parse(&f, exact, n, "file");
    for (int i = 0; i < f.n; i++) {     /* every byte that was vouched for */
        char *all = malloc(f.item[i].bytes + 1);

        voco_filetensor_copy(&f.item[i], all);
        free(all);
    }
    voco_tensorfile_close(&f);
    free(exact);
    return err;
}

static enum voco_err
parse_pickle(const char *pickle, size_t n)
{
    static const float x[4];
    const struct part part[] = { { "a/data.pkl", pickle, n }, { "a/data/0", x, sizeof x } };
    size_t bytes;
    char *made = archive(part, 2, &bytes);
    const enum voco_err err = parse(made, bytes);

    free(made);
    return err;
}

/* A storage of 4 floats; offset, sizes and strides follow. */
#define TENSOR "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n" \
    "X\x01\0\0\0" "0X\x03\0\0\0cpuK\x04tQ"
#define REST "\x89" "ccollections\nOrderedDict\n)RtR"
#define WITH(place) "\x80\x02}X\x01\0\0\0a" TENSOR place REST "s."
#define LONG(x) "\x8a\x08" x

static const struct { const char *bytes; size_t n; const char *says; } hostile[] = {
#define H(text, says) { text, sizeof text - 1, says }
    H(WITH("K\0K\x05\x85K\x01\x85"), "beyond its storage"),             /* too long */
    H(WITH("K\x01K\x04\x85K\x01\x85"), "beyond its storage"),           /* offset too far */
    H(WITH("K\x05K\0\x85K\x01\x85"), "beyond its storage"),     /* empty, but outside */
    H(WITH("J\xff\xff\xff\xffK\x01\x85K\x01\x85"), "beyond its storage"),
    H(WITH("K\0K\x02\x85K\x04\x85"), "beyond its storage"),             /* stride too wide */
    H(WITH("K\0K\x02K\x03\x86K\x01K\x01\x86"), "beyond its storage"),   /* more than there is */
    H(WITH("K\0" LONG("\0\0\0\0\0\0\0\x10") "\x85K\0\x85"), "beyond its storage"),
    H(WITH("K\0K\x02" LONG("\xff\xff\xff\xff\xff\xff\xff\x7f") "\x86K\0K\0\x86"),
      "beyond its storage"),                                            /* overflows */
    H(WITH("K\0K\x02\x85" LONG("\xff\xff\xff\xff\xff\xff\xff\x7f") "\x85"),
      "beyond its storage"),
    H(WITH("K\0J\xff\xff\xff\xff\x85K\x01\x85"), "none negative"),
    H(WITH("K\0K\x02\x85J\xff\xff\xff\xff\x85"), "none negative"),
    H(WITH("K\0K\x02\x85)"), "as many strides"),
    H(WITH("K\0N)"), "as many strides"),
    H(WITH("NK\x02\x85K\x01\x85"), "expected an offset"),
    H(WITH("K\0(K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01K\x01t(K\x01K\x01K\x01K\x01K\x01K\x01"
           "K\x01K\x01K\x01t"), "at most 8 sizes"),
    H("\x80\x02}(X\x01\0\0\0a" TENSOR "K\0K\x01\x85K\x01\x85" REST "X\x01\0\0\0a" TENSOR
      "K\x01K\x01\x85K\x01\x85" REST "u.", "two tensors have the name a"),
    H("\x80\x02}X\x03\0\0\0a\x1b" "b" TENSOR "K\0K\x01\x85K\x01\x85" REST "s.", "no name"),
    H("\x80\x02}X\x03\0\0\0a\0b" TENSOR "K\0K\x01\x85K\x01\x85" REST "s.", "no name"),
    H("\x80\x02}X\x01\0\0\0\xff" TENSOR "K\0K\x01\x85K\x01\x85" REST "s.", "no name"),
    H("\x80\x02}K\x01" TENSOR "K\0K\x01\x85K\x01\x85" REST "s.", "no name"),
    H("\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage"
      "ctorch\nFloatStorage\nX\x01\0\0\0" "0X\x03\0\0\0cpuK\x05tQK\0K\x01\x85K\x01\x85" REST "s.",
      "5 elements of 4 bytes, the archive has a/data/0 of 16 bytes"),
    H("\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage"
      "ctorch\nFloatStorage\nX\x01\0\0\0" "9X\x03\0\0\0cpuK\x04tQK\0K\x01\x85K\x01\x85" REST "s.",
      "the archive has none"),
    H("\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage"
      "ctorch\nQInt8Storage\nX\x01\0\0\0" "0X\x03\0\0\0cpuK\x04tQK\0K\x01\x85K\x01\x85" REST "s.",
      "expected a storage of f32"),
    H("\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n(NK\0)" ")tRs.",
      "expected a tensor with a storage"),
    H("\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n)Rs.", "expected a tensor"),
    H("\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_parameter\n)Rs.", "expected a tensor"),
    H("\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_parameter\ncos\nsystem\n)R\x85Rs.",
      "a is a call of os.system"),
    /* code where tensors or dicts should be */
    H("\x80\x02" "cos\nsystem\nX\x04\0\0\0true\x85R.", "a call of os.system, which voco neither"),
    H("\x80\x02" "cposix\nsystem\nX\x04\0\0\0true\x85R.", "posix.system"),
    H("\x80\x02" "cbuiltins\neval\nX\x04\0\0\0true\x85R.", "builtins.eval"),
    H("\x80\x02" "cos\nsystem\nX\x04\0\0\0true\x85R)R.", "os.system"),   /* its result called */
    H("\x80\x02}X\x06\0\0\0weightcsubprocess\nPopen\n)Rs.",
      "weight is a call of subprocess.Popen"),
    H("\x80\x02}X\x0a\0\0\0state_dictcmonai\nNet\n)Rs.", "state_dict is a call of monai.Net"),
    H("\x80\x02" "cmonai.networks.nets\nSwinUNETR\n)\x81}b.", "monai.networks.nets.SwinUNETR"),
    H("\x80\x02].", "expected a dict of tensors"),
    H("\x80\x02N.", "expected a dict of tensors"),
    H("\x80\x02}I1\n.", "opcode 'I'"),
};

START_TEST(hostile_pickle_is_refused_in_words)
{
    ck_assert_msg(parse_pickle(hostile[_i].bytes, hostile[_i].n) == VOCO_EFORMAT, "%d: %s", _i,
                  hostile[_i].says);
    ck_assert_says(hostile[_i].says);
    ck_assert_says("file");
}
END_TEST

/* ---- several dictionaries ---- */

#define KEY(n, text) "X" n "\0\0\0" text
#define ONE TENSOR "K\0K\x01\x85K\x01\x85" REST
#define HELD(n, text) "}" KEY(n, text) ONE "s"         /* {text: tensor} */
#define SWIN HELD("\x1f", "swinViT.patch_embed.proj.weight")
#define WRAPPED_SWIN HELD("\x23", "net.swinViT.patch_embed.proj.weight")

/* wrapper: of the weights; NULL: nobody can tell.  others: how many are beside them, first
 * the path of the first, and whether it is a network. */
static const struct {
    const char *pickle;
    size_t n;
    const char *wrapper;
    int others;
    const char *first, *python;
    bool network;
} several[] = {
#define S(text, ...) { "\x80\x02" text ".", sizeof("\x80\x02" text ".") - 1, __VA_ARGS__ }
    S("}(" KEY("\x05", "model") SWIN KEY("\x09", "model_ema") SWIN "u", NULL, 2, "model",
      "[\"model\"]", true),
    S("}(" KEY("\x0a", "state_dict") SWIN KEY("\x03", "ema") SWIN "u", "state_dict", 1, "ema",
      "[\"ema\"]", true),
    S("}(" KEY("\x03", "ema") SWIN KEY("\x0a", "state_dict") SWIN "u", "state_dict", 1, "ema",
      "[\"ema\"]", true),
    S("}(" KEY("\x01", "d") HELD("\x01", "a") KEY("\x01", "g") SWIN "u", "g", 1, "d",
      "[\"d\"]", false),
    S("}(" KEY("\x01", "d") HELD("\x01", "a") KEY("\x01", "g") WRAPPED_SWIN "u", "g", 1, "d",
      "[\"d\"]", false),
    S("}(" KEY("\x01", "d") HELD("\x01", "a") KEY("\x01", "e") HELD("\x01", "a") "u", NULL, 2,
      "d", "[\"d\"]", false),
    S("}" KEY("\x06", "models") "}(" KEY("\x01", "d") HELD("\x01", "a") KEY("\x01", "g") SWIN
      "us", "models.g", 1, "models.d", "[\"models\"][\"d\"]", false),
    S("](" HELD("\x01", "a") SWIN "e", "1", 1, "0", "[0]", false),
    S("(" SWIN SWIN "t", NULL, 2, "0", "[0]", true),
    S("}(" KEY("\x0a", "state_dict") "}(" KEY("\x01", "d") HELD("\x01", "a") KEY("\x01", "g")
      SWIN "u" KEY("\x03", "ema") SWIN "u", "state_dict.g", 2, "state_dict.d",
      "[\"state_dict\"][\"d\"]", false),
    /* a word where a wrapper might be is no wrapper */
    S("}(" KEY("\x03", "net") KEY("\x04", "swin") KEY("\x01", "g") SWIN "u", "g", 0, "", "",
      false),
};

START_TEST(a_second_dictionary_is_named_and_none_is_guessed)
{
    static const float x[4];
    const struct part part[] = { { "a/data.pkl", several[_i].pickle, several[_i].n },
                                 { "a/data/0", x, sizeof x } };
    const struct voco_filedict *d;
    struct voco_tensorfile f;
    size_t n;
    char *made = archive(part, 2, &n);

    ck_assert_msg(voco_torchfile_parse(&f, made, n, "file") == VOCO_OK, "%s",
                  voco_fail_text());
    ck_assert_int_eq(f.n, several[_i].wrapper != NULL);
    ck_assert_str_eq(f.wrapper, several[_i].wrapper ? several[_i].wrapper : "");
    ck_assert_int_eq(f.n_dicts, several[_i].others);
    if (f.n_dicts) {
        d = &f.dict[0];
        ck_assert_str_eq(d->path, several[_i].first);
        ck_assert_str_eq(d->python, several[_i].python);
        ck_assert_int_eq(d->n, 1);
        ck_assert_int_eq(d->network, several[_i].network);
        ck_assert_str_eq(d->first, several[_i].network ? "swinViT.patch_embed.proj.weight"
                                                       : "a");
    }
    voco_tensorfile_close(&f);
    free(made);
}
END_TEST

START_TEST(programs_in_archives_are_refused_with_the_way_to_weights)
{
    static const struct { const char *entry, *says; } program[] = {
        { "m/constants.pkl", "torch.jit.load" }, { "m/models/model.json", "torch.export.load" },
        { "serialized_exported_program.json", "torch.export.load" } };
    static const char empty[] = "\x80\x02}.";

    for (size_t i = 0; i < sizeof program / sizeof *program; i++) {
        const struct part part[] = { { "m/data.pkl", empty, sizeof empty - 1 },
                                     { program[i].entry, "", 0 } };
        size_t n;
        char *made = archive(part, 2, &n);

        ck_assert_int_eq(parse(made, n), VOCO_EFORMAT);
        ck_assert_says(program[i].says);
        ck_assert_says("state_dict");
        free(made);
    }
}
END_TEST

START_TEST(a_shared_prefix_ends_where_a_network_begins)
{
    static const struct { int prefix, n; const char *name[3]; } set[] = {
        { 0, 2, { "swinViT.patch_embed.proj.weight", "other.weight" } },
        { 0, 1, { "module.backbone.swinViT.patch_embed.proj.weight" } },
        { 4, 2, { "net.swinViT.patch_embed.proj.weight", "net.out.conv.conv.weight" } },
        { 10, 2, { "net.model.swinViT.patch_embed.proj.weight", "net.model.out.bias" } },
        { 4, 2, { "net.module.swinViT.patch_embed.proj.weight", "net.module.out.bias" } },
        { 4, 1, { "net.encoder.stages.0.0.convs.0.conv.weight" } },
        { 6, 2, { "model.patch_embed.proj.weight", "model.layers1.0.x" } },
        { -1, 2, { "net.swinViT.patch_embed.proj.weight", "loss.weight" } },
        { -1, 2, { "net.swinViT.patch_embed.proj.weight", "netswin" } },
        { -1, 2, { "a.b", "a.c" } },
        { -1, 0, { NULL } },
    };

    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        ck_assert_msg(voco_names_prefix(set[i].name, set[i].n) == set[i].prefix, "set %zu: %d",
                      i, voco_names_prefix(set[i].name, set[i].n));
}
END_TEST

START_TEST(code_beside_the_tensors_is_named_and_left_alone)
{
    static const char pickle[] = "\x80\x02}(X\x0a\0\0\0state_dict}X\x01\0\0\0a" TENSOR
        "K\0K\x04\x85K\x01\x85" REST "sX\x01\0\0\0xcos\nsystem\nX\x0e\0\0\0touch voco-ran\x85Ru.";
    static const float x[4];
    const struct part part[] = { { "a/data.pkl", pickle, sizeof pickle - 1 },
                                 { "a/data/0", x, sizeof x } };
    struct voco_tensorfile f;
    size_t n;
    char *made = archive(part, 2, &n);

    ck_assert_int_eq(voco_torchfile_parse(&f, made, n, "file"), VOCO_OK);
    ck_assert_int_eq(f.n, 1);
    ck_assert_int_eq(f.n_foreign, 1);
    ck_assert_str_eq(f.foreign[0], "os.system");
    ck_assert(!voco_file_exists("voco-ran"));
    voco_tensorfile_close(&f);
    free(made);
}
END_TEST

/* PyTorch 1.6 named storages by their address; later versions count them. */
START_TEST(storages_may_be_named_by_any_number)
{
    static const char pickle[] = "\x80\x02}X\x01\0\0\0actorch._utils\n_rebuild_tensor_v2\n(("
        "X\x07\0\0\0storagectorch\nFloatStorage\nX\x0e\0\0\0" "94146789403120X\x03\0\0\0cpu"
        "K\x04tQK\0K\x04\x85K\x01\x85" REST "s.";
    static const float x[4] = { 1, 2, 3, 4 };
    const struct part part[] = { { "archive/data.pkl", pickle, sizeof pickle - 1 },
                                 { "archive/data/94146789403120", x, sizeof x },
                                 { "archive/version", "3\n", 2 } };
    struct voco_tensorfile f;
    size_t n;
    char *made = archive(part, 3, &n);
    float got[4];

    ck_assert_int_eq(voco_torchfile_parse(&f, made, n, "file"), VOCO_OK);
    ck_assert_int_eq(voco_filetensor_copy(find(&f, "a"), got), VOCO_OK);
    ck_assert(memcmp(got, x, sizeof x) == 0);
    voco_tensorfile_close(&f);
    free(made);
}
END_TEST

/* A dict that holds itself: as a value it is no tensor, as a wrapper it ends. */
START_TEST(dict_inside_itself_ends)
{
    static const char plain[] = "\x80\x02}q\x01X\x01\0\0\0ah\x01s.";
    static const char wrapper[] = "\x80\x02}q\x01X\x03\0\0\0neth\x01s.";

    ck_assert_int_eq(parse_pickle(plain, sizeof plain - 1), VOCO_OK);
    ck_assert_int_eq(parse_pickle(wrapper, sizeof wrapper - 1), VOCO_OK);
}
END_TEST

START_TEST(archive_cut_anywhere_is_refused)
{
    static const char *const names[] = { "types.pt", "wrapped.pt", "torch16.pt",
                                         "views-1.13.1.pt", "zip64.pt" };

    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char *path = golden(names[k]), *bytes;
        size_t n;

        ck_assert_int_eq(voco_file_read(path, 1 << 20, &bytes, &n), VOCO_OK);
        ck_assert_int_eq(parse(bytes, n), VOCO_OK);
        for (size_t cut = 0; cut < n; cut++)
            ck_assert_msg(parse(bytes, cut) == VOCO_EFORMAT, "%s cut to %zu of %zu", path,
                          cut, n);
        free(bytes);
        free(path);
    }
}
END_TEST

/* Every byte, changed to each of some others: refused, or the tensors are in the file. */
START_TEST(changed_bytes_never_lead_outside)
{
    static const unsigned char by[] = { 1, 2, 4, 8, 16, 32, 64, 128, 255 };
    static const char *const names[] = { "views.pt", "nocrc.pt", "torch16.pt",
                                         "views-1.13.1.pt", "zip64.pt" };
    int refused = 0;

    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        char *path = golden(names[k]), *bytes;
        size_t n;

        ck_assert_int_eq(voco_file_read(path, 1 << 20, &bytes, &n), VOCO_OK);
        for (size_t i = 0; i < n; i++)
            for (size_t b = 0; b < sizeof by; b++) {
                bytes[i] = (char)(bytes[i] ^ by[b]);
                refused += parse(bytes, n) != VOCO_OK;
                bytes[i] = (char)(bytes[i] ^ by[b]);
            }
        free(bytes);
        free(path);
    }
    ck_assert_int_gt(refused, 5000);
}
END_TEST

/* A byte of a tensor has changed: only the checksum can tell, and it does, for a part of
 * a storage, too. */
START_TEST(damaged_elements_are_found_when_read)
{
    char *path = golden("views.pt"), *bytes, *element;
    const float seven = 7.0f / 4 - 1;
    struct voco_tensorfile f;
    float x[24];
    size_t n;

    ck_assert_int_eq(voco_file_read(path, 1 << 20, &bytes, &n), VOCO_OK);
    ck_assert_int_eq(voco_torchfile_parse(&f, bytes, n, "file"), VOCO_OK);
    ck_assert_int_eq(voco_tensorfile_verify(&f), VOCO_OK);
    element = memmem(bytes, n, &seven, sizeof seven);
    ck_assert_ptr_nonnull(element);
    *element ^= 1;
    for (int i = 0; i < 2; i++) {
        const struct voco_filetensor *t = voco_tensorfile_find(&f, i ? "row" : "base");

        ck_assert_int_eq(voco_filetensor_check(t), VOCO_EFORMAT);
        ck_assert_int_eq(voco_filetensor_copy(t, x), VOCO_EFORMAT);
        ck_assert_says("views/data/0: CRC error: the file is damaged");
    }
    ck_assert_int_eq(voco_tensorfile_verify(&f), VOCO_EFORMAT);
    voco_tensorfile_close(&f);
    free(bytes);
    free(path);
}
END_TEST

/* ---- writing ---- */

static enum voco_err
make_item(void *arg, int i, void **ret)
{
    const struct voco_filetensor *item = arg;

    *ret = malloc(item[i].bytes + 1);
    memcpy(*ret, item[i].data, item[i].bytes);
    return VOCO_OK;
}

/* Are the bytes in the file at a multiple of 64? */
static bool
is_aligned(const struct voco_tensorfile *f, const void *bytes, size_t n)
{
    for (size_t at = 0; at + n <= f->map_bytes; at += 64)
        if (memcmp((const char *)f->map + at, bytes, n) == 0)
            return true;
    return false;
}

START_TEST(written_files_come_back)
{
    static const float f[6] = { 1.5f, -2, 0, 3e38f, 1e-40f, 7 };
    static const uint16_t h[2] = { 0x3C00, 0x3F80 };
    static const int64_t i64[2] = { -1, INT64_MAX };
    const struct voco_filetensor item[] = {
        { .name = "x.weight", .type = "F32", .rank = 3, .dim = { 1, 2, 3 }, .data = f,
          .bytes = sizeof f },
        { .name = "half", .type = "F16", .rank = 1, .dim = { 2 }, .data = h, .bytes = 4 },
        { .name = "b\xc3\xa9", .type = "BF16", .rank = 1, .dim = { 2 }, .data = h, .bytes = 4 },
        { .name = "scalar", .type = "I64", .rank = 0, .data = i64, .bytes = 8 },
        { .name = "none", .type = "F64", .rank = 2, .dim = { 0, 3 }, .data = f, .bytes = 0 },
        { .name = "i", .type = "I64", .rank = 1, .dim = { 2 }, .data = i64, .bytes = 16 },
    };
    const struct voco_filemeta meta[] = { { "format", "pt" }, { "voco.merging", "fixed" } };
    const int n = sizeof item / sizeof *item;

    for (int wrap = 0; wrap < 2; wrap++) {
        struct voco_zipwriter w;
        struct voco_tensorfile file;
        char bytes[64];

        ck_assert_int_eq(voco_zipwriter_open(&w, scratch("w.pt")), VOCO_OK);
        ck_assert_int_eq(voco_torchfile_begin(&w, wrap ? "state_dict" : NULL, item, NULL, n, meta,
                                              2),
                         VOCO_OK);
        for (int i = 0; i < n; i++)
            ck_assert_int_eq(voco_torchfile_put(&w, item[i].bytes, &(struct voco_zippart){
                                 .make = make_item, .arg = (void *)(uintptr_t)item, .i = i }),
                             VOCO_OK);
        ck_assert_int_eq(voco_zipwriter_commit(&w), VOCO_OK);
        ck_assert_int_eq(voco_tensorfile_open(&file, scratch("w.pt")), VOCO_OK);
        ck_assert_int_eq(voco_tensorfile_verify(&file), VOCO_OK);
        ck_assert_str_eq(file.wrapper, wrap ? "state_dict" : "");
        ck_assert_str_eq(voco_tensorfile_meta(&file, "voco.merging"), "fixed");
        ck_assert_int_eq(file.n, n);
        for (int i = 0; i < n; i++) {
            const struct voco_filetensor *t = find(&file, item[i].name);

            ck_assert_str_eq(t->type, item[i].type);
            ck_assert_int_eq(t->rank, item[i].rank);
            ck_assert_uint_eq(t->bytes, item[i].bytes);
            ck_assert(!t->strided && memcmp(t->dim, item[i].dim, sizeof t->dim) == 0);
            ck_assert_int_eq(voco_filetensor_copy(t, bytes), VOCO_OK);
            ck_assert(memcmp(bytes, item[i].data, t->bytes) == 0);
            ck_assert(is_aligned(&file, bytes, t->bytes));
        }
        voco_tensorfile_close(&file);
    }
}
END_TEST

/* ---- names ---- */

START_TEST(names_have_one_common_form)
{
    static const struct { const char *name, *common; } forms[] = {
        { "swinViT.patch_embed.proj.weight", "swinViT.patch_embed.proj.weight" },
        { "module.backbone.swinViT.layers1.0.blocks.0.mlp.linear1.bias",
          "swinViT.layers1.0.blocks.0.mlp.linear1.bias" },
        { "backbone.module.swin_vit.layers1.0.blocks.1.mlp.fc2.weight",
          "swinViT.layers1.0.blocks.1.mlp.linear2.weight" },
        { "module.layers4.0.blocks.0.mlp.fc1.weight",
          "swinViT.layers4.0.blocks.0.mlp.linear1.weight" },
        { "patch_embed.proj.bias", "swinViT.patch_embed.proj.bias" },
        { "module.student.layer1.0.weight", "student.layer1.0.weight" },
        { "module.encoder10.layer.conv1.conv.weight", "encoder10.layer.conv1.conv.weight" },
        { "head.mlp.fc1.weight", "head.mlp.fc1.weight" },       /* of another network */
        { "layers5.x", "layers5.x" }, { "", "" },
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char *common = voco_name_common(forms[i].name);

        ck_assert_str_eq(common, forms[i].common);
        free(common);
    }
}
END_TEST

START_TEST(styled_names_mean_the_same)
{
    static const char *const common[] = {
        "swinViT.layers1.0.blocks.0.mlp.linear1.weight", "encoder1.layer.conv1.conv.weight",
        "decoder5.transp_conv.conv.weight", "out.conv.conv.bias", "student.layer1.0.bias",
    };
    static const char *const official[] = {
        "module.backbone.swinViT.layers1.0.blocks.0.mlp.linear1.weight",
        "module.backbone.encoder1.layer.conv1.conv.weight",
        "module.backbone.decoder5.transp_conv.conv.weight", "module.backbone.out.conv.conv.bias",
        "module.student.layer1.0.bias",
    };
    char *name;

    for (int i = 0; i < 5; i++) {
        name = voco_name_styled(common[i], VOCO_NAMES_OFFICIAL);
        ck_assert_str_eq(name, official[i]);
        free(name);
        for (int style = VOCO_NAMES_VOCO; style <= VOCO_NAMES_NVIDIA; style++)
            if ((name = voco_name_styled(common[i], (enum voco_name_style)style)) != NULL) {
                char *back = voco_name_common(name);

                ck_assert_str_eq(back, common[i]);
                free(back);
                free(name);
            }
    }
    name = voco_name_styled(common[0], VOCO_NAMES_NVIDIA);
    ck_assert_str_eq(name, "module.layers1.0.blocks.0.mlp.fc1.weight");
    free(name);
    ck_assert_ptr_null(voco_name_styled(common[4], VOCO_NAMES_MONAI));
    ck_assert_ptr_null(voco_name_styled(common[1], VOCO_NAMES_NVIDIA));
    ck_assert_ptr_null(voco_name_styled("fc.weight", VOCO_NAMES_VOCO));
}
END_TEST

Suite *
test_suite(void)
{
    Suite *suite = suite_create("torchfile");
    TCase *tc = tcase_create("torchfile");

    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, scratch_setup, scratch_teardown);
    tcase_add_loop_test(tc, every_type_is_read, 0, VERSIONS);
    tcase_add_loop_test(tc, views_of_a_shared_storage_are_laid_out, 0, VERSIONS);
    tcase_add_loop_test(tc, state_dict_of_a_module_is_read, 0, VERSIONS);
    tcase_add_loop_test(tc, a_second_dictionary_is_named_and_none_is_guessed, 0,
                        (int)(sizeof several / sizeof *several));
    tcase_add_test(tc, programs_in_archives_are_refused_with_the_way_to_weights);
    tcase_add_test(tc, a_shared_prefix_ends_where_a_network_begins);
    tcase_add_loop_test(tc, tensors_are_found_in_wrappers, 0,
                        (int)(sizeof wrapped / sizeof *wrapped));
    tcase_add_loop_test(tc, names_beside_the_tensors_are_listed, 0, VERSIONS);
    tcase_add_test(tc, other_files_of_pytorch_are_refused_with_a_way_out);
    tcase_add_loop_test(tc, hostile_pickle_is_refused_in_words, 0,
                        (int)(sizeof hostile / sizeof *hostile));
    tcase_add_test(tc, code_beside_the_tensors_is_named_and_left_alone);
    tcase_add_test(tc, storages_may_be_named_by_any_number);
    tcase_add_test(tc, dict_inside_itself_ends);
    tcase_add_test(tc, archive_cut_anywhere_is_refused);
    tcase_add_test(tc, changed_bytes_never_lead_outside);
    tcase_add_test(tc, damaged_elements_are_found_when_read);
    tcase_add_test(tc, written_files_come_back);
    tcase_add_test(tc, names_have_one_common_form);
    tcase_add_test(tc, styled_names_mean_the_same);
    suite_add_tcase(suite, tc);
    return suite;
}
