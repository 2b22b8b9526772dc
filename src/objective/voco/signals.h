/*
 * Does the model know the positions?  Small sums on the host over one step's labels and
 * position weights.
 */
#ifndef VOCO_OBJECTIVE_VOCO_SIGNALS_H
#define VOCO_OBJECTIVE_VOCO_SIGNALS_H

struct voco_position {
    /* Share of the rows whose largest predicted weight is at a base with the largest true
     * weight.  Where k predictions tie and m of them are right, the row counts m/k.
     * Always answering the middle base gives about 1/4. */
    double accuracy;
    double error;           /* mean of |true - predicted| over all weights */
};

/* labels, predicted: [rows][bases]. */
struct voco_position voco_position_signals(const float *labels, const float *predicted,
                                           int rows, int bases);

#endif
