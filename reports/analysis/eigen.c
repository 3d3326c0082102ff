#include "reports/analysis/components.h"

#include <math.h>

#define SWEEPS_MAX 64 /* quadratic convergence: ten are many */

static double off_diagonal(const double *a, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            sum += i == j ? 0 : a[i * n + j] * a[i * n + j];
    return sum;
}

static double diagonal(const double *a, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i * n + i] * a[i * n + i];
    return sum;
}

/* Rows p and q of both matrices, columns p and q of a: the rotation that makes a[p, q] zero (Golub and Van
 * Loan, Matrix Computations, algorithm 8.4.1). */
static void rotate(double *a, double *vectors, int64_t n, int64_t p, int64_t q)
{
    const double apq = a[p * n + q];
    if (apq == 0)
        return;
    const double tau = (a[q * n + q] - a[p * n + p]) / (2 * apq);
    const double t = (tau >= 0 ? 1 : -1) / (fabs(tau) + sqrt(1 + tau * tau));
    const double c = 1 / sqrt(1 + t * t), s = t * c;
    for (int64_t k = 0; k < n; k++) {
        const double akp = a[k * n + p], akq = a[k * n + q];
        a[k * n + p] = c * akp - s * akq;
        a[k * n + q] = s * akp + c * akq;
    }
    for (int64_t k = 0; k < n; k++) {
        const double apk = a[p * n + k], aqk = a[q * n + k];
        const double vpk = vectors[p * n + k], vqk = vectors[q * n + k];
        a[p * n + k] = c * apk - s * aqk;
        a[q * n + k] = s * apk + c * aqk;
        vectors[p * n + k] = c * vpk - s * vqk;
        vectors[q * n + k] = s * vpk + c * vqk;
    }
}

static void swap(double *a, double *b)
{
    const double kept = *a;
    *a = *b;
    *b = kept;
}

static void sort(double *values, double *vectors, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        int64_t largest = i;
        for (int64_t j = i + 1; j < n; j++)
            if (values[j] > values[largest])
                largest = j;
        if (largest == i)
            continue;
        swap(&values[i], &values[largest]);
        for (int64_t k = 0; k < n; k++)
            swap(&vectors[i * n + k], &vectors[largest * n + k]);
    }
}

void lay_symmetric_eigen(double *matrix, int64_t n, double *values, double *vectors)
{
    for (int64_t i = 0; i < n * n; i++)
        vectors[i] = i % (n + 1) == 0;
    for (int sweep = 0; sweep < SWEEPS_MAX && off_diagonal(matrix, n) > 1e-32 * diagonal(matrix, n); sweep++)
        for (int64_t p = 0; p < n; p++)
            for (int64_t q = p + 1; q < n; q++)
                rotate(matrix, vectors, n, p, q);
    for (int64_t i = 0; i < n; i++)
        values[i] = matrix[i * n + i];
    sort(values, vectors, n);
}
