/* Lanczos iteration on C = XᵀX, X the centred points (Golub and Van Loan, Matrix Computations, section 10.1):
 * an orthonormal basis q_1, q_2, … with C q_k = β_{k−1} q_{k−1} + α_k q_k + β_k q_{k+1}. Eigenvalues of the
 * tridiagonal matrix of α and β approach those of C from its ends inwards; with y an eigenvector of it, the
 * residual is |β_k y_k|. */
#include "reports/analysis/components.h"

#include "engine/base/mem.h"

#include <assert.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define RESIDUAL 1e-12  /* of the largest eigenvalue */
#define BREAKDOWN 1e-14 /* β below this share of the largest: the basis spans an invariant subspace */
#define FIRST_CHECK 16  /* steps before the first look at convergence; then doubled */
#define STEPS_MAX 512   /* some fifty are usual */

struct lanczos {
    const float *points;
    int64_t n, width, steps_max;
    double *mean;   /* [width] */
    double *along;  /* [n] X q */
    double *basis;  /* [steps_max + 1, width] */
    double *alpha;  /* [steps_max] */
    double *beta;   /* [steps_max]; 0 after a breakdown */
    double *matrix; /* [steps_max²] */
    double *values, *vectors;
    double trace; /* Σ of all eigenvalues */
    int64_t steps;
};

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void centre(struct lanczos *l)
{
    for (int64_t i = 0; i < l->n; i++)
        for (int64_t j = 0; j < l->width; j++)
            l->mean[j] += (double)l->points[i * l->width + j];
    for (int64_t j = 0; j < l->width; j++)
        l->mean[j] /= (double)l->n;
    for (int64_t i = 0; i < l->n; i++)
        for (int64_t j = 0; j < l->width; j++) {
            const double x = (double)l->points[i * l->width + j] - l->mean[j];
            l->trace += x * x;
        }
}

/* along = X q */
static void project(const struct lanczos *l, const double *q)
{
    for (int64_t i = 0; i < l->n; i++) {
        const float *x = l->points + i * l->width;
        double sum = 0;
        for (int64_t j = 0; j < l->width; j++)
            sum += ((double)x[j] - l->mean[j]) * q[j];
        l->along[i] = sum;
    }
}

/* out = Xᵀ X q */
static void multiply(const struct lanczos *l, const double *q, double *out)
{
    project(l, q);
    memset(out, 0, (size_t)l->width * sizeof *out);
    for (int64_t i = 0; i < l->n; i++) {
        const float *x = l->points + i * l->width;
        for (int64_t j = 0; j < l->width; j++)
            out[j] += l->along[i] * ((double)x[j] - l->mean[j]);
    }
}

/* Takes from v its parts along the first k basis vectors; twice is enough (Kahan, in Parlett). */
static void orthogonalise(const struct lanczos *l, double *v, int64_t k)
{
    for (int pass = 0; pass < 2; pass++)
        for (int64_t i = 0; i < k; i++) {
            const double *q = l->basis + i * l->width;
            const double part = dot(v, q, l->width);
            for (int64_t j = 0; j < l->width; j++)
                v[j] -= part * q[j];
        }
}

static void scale(double *v, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++)
        v[i] *= factor;
}

/* Basis vector k out of fixed pseudo-random numbers, orthogonal to the earlier ones. */
static void fresh_vector(const struct lanczos *l, int64_t k)
{
    double *v = l->basis + k * l->width;
    uint64_t state = 0x9e3779b97f4a7c15u + (uint64_t)k;
    double length = 0;
    while (length < 1e-3) { /* in all but freak cases the first try */
        for (int64_t j = 0; j < l->width; j++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            v[j] = (double)(state >> 11) * 0x1p-52 - 1;
        }
        scale(v, l->width, 1 / sqrt(dot(v, v, l->width)));
        orthogonalise(l, v, k);
        length = sqrt(dot(v, v, l->width));
    }
    scale(v, l->width, 1 / length);
}

/* Step k: α_k, β_k and, unless the space is exhausted, the next basis vector. */
static void step(struct lanczos *l, int64_t k)
{
    const double *q = l->basis + k * l->width;
    double *next = l->basis + (k + 1) * l->width;
    multiply(l, q, next);
    l->alpha[k] = dot(q, next, l->width);
    orthogonalise(l, next, k + 1);
    l->beta[k] = sqrt(dot(next, next, l->width));
    l->steps = k + 1;
    if (l->beta[k] > BREAKDOWN * l->trace) {
        scale(next, l->width, 1 / l->beta[k]);
        return;
    }
    l->beta[k] = 0;
    if (l->steps < l->steps_max)
        fresh_vector(l, k + 1);
}

/* Eigenpairs of the tridiagonal matrix so far. */
static void solve(struct lanczos *l)
{
    const int64_t k = l->steps;
    memset(l->matrix, 0, (size_t)(k * k) * sizeof *l->matrix);
    for (int64_t i = 0; i < k; i++) {
        l->matrix[i * k + i] = l->alpha[i];
        if (i + 1 < k)
            l->matrix[i * k + i + 1] = l->matrix[(i + 1) * k + i] = l->beta[i];
    }
    lay_symmetric_eigen(l->matrix, k, l->values, l->vectors);
}

/* A breakdown has no residual, but says nothing about the rest of the space. */
static bool converged(const struct lanczos *l)
{
    const int64_t k = l->steps;
    if (k == l->steps_max)
        return true;
    if (k < LAY_COMPONENTS || l->beta[k - 1] == 0)
        return false;
    for (int64_t c = 0; c < LAY_COMPONENTS; c++)
        if (fabs(l->beta[k - 1] * l->vectors[c * k + k - 1]) > RESIDUAL * l->values[0])
            return false;
    return true;
}

static void iterate(struct lanczos *l)
{
    int64_t check = FIRST_CHECK;
    fresh_vector(l, 0);
    for (int64_t k = 0; k < l->steps_max; k++) {
        step(l, k);
        if (l->steps < check && l->steps < l->steps_max)
            continue;
        solve(l);
        if (converged(l))
            return;
        check *= 2;
    }
}

/* u = Σ y_k q_k into the basis' last place, signed. */
static const double *component(const struct lanczos *l, int64_t c)
{
    double *u = l->basis + l->steps_max * l->width;
    int64_t largest = 0;
    memset(u, 0, (size_t)l->width * sizeof *u);
    for (int64_t k = 0; k < l->steps; k++)
        for (int64_t j = 0; j < l->width; j++)
            u[j] += l->vectors[c * l->steps + k] * l->basis[k * l->width + j];
    for (int64_t j = 1; j < l->width; j++)
        if (fabs(u[j]) > fabs(u[largest]))
            largest = j;
    scale(u, l->width, (u[largest] < 0 ? -1 : 1) / sqrt(dot(u, u, l->width)));
    return u;
}

static void results(struct lanczos *l, double *coordinates, struct lay_components *components)
{
    for (int64_t c = 0; c < LAY_COMPONENTS && c < l->steps; c++) {
        if (l->values[c] <= BREAKDOWN * l->trace)
            continue;
        project(l, component(l, c));
        for (int64_t i = 0; i < l->n; i++)
            coordinates[i * LAY_COMPONENTS + c] = l->along[i];
        components->variance[c] = l->values[c] / (double)(l->n - 1);
        components->share[c] = l->values[c] / l->trace;
    }
}

static enum lay_status allocate(struct lanczos *l, struct lay_err *err)
{
    const size_t steps = (size_t)l->steps_max, width = (size_t)l->width;
    l->mean = lay_alloc(width, sizeof *l->mean);
    l->along = lay_alloc((size_t)l->n, sizeof *l->along);
    l->basis = lay_alloc((steps + 1) * width, sizeof *l->basis);
    l->alpha = lay_alloc(steps, sizeof *l->alpha);
    l->beta = lay_alloc(steps, sizeof *l->beta);
    l->matrix = lay_alloc(steps * steps, sizeof *l->matrix);
    l->values = lay_alloc(steps, sizeof *l->values);
    l->vectors = lay_alloc(steps * steps, sizeof *l->vectors);
    return l->mean && l->along && l->basis && l->alpha && l->beta && l->matrix && l->values && l->vectors
               ? LAY_OK
               : lay_no_memory(err, "principal components");
}

enum lay_status lay_principal_components(const float *points, int64_t n, int64_t width, double *coordinates,
                                         struct lay_components *components, struct lay_err *err)
{
    struct lanczos l = {.points = points, .n = n, .width = width, .steps_max = n < width ? n : width};
    l.steps_max = l.steps_max < STEPS_MAX ? l.steps_max : STEPS_MAX;
    assert(n >= 2 && width >= 1);
    memset(coordinates, 0, (size_t)(n * LAY_COMPONENTS) * sizeof *coordinates);
    *components = (struct lay_components){0};
    const enum lay_status status = allocate(&l, err);
    if (status == LAY_OK) {
        centre(&l);
        if (l.trace > 0) {
            iterate(&l);
            results(&l, coordinates, components);
        }
    }
    lay_free(l.mean);
    lay_free(l.along);
    lay_free(l.basis);
    lay_free(l.alpha);
    lay_free(l.beta);
    lay_free(l.matrix);
    lay_free(l.values);
    lay_free(l.vectors);
    return status;
}
