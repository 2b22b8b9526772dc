/*
 * PNG files, 8 bits a channel, whole or absent.
 */
#ifndef VOCO_REPORT_PNG_H
#define VOCO_REPORT_PNG_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* pixels: [height][width][channels], top row first; channels is 1 (gray) or 3 (RGB). */
struct voco_picture {
    uint8_t *pixels;
    int width, height, channels;
};

enum voco_err voco_png_write(const char *path, const struct voco_picture *p);

/* The same bytes in memory. Free *ret. */
enum voco_err voco_png_encode(const struct voco_picture *p, uint8_t **ret, size_t *ret_n);

/* Read any PNG as 8-bit gray or RGB (alpha is dropped). Free ret->pixels. */
enum voco_err voco_png_read(const char *path, struct voco_picture *ret);

#endif
