/* Linear layers of random numbers and what they must give, in double precision. */
#ifndef LAY_TESTS_DNN_LINEAR_H
#define LAY_TESTS_DNN_LINEAR_H

#include "engine/dnn/linear.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/random.h"

static uint32_t state = 12345;

static inline float *random_floats(int64_t n)
{
    float *x = malloc((size_t)n * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++)
        x[i] = random_signed(&state);
    return x;
}

static inline float rounded(float x)
{
    return lay_bf16_to_f32(lay_f32_to_bf16(x));
}

static inline struct lay_dnn *open_dnn(void)
{
    struct lay_dnn *dnn = NULL;
    struct lay_err err = {0};
    if (lay_dnn_create(&dnn, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return dnn;
}

static inline struct lay_linear *make(struct lay_dnn *dnn, enum lay_dtype compute,
                                      const struct lay_matrix *parts, int n, const float *bias)
{
    struct lay_linear *linear = NULL;
    struct lay_err err = {0};
    if (lay_linear_create(dnn, compute, parts, n, bias, &linear, &err) != LAY_OK)
        fail_msg("%s", err.message);
    return linear;
}

static inline void forward(const struct lay_linear *linear, const float *x, float *y, int64_t rows,
                           bool accumulate)
{
    struct lay_err err = {0};
    if (lay_linear_forward(linear, x, y, rows, accumulate, &err) != LAY_OK)
        fail_msg("%s", err.message);
}

/* x in steps of max |x| / 127, in f64; returns the step. */
static inline double in_steps(const float *x, int64_t n, double *q)
{
    double largest = 0;
    for (int64_t i = 0; i < n; i++)
        largest = fabs(x[i]) > largest ? fabs(x[i]) : largest;
    for (int64_t i = 0; i < n; i++)
        q[i] = largest > 0 ? x[i] * 127 / largest : 0;
    return largest / 127;
}

/* int8 by its definition, in f64. A value on the border of two steps may go to either, which moves the sum by
 * as much as the other factor; the f32 roundings of the steps and of the result are the rest. */
static inline void check_int8(const float *x, const float *w, const float *bias, const float *before,
                              const float *y, int64_t rows, int64_t in, int64_t out)
{
    double *qx = malloc((size_t)(rows * in) * sizeof *qx), *qw = malloc((size_t)in * sizeof *qw);
    double *step_x = malloc((size_t)rows * sizeof *step_x);
    for (int64_t r = 0; r < rows; r++)
        step_x[r] = in_steps(x + r * in, in, qx + r * in);
    for (int64_t o = 0; o < out; o++) {
        const double step_w = in_steps(w + o * in, in, qw);
        for (int64_t r = 0; r < rows; r++) {
            double sum = 0, borders = 0;
            for (int64_t k = 0; k < in; k++) {
                const double qa = qx[r * in + k], a = nearbyint(qa), b = nearbyint(qw[k]);
                sum += a * b;
                borders += fabs(fabs(qa - a) - 0.5) < 1e-4 ? fabs(b) + 1 : 0;
                borders += fabs(fabs(qw[k] - b) - 0.5) < 1e-4 ? fabs(a) + 1 : 0;
            }
            const double step = step_x[r] * step_w, first = bias ? bias[o] : 0.0;
            const double second = before ? before[r * out + o] : 0.0, expected = step * sum + first + second;
            const double limit = step * borders + 1e-6 * (step * fabs(sum) + fabs(first) + fabs(second));
            if (!(fabs(y[r * out + o] - expected) <= limit))
                fail_msg("int8 [%d, %d] row %d of %d, output %d: %g instead of %g", (int)out, (int)in, (int)r,
                         (int)rows, (int)o, (double)y[r * out + o], expected);
        }
    }
    free(step_x);
    free(qx);
    free(qw);
}

/* y[r][o] lies within the worst case of any order of f32 sums of the products of x and w (rounded to bf16
 * first when that is what is computed). */
static inline void check(enum lay_dtype compute, const float *x, const float *w, const float *bias,
                         const float *before, const float *y, int64_t rows, int64_t in, int64_t out)
{
    if (compute == LAY_I8) {
        check_int8(x, w, bias, before, y, rows, in, out);
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            double sum = 0, size = 0;
            for (int64_t k = 0; k < in; k++) {
                const double a = compute == LAY_BF16 ? rounded(x[r * in + k]) : x[r * in + k];
                const double b = compute == LAY_BF16 ? rounded(w[o * in + k]) : w[o * in + k];
                sum += a * b;
                size += fabs(a * b);
            }
            const double extra = (bias ? bias[o] : 0.0) + (before ? before[r * out + o] : 0.0);
            const double limit = (double)(in + 3) * ldexp(1.0, -24) * (size + fabs(extra) + 1);
            if (fabs(y[r * out + o] - (sum + extra)) > limit)
                fail_msg("[%d, %d] row %d of %d, output %d: %g instead of %g", (int)out, (int)in, (int)r,
                         (int)rows, (int)o, (double)y[r * out + o], sum + extra);
        }
}

static const enum lay_dtype computes[] = {LAY_F32, LAY_BF16, LAY_I8};

#endif
