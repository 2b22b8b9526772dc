/* Does a step's model know the positions? */
#include "objective/voco/signals.h"

#include <math.h>

/* Share of right answers among the predictions that tie for the largest. */
static double
row_accuracy(const float *label, const float *predicted, int bases)
{
    float best_label = label[0], best = predicted[0];
    int ties = 0, right = 0;

    for (int k = 0; k < bases; k++) {
        if (!isfinite(predicted[k]))
            return 0;
        best_label = label[k] > best_label ? label[k] : best_label;
        best = predicted[k] > best ? predicted[k] : best;
    }
    for (int k = 0; k < bases; k++) {
        ties += predicted[k] == best;
        right += predicted[k] == best && label[k] == best_label;
    }
    return (double)right / ties;
}

struct voco_position
voco_position_signals(const float *labels, const float *predicted, int rows, int bases)
{
    struct voco_position p = { 0, 0 };

    if (rows <= 0 || bases <= 0)
        return (struct voco_position){ NAN, NAN };
    for (int r = 0; r < rows; r++, labels += bases, predicted += bases) {
        p.accuracy += row_accuracy(labels, predicted, bases);
        for (int k = 0; k < bases; k++)
            p.error += fabs((double)labels[k] - (double)predicted[k]);
    }
    p.accuracy /= rows;
    p.error /= (double)rows * bases;
    return p;
}
