/*
 * make_dicom VOLUME FOLDER: a CT series, a file for each slice, explicit VR little endian,
 * of a volume with the axes left, posterior, superior and whole HU.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "data/volume/volume.h"

#define ROOT "1.2.826.0.1.3680043.10.1234"      /* of UIDs; these go nowhere */
#define CT_IMAGE "1.2.840.10008.5.1.4.1.1.2"

static void
put_int(FILE *out, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        fputc((int)(value >> 8 * i & 255), out);
}

/* Tag, VR and length; OB, OW and the like have four bytes of length. */
static void
put_head(FILE *out, uint16_t group, uint16_t element, const char *vr, uint32_t length)
{
    put_int(out, group, 2);
    put_int(out, element, 2);
    fwrite(vr, 1, 2, out);
    if (vr[0] == 'O')
        put_int(out, 0, 2);
    put_int(out, length, vr[0] == 'O' ? 4 : 2);
}

/* Of even length: UIDs are padded with 0, the rest with a space. */
static void
put_text(FILE *out, uint16_t group, uint16_t element, const char *vr, const char *text)
{
    const size_t n = strlen(text);

    put_head(out, group, element, vr, (uint32_t)(n + n % 2));
    fwrite(text, 1, n, out);
    if (n % 2)
        fputc(strcmp(vr, "UI") == 0 ? 0 : ' ', out);
}

static void
put_short(FILE *out, uint16_t element, int64_t value)
{
    put_head(out, 0x0028, element, "US", 2);
    put_int(out, (uint32_t)value, 2);
}

/* The group's length counts what follows it: the version takes 14 bytes. */
static void
put_meta(FILE *out, const char *instance)
{
    static const char syntax[] = "1.2.840.10008.1.2.1", self[] = ROOT;
    const size_t text[] = { strlen(CT_IMAGE), strlen(instance), strlen(syntax),
                            strlen(self) };
    uint32_t length = 14;

    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        length += 8 + (uint32_t)(text[i] + text[i] % 2);
    for (int i = 0; i < 128; i++)
        fputc(0, out);
    fputs("DICM", out);
    put_head(out, 0x0002, 0x0000, "UL", 4);
    put_int(out, length, 4);
    put_head(out, 0x0002, 0x0001, "OB", 2);
    put_int(out, 0x0100, 2);
    put_text(out, 0x0002, 0x0002, "UI", CT_IMAGE);
    put_text(out, 0x0002, 0x0003, "UI", instance);
    put_text(out, 0x0002, 0x0010, "UI", syntax);
    put_text(out, 0x0002, 0x0012, "UI", self);
}

/* Patient coordinates of DICOM are L, P, S: x and y of the affine turn round. */
static void
put_slice(FILE *out, const struct voco_volume *v, const double spacing_mm[3], int64_t z)
{
    char instance[80], number[16], place[96], pixel[48], thick[24];

    snprintf(instance, sizeof instance, ROOT ".3.%d", (int)z + 1);
    snprintf(number, sizeof number, "%d", (int)z + 1);
    snprintf(place, sizeof place, "%.4f\\%.4f\\%.4f", -v->affine[0][3], -v->affine[1][3],
             v->affine[2][3] + (double)z * spacing_mm[2]);
    snprintf(pixel, sizeof pixel, "%.4f\\%.4f", spacing_mm[1], spacing_mm[0]);
    snprintf(thick, sizeof thick, "%.4f", spacing_mm[2]);
    put_meta(out, instance);
    put_text(out, 0x0008, 0x0016, "UI", CT_IMAGE);
    put_text(out, 0x0008, 0x0018, "UI", instance);
    put_text(out, 0x0008, 0x0060, "CS", "CT");
    put_text(out, 0x0008, 0x103e, "LO", "phantom");
    put_text(out, 0x0018, 0x0050, "DS", thick);
    put_text(out, 0x0018, 0x5100, "CS", "HFS");
    put_text(out, 0x0020, 0x000d, "UI", ROOT ".1");
    put_text(out, 0x0020, 0x000e, "UI", ROOT ".2");
    put_text(out, 0x0020, 0x0011, "IS", "1");
    put_text(out, 0x0020, 0x0013, "IS", number);
    put_text(out, 0x0020, 0x0032, "DS", place);
    put_text(out, 0x0020, 0x0037, "DS", "1\\0\\0\\0\\1\\0");
    put_text(out, 0x0020, 0x0052, "UI", ROOT ".4");
    put_short(out, 0x0002, 1);                          /* samples of a pixel */
    put_text(out, 0x0028, 0x0004, "CS", "MONOCHROME2");
    put_short(out, 0x0010, v->dim[1]);                  /* rows, columns */
    put_short(out, 0x0011, v->dim[0]);
    put_text(out, 0x0028, 0x0030, "DS", pixel);
    put_short(out, 0x0100, 16);                         /* bits: allocated, stored, high */
    put_short(out, 0x0101, 16);
    put_short(out, 0x0102, 15);
    put_short(out, 0x0103, 1);                          /* with sign */
    put_text(out, 0x0028, 0x1052, "DS", "0");
    put_text(out, 0x0028, 0x1053, "DS", "1");
    put_head(out, 0x7fe0, 0x0010, "OW", (uint32_t)(2 * v->dim[0] * v->dim[1]));
    for (int64_t y = 0; y < v->dim[1]; y++)
        for (int64_t x = 0; x < v->dim[0]; x++) {
            const float hu = v->voxel[(x * v->dim[1] + y) * v->dim[2] + z];

            put_int(out, (uint32_t)(int32_t)hu, 2);
        }
}

static int
write_series(const char *folder, const struct voco_volume *v)
{
    double spacing_mm[3];
    int status = 0;

    voco_volume_spacing(v, spacing_mm);
    for (int64_t z = 0; z < v->dim[2] && status == 0; z++) {
        char *path = voco_format("%s/slice%03d.dcm", folder, (int)z);
        FILE *out = fopen(path, "wb");

        if (out)
            put_slice(out, v, spacing_mm, z);
        if (!out || fclose(out) != 0) {
            perror(path);
            status = 1;
        }
        free(path);
    }
    return status;
}

int
main(int argc, char **argv)
{
    struct voco_volume v;
    int status;

    if (argc != 3)
        return 2;
    if (voco_volume_read(argv[1], &v) || voco_folder_make(argv[2])) {
        fprintf(stderr, "make_dicom: %s\n", voco_fail_text());
        return 1;
    }
    status = write_series(argv[2], &v);
    voco_volume_free(&v);
    return status;
}
