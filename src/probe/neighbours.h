/*
 * Similarity of rows, their order by it, and the votes of the nearest.
 */
#ifndef VOCO_PROBE_NEIGHBOURS_H
#define VOCO_PROBE_NEIGHBOURS_H

/* sim[n][m]: cosines of a[n][width] with b[m][width]; 0 where a row is 0. */
void voco_cosine(const double *a, int n, const double *b, int m, int width, double *sim);

/* order[n] = 0..n-1 by falling similarity, equal ones by index. */
void voco_order_by_similarity(const double *sim, int n, int *order);

/*
 * vote[classes] of the first k of order, each 1, or exp(similarity / temperature) where
 * temperature is above 0.  The result is the class with most votes; of equal ones the one with
 * the larger sum of similarities, then the lower one.
 */
int voco_neighbours_vote(const double *sim, const int *order, const int *label, int k,
                         int classes, double temperature, double *vote);

#endif
