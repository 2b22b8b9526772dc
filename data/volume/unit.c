/* Units of length by name. */
#include "data/volume/unit.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

bool
voco_length_unit(const char *name, int n, double *ret_mm)
{
    static const struct {
        const char *name;
        double mm;
    } UNIT[] = {
        {"m", 1e3}, {"meter", 1e3}, {"metre", 1e3},
        {"cm", 10}, {"centimeter", 10}, {"centimetre", 10},
        {"mm", 1}, {"millimeter", 1}, {"millimetre", 1},
        {"um", 1e-3}, {"\xc2\xb5m", 1e-3}, {"\xce\xbcm", 1e-3},     /* micro sign, mu */
        {"\xb5m", 1e-3}, {"micron", 1e-3}, {"micrometer", 1e-3}, {"micrometre", 1e-3},
        {"nm", 1e-6}, {"nanometer", 1e-6}, {"nanometre", 1e-6},
        {"in", 25.4}, {"inch", 25.4}
    };

    for (size_t i = 0; i < sizeof UNIT / sizeof *UNIT; i++) {
        const int m = (int)strlen(UNIT[i].name);
        const bool plural = m > 3 && n == m + 1 && (name[m] == 's' || name[m] == 'S');

        if ((n == m || plural) && strncasecmp(name, UNIT[i].name, (size_t)m) == 0) {
            *ret_mm = UNIT[i].mm;
            return true;
        }
    }
    return false;
}
