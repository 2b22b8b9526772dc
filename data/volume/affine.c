/* Small dense algebra on voxel-to-millimetre maps; the inverse is by cofactors. */
#include "data/volume/affine.h"

#include <math.h>
#include <string.h>

void
voco_affine_identity(double out[4][4])
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            out[i][j] = i == j;
}

void
voco_affine_mul(const double a[4][4], const double b[4][4], double out[4][4])
{
    double m[4][4];

    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            m[i][j] = a[i][0] * b[0][j] + a[i][1] * b[1][j] + a[i][2] * b[2][j]
                    + a[i][3] * b[3][j];
    memcpy(out, m, sizeof m);
}

/* The 2x2 minor of the linear part that leaves out row i and column j, signed by the
 * cyclic choice of the other indices. */
static double
cofactor(const double a[4][4], int i, int j)
{
    const int r = (i + 1) % 3, s = (i + 2) % 3, c = (j + 1) % 3, d = (j + 2) % 3;

    return a[r][c] * a[s][d] - a[r][d] * a[s][c];
}

double
voco_affine_det(const double a[4][4])
{
    return a[0][0] * cofactor(a, 0, 0) + a[0][1] * cofactor(a, 0, 1)
         + a[0][2] * cofactor(a, 0, 2);
}

bool
voco_affine_invert(const double a[4][4], double out[4][4])
{
    const double det = voco_affine_det(a);
    double m[4][4];

    if (!isfinite(det) || det == 0)
        return false;
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++)
            m[i][j] = cofactor(a, j, i) / det;
        m[i][3] = -(m[i][0] * a[0][3] + m[i][1] * a[1][3] + m[i][2] * a[2][3]);
        m[3][i] = 0;
        for (int j = 0; j < 4; j++)
            if (!isfinite(m[i][j]))
                return false;
    }
    m[3][3] = 1;
    memcpy(out, m, sizeof m);
    return true;
}

void
voco_affine_spacing(const double a[4][4], double mm[3])
{
    for (int j = 0; j < 3; j++)
        mm[j] = sqrt(a[0][j] * a[0][j] + a[1][j] * a[1][j] + a[2][j] * a[2][j]);
}
