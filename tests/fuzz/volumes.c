/* The readers of images. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "data/volume/kind.h"
#include "data/volume/stream.h"
#include "data/volume/volume.h"
#include "tests/fuzz/bytes.h"
#include "tests/fuzz/targets.h"

static int
read_volume(const char *path)
{
    struct voco_volume *v;
    int n;

    if (voco_volume_read_all(path, &v, &n) == VOCO_OK)
        for (int i = 0; i < n; i++) {
            fuzz_touch(v[i].voxel, (size_t)(v[i].dim[0] * v[i].dim[1] * v[i].dim[2])
                                   * sizeof *v[i].voxel);
            voco_volume_nonfinite(&v[i]);
        }
    voco_volumes_free(v, n);
    return 0;
}

/* A pair's voxels are these. */
int
fuzz_nifti(const uint8_t *bytes, size_t n)
{
    static const char voxels[64] = "voxels of a pair";
    static const char *image;

    if (!image)
        image = fuzz_file("volume.img", voxels, sizeof voxels);
    return read_volume(fuzz_file("volume.hdr", bytes, n));
}

/* In a gzip file of one stored block, whose checksum is right. */
int
fuzz_niftigz(const uint8_t *bytes, size_t n)
{
    const size_t room = 10 + 5 + n + 8;
    uint32_t tail[2] = { (uint32_t)crc32(0, bytes, (uInt)n), (uint32_t)n };
    uint8_t *packed, *to;

    if (n > 0xffff)
        return 0;
    to = packed = malloc(room);
    if (!packed)
        abort();
    memcpy(to, "\x1f\x8b\x08\0\0\0\0\0\0\xff\x01", 11);
    to += 11;
    *to++ = (uint8_t)n;
    *to++ = (uint8_t)(n >> 8);
    *to++ = (uint8_t)~n;
    *to++ = (uint8_t)(~n >> 8);
    memcpy(to, bytes, n);
    to += n;
    for (int i = 0; i < 8; i++)
        *to++ = (uint8_t)(tail[i / 4] >> i % 4 * 8);
    read_volume(fuzz_file("volume.nii.gz", packed, room));
    free(packed);
    return 0;
}

int
fuzz_nrrd(const uint8_t *bytes, size_t n)
{
    return read_volume(fuzz_file("volume.nrrd", bytes, n));
}

int
fuzz_metaimage(const uint8_t *bytes, size_t n)
{
    return read_volume(fuzz_file("volume.mha", bytes, n));
}

int
fuzz_kind(const uint8_t *bytes, size_t n)
{
    const char *path = fuzz_file("something", bytes, n);
    enum voco_kind kind;

    voco_is_dicom_head((const char *)bytes, n);
    voco_is_dicomdir_head((const char *)bytes, n);
    voco_kind_sniff(path);
    voco_kind_recognise(path, &kind);
    voco_volume_sniff(path);
    return 0;
}

/* The first two bytes say how much is wanted of the rest. */
int
fuzz_gzip(const uint8_t *bytes, size_t n)
{
    const size_t want = n < 2 ? 0 : (size_t)bytes[0] | (size_t)bytes[1] << 8;
    struct voco_stream s;
    const char *path;
    char *out;

    if (n < 2)
        return 0;
    path = fuzz_file("packed.gz", bytes + 2, n - 2);
    out = malloc(want + 1);
    if (!out)
        abort();
    if (voco_stream_open(&s, path, 0, bytes[0] & 1 ? VOCO_PACKED : VOCO_GUESS) == VOCO_OK) {
        if (voco_stream_expect(&s, (int64_t)want) == VOCO_OK
            && ((s.z && voco_stream_read_all(&s, out, want))
                || (voco_stream_skip(&s, (int64_t)(want / 2)) == VOCO_OK
                    && voco_stream_read(&s, out, want - want / 2) == VOCO_OK)))
            voco_stream_finish(&s);
        voco_stream_close(&s);
    }
    free(out);
    return 0;
}
