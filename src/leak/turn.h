/*
 * The 48 ways in which the axes of a volume can be exchanged and reversed.
 */
#ifndef VOCO_LEAK_TURN_H
#define VOCO_LEAK_TURN_H

enum { VOCO_TURNS = 48 };

/* y[a] = sign[a] x[from[a]].  Number 0 leaves everything as it is. */
struct voco_turn {
    int from[3], sign[3];
};

struct voco_turn voco_turn_at(int number);
int voco_turn_number(const struct voco_turn *t);

/* The one that undoes a, and the one that does first a and then b. */
int voco_turn_inverse(int a);
int voco_turn_then(int a, int b);

/* y may not be x. */
void voco_turn_apply(int number, const double x[3], double y[3]);

/* "+x+y+z", "-x+y+z", "+z-y+x": where the axes of y come from. */
const char *voco_turn_name(int number, char buf[8]);

#endif
