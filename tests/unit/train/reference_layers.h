/* The layers of the reference in reference.h. */
#ifndef LAY_TESTS_TRAIN_REFERENCE_LAYERS_H
#define LAY_TESTS_TRAIN_REFERENCE_LAYERS_H

#include "engine/train/trainable.h"
#include "tests/unit/activation.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct reference {
    const struct lay_trainable *trainable;
    const struct lay_llm_config *llm;
    const struct lay_encoder_config *encoder; /* NULL: plain */
    enum lay_method method;
    bool mlp, no_soft_prompt;
    bool wide, average, hidden_gates;
    double dropout;
    int64_t padded;                                /* official padding: rows of every source; 0: no pads */
    int64_t position;                              /* of a sample's first row, behind its pads on the left */
    int64_t language_layers[4], n_language_layers; /* LayAlign */
    const float *changed;                          /* this element counts as its value + delta */
    double delta;
};

/* What is allocated during one loss, freed at its end. */
static double *arena[4096];
static size_t n_arena;

static double *zeros(int64_t n)
{
    assert_true(n_arena < sizeof arena / sizeof *arena);
    double *x = calloc((size_t)n + 1, sizeof *x);
    assert_non_null(x);
    return arena[n_arena++] = x;
}

static void free_arena(void)
{
    while (n_arena > 0)
        free(arena[--n_arena]);
}

static const float *find(const struct reference *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static const float *find(const struct reference *r, const char *format, ...)
{
    char name[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, sizeof name, format, arguments);
    va_end(arguments);
    for (size_t i = 0; i < lay_trainable_count(r->trainable); i++)
        if (strcmp(lay_trainable_parameter(r->trainable, i)->name, name) == 0)
            return lay_trainable_parameter(r->trainable, i)->value;
    fail_msg("no parameter %s", name);
    return NULL;
}

static double at(const struct reference *r, const float *p, int64_t i)
{
    return (double)p[i] + (p + i == r->changed ? r->delta : 0);
}

/* y [rows, out] = x Wᵀ + b */
static double *linear(const struct reference *r, const double *x, int64_t rows, int64_t in, const float *w,
                      const float *b, int64_t out)
{
    double *y = zeros(rows * out);
    for (int64_t t = 0; t < rows; t++)
        for (int64_t o = 0; o < out; o++) {
            y[t * out + o] = b ? at(r, b, o) : 0;
            for (int64_t i = 0; i < in; i++)
                y[t * out + o] += x[t * in + i] * at(r, w, o * in + i);
        }
    return y;
}

static double *rms_norm(const struct reference *r, const double *x, int64_t rows, int64_t n, const float *w,
                        double eps)
{
    double *y = zeros(rows * n);
    for (int64_t t = 0; t < rows; t++) {
        double sum = 0;
        for (int64_t i = 0; i < n; i++)
            sum += x[t * n + i] * x[t * n + i];
        for (int64_t i = 0; i < n; i++)
            y[t * n + i] = x[t * n + i] / sqrt(sum / (double)n + eps) * at(r, w, i);
    }
    return y;
}

/* The norm `name`, with its bias. */
static double *layer_norm(const struct reference *r, const double *x, int64_t rows, int64_t n, double eps,
                          const char *name)
{
    const float *weight = find(r, "%s.weight", name), *bias = find(r, "%s.bias", name);
    double *y = zeros(rows * n);
    for (int64_t t = 0; t < rows; t++) {
        double mean = 0, variance = 0;
        for (int64_t i = 0; i < n; i++)
            mean += x[t * n + i] / (double)n;
        for (int64_t i = 0; i < n; i++)
            variance += (x[t * n + i] - mean) * (x[t * n + i] - mean) / (double)n;
        for (int64_t i = 0; i < n; i++)
            y[t * n + i] = (x[t * n + i] - mean) / sqrt(variance + eps) * at(r, weight, i) + at(r, bias, i);
    }
    return y;
}

static void activate(enum lay_activation act, double *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = reference_activation(act, x[i]);
}

static void add(double *y, const double *x, int64_t n, double factor)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += factor * x[i];
}

static double *lookup(const struct reference *r, const float *table, const int32_t *ids, int64_t n,
                      int64_t width)
{
    double *x = zeros(n * width);
    for (int64_t t = 0; t < n; t++)
        for (int64_t i = 0; i < width; i++)
            x[t * width + i] = at(r, table, ids[t] * width + i);
    return x;
}

/* --- attention --- */

struct attention_of {
    int64_t heads, kv_heads, head_dim, rows, keys;
    double scale;
    bool causal;
    int64_t window;
    const float *bias; /* T5: [buckets, heads] */
};

/* T5's buckets for distances below 8, where they are exact. */
static int64_t bucket(int64_t distance)
{
    assert_true(distance > -8 && distance < 8);
    return distance > 0 ? 16 + distance : -distance;
}

static double *attention(const struct reference *r, const struct attention_of *a, const double *q,
                         const double *k, const double *v)
{
    const int64_t d = a->head_dim, width = a->heads * d, kv_width = a->kv_heads * d;
    double *out = zeros(a->rows * width);
    for (int64_t h = 0; h < a->heads; h++)
        for (int64_t i = 0; i < a->rows; i++) {
            const int64_t kv = h / (a->heads / a->kv_heads);
            double denominator = 0;
            for (int64_t j = 0; j < a->keys; j++) {
                if (a->causal && (j > i || (a->window > 0 && j <= i - a->window)))
                    continue;
                double score = 0;
                for (int64_t e = 0; e < d; e++)
                    score += q[i * width + h * d + e] * k[j * kv_width + kv * d + e];
                score *= a->scale;
                if (a->bias)
                    score += at(r, a->bias, bucket(j - i) * a->heads + h);
                const double p = exp(score);
                denominator += p;
                for (int64_t e = 0; e < d; e++)
                    out[i * width + h * d + e] += p * v[j * kv_width + kv * d + e];
            }
            for (int64_t e = 0; e < d; e++)
                out[i * width + h * d + e] /= denominator;
        }
    return out;
}

#endif
