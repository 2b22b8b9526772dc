/*
 * Small volume files made in memory, so that a test can make any of them wrong.
 */
#ifndef VOCO_TESTS_VOLFILE_H
#define VOCO_TESTS_VOLFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
    unsigned char data[1 << 16];
    size_t n;
};

enum element { U8, I8, U16, I16, U32, I32, U64, I64, F32, F64, N_ELEMENTS };

enum { NX = 3, NY = 4, NZ = 5 };

/* The value of voxel (x,y,z) in every file: different everywhere, small enough for i8. */
int value_at(int x, int y, int z);

/* Writes a number at a place, in the byte order asked for. */
void put_int(struct bytes *b, size_t at, int width, bool big, int64_t v);
void put_real(struct bytes *b, size_t at, int width, bool big, double v);

/* Appends all NX*NY*NZ values. */
void append_elements(struct bytes *b, enum element e, bool big);
void append_text(struct bytes *b, const char *text);

/* version 1 or 2; a single file with sform diag(-2,-3,4), origin (10,20,30). */
void make_nifti(struct bytes *b, int version, enum element e, bool big);

/* gzip when gz, else a zlib stream. */
void deflated(const struct bytes *from, bool gz, struct bytes *to);

#endif
