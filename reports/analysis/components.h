/* Principal components of a cloud of points. Single-threaded, fixed order of arithmetic: the same points give
 * the same bits. */
#ifndef LAY_REPORTS_COMPONENTS_H
#define LAY_REPORTS_COMPONENTS_H

#include "engine/base/err.h"

#include <stdint.h>

#define LAY_COMPONENTS 2

struct lay_components {
    double variance[LAY_COMPONENTS]; /* along each component, largest first: Σ coordinate² / (n − 1) */
    double share[LAY_COMPONENTS];    /* of the whole variance, 0 … 1; 0 when all points are the same */
};

/* The first two principal components of points [n, width], n ≥ 2. coordinates [n, LAY_COMPONENTS]: the
 * centred points along unit vectors u that maximise the variance, u_2 orthogonal to u_1; the sign of u is
 * such that its element of largest magnitude (the first of equals) is positive. A component without variance
 * has coordinates 0. Lanczos iteration with full reorthogonalisation until both residuals are below 1e-12 of
 * the largest eigenvalue (or 512 steps, which no real cloud has needed). */
enum lay_status lay_principal_components(const float *points, int64_t n, int64_t width, double *coordinates,
                                         struct lay_components *components, struct lay_err *err);

/* Eigenvalues, descending, and eigenvectors (rows of `vectors` [n, n], unit length) of the symmetric matrix
 * [n, n], by cyclic Jacobi rotations; `matrix` is destroyed. */
void lay_symmetric_eigen(double *matrix, int64_t n, double *values, double *vectors);

#endif
