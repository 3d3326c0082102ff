#include "engine/nn/gradient.h"
#include "engine/nn/norm_core.h"

#define PARALLEL_FROM 8192 /* elements */
#define COLUMNS 64         /* of one task */

/* Σ a · b · (c − shift) in one sixteen-lane sum; c NULL: Σ a · b. */
LAY_INLINE float dot(const float *a, const float *b, const float *c, float shift, int64_t n)
{
    lay_vec sum = lay_vec_set(0.0f);
    int64_t i = 0;
    for (; i + LAY_LANES <= n; i += LAY_LANES) {
        lay_vec product = lay_vec_load(a + i) * lay_vec_load(b + i);
        if (c)
            product *= lay_vec_load(c + i) - shift;
        sum += product;
    }
    float total = lay_vec_sum(sum);
    for (; i < n; i++)
        total += c ? a[i] * b[i] * (c[i] - shift) : a[i] * b[i];
    return total;
}

/* With f = 1 / sqrt(mean(x²) + eps):  dx += f (w dy − x f² mean(w dy x)). */
LAY_CLONES static void rms_norm_row(const float *x, const float *weight, const float *dy, float *dx,
                                    int64_t n, float eps)
{
    const float factor = 1.0f / sqrtf(dot(x, x, NULL, 0.0f, n) / (float)n + eps);
    const float shrink = factor * factor * factor * dot(dy, x, weight, 0.0f, n) / (float)n;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dx[i] += factor * weight[i] * dy[i] - shrink * x[i];
}

void lay_rms_norm_backward(const float *x, const float *weight, const float *dy, float *dx, int64_t rows,
                           int64_t n, float eps)
{
#pragma omp parallel for schedule(static) if (rows > 1 && rows * n >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        rms_norm_row(x + r * n, weight, dy + r * n, dx + r * n, n, eps);
}

/* With f = 1 / sqrt(var(x) + eps), c = x − mean(x):  dx += f (w dy − mean(w dy) − c f² mean(w dy c)). */
LAY_CLONES static void layer_norm_row(const float *x, const float *weight, const float *dy, float *dx,
                                      int64_t n, float eps)
{
    const float mean = lay_row_sum(x, n) / (float)n, factor = lay_row_factor(x, n, mean, eps);
    const float shift = dot(dy, weight, NULL, 0.0f, n) / (float)n;
    const float shrink = factor * factor * dot(dy, weight, x, mean, n) / (float)n;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        dx[i] += factor * (weight[i] * dy[i] - shift - shrink * (x[i] - mean));
}

void lay_layer_norm_backward(const float *x, const float *weight, const float *dy, float *dx, int64_t rows,
                             int64_t n, float eps)
{
#pragma omp parallel for schedule(static) if (rows > 1 && rows * n >= PARALLEL_FROM)
    for (int64_t r = 0; r < rows; r++)
        layer_norm_row(x + r * n, weight, dy + r * n, dx + r * n, n, eps);
}

/* How a row is normed: (x − mean) · factor. */
struct row_norm {
    float mean, factor;
};

LAY_CLONES static void measure_rms(const float *x, int64_t n, float eps, struct row_norm *norm)
{
    *norm = (struct row_norm){0.0f, 1.0f / sqrtf(dot(x, x, NULL, 0.0f, n) / (float)n + eps)};
}

LAY_CLONES static void measure_layer(const float *x, int64_t n, float eps, struct row_norm *norm)
{
    norm->mean = lay_row_sum(x, n) / (float)n;
    norm->factor = lay_row_factor(x, n, norm->mean, eps);
}

/* sum += a · normed b over up to COLUMNS columns. */
LAY_CLONES static void add_product(float *restrict sum, const float *restrict a, const float *restrict b,
                                   const struct row_norm *norm, int64_t n)
{
    const float mean = norm->mean, factor = norm->factor;
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        sum[i] += factor * a[i] * (b[i] - mean);
}

enum { ROWS = 64 }; /* whose norms are held at a time */

static void norm_weight(const float *x, const float *dy, float *dweight, int64_t rows, int64_t n, float eps,
                        void (*measure)(const float *, int64_t, float, struct row_norm *))
{
    const int64_t tasks = (n + COLUMNS - 1) / COLUMNS;
    for (int64_t first = 0; first < rows; first += ROWS) {
        const int64_t count = rows - first < ROWS ? rows - first : ROWS;
        struct row_norm norms[ROWS];
        for (int64_t r = 0; r < count; r++)
            measure(x + (first + r) * n, n, eps, &norms[r]);
#pragma omp parallel for schedule(static) if (count * n >= PARALLEL_FROM)
        for (int64_t task = 0; task < tasks; task++) {
            const int64_t c = task * COLUMNS, width = n - c < COLUMNS ? n - c : COLUMNS;
            for (int64_t r = 0; r < count; r++)
                add_product(dweight + c, dy + (first + r) * n + c, x + (first + r) * n + c, &norms[r], width);
        }
    }
}

void lay_rms_norm_weight(const float *x, const float *dy, float *dweight, int64_t rows, int64_t n, float eps)
{
    norm_weight(x, dy, dweight, rows, n, eps, measure_rms);
}

void lay_layer_norm_weight(const float *x, const float *dy, float *dweight, int64_t rows, int64_t n,
                           float eps)
{
    norm_weight(x, dy, dweight, rows, n, eps, measure_layer);
}

LAY_CLONES static void add(float *restrict sum, const float *restrict x, int64_t n)
{
#pragma omp simd
    for (int64_t i = 0; i < n; i++)
        sum[i] += x[i];
}

void lay_add_rows(const float *x, float *sum, int64_t rows, int64_t n)
{
    const int64_t tasks = (n + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for schedule(static) if (rows * n >= PARALLEL_FROM)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t c = task * COLUMNS, width = n - c < COLUMNS ? n - c : COLUMNS;
        for (int64_t r = 0; r < rows; r++)
            add(sum + c, x + r * n + c, width);
    }
}

void lay_scatter_rows(const float *x, const int32_t *ids, float *table, int64_t rows, int64_t n)
{
    const int64_t tasks = (n + COLUMNS - 1) / COLUMNS;
#pragma omp parallel for schedule(static) if (rows * n >= PARALLEL_FROM)
    for (int64_t task = 0; task < tasks; task++) {
        const int64_t c = task * COLUMNS, width = n - c < COLUMNS ? n - c : COLUMNS;
        for (int64_t r = 0; r < rows; r++)
            if (ids[r] >= 0)
                add(table + ids[r] * n + c, x + r * n + c, width);
    }
}
