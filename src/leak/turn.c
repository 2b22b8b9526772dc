/* Signed permutations of three axes, numbered: 8 times the permutation, plus a bit for
 * every axis that is reversed. */
#include "leak/turn.h"

static const int permutation[6][3] = {
    { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 }
};

struct voco_turn
voco_turn_at(int number)
{
    struct voco_turn t;

    for (int a = 0; a < 3; a++) {
        t.from[a] = permutation[number / 8][a];
        t.sign[a] = number >> a & 1 ? -1 : 1;
    }
    return t;
}

int
voco_turn_number(const struct voco_turn *t)
{
    int p = 0, bits = 0;

    while (permutation[p][0] != t->from[0] || permutation[p][1] != t->from[1])
        p++;
    for (int a = 0; a < 3; a++)
        bits |= (t->sign[a] < 0) << a;
    return p * 8 + bits;
}

int
voco_turn_inverse(int number)
{
    const struct voco_turn t = voco_turn_at(number);
    struct voco_turn back = t;

    for (int a = 0; a < 3; a++) {
        back.from[t.from[a]] = a;
        back.sign[t.from[a]] = t.sign[a];
    }
    return voco_turn_number(&back);
}

int
voco_turn_then(int a, int b)
{
    const struct voco_turn first = voco_turn_at(a), second = voco_turn_at(b);
    struct voco_turn both = first;

    for (int k = 0; k < 3; k++) {
        both.from[k] = first.from[second.from[k]];
        both.sign[k] = second.sign[k] * first.sign[second.from[k]];
    }
    return voco_turn_number(&both);
}

void
voco_turn_apply(int number, const double x[3], double y[3])
{
    const struct voco_turn t = voco_turn_at(number);

    for (int a = 0; a < 3; a++)
        y[a] = t.sign[a] * x[t.from[a]];
}

const char *
voco_turn_name(int number, char buf[8])
{
    const struct voco_turn t = voco_turn_at(number);

    for (int a = 0; a < 3; a++) {
        buf[2 * a] = t.sign[a] < 0 ? '-' : '+';
        buf[2 * a + 1] = "xyz"[t.from[a]];
    }
    buf[6] = '\0';
    return buf;
}
