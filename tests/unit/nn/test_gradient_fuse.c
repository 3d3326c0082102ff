/* The gradients of fused and averaged encoder layers against finite differences. */
#include "engine/nn/fuse.h"
#include "engine/nn/gradient.h"

#include "differences.h"

struct fuse {
    int64_t m, n;
    float *const *layers;
    const float *parameters; /* weight [2, m] and bias [2]; NULL: the variable */
    int64_t layer;           /* which layer is the variable */
};

static double fuse_value(const struct function *f, const double *x)
{
    const struct fuse *c = f->context;
    double total = 0;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < c->n; i++) {
            double sum = c->parameters ? (double)c->parameters[2 * c->m + k] : x[2 * c->m + k];
            for (int64_t j = 0; j < c->m; j++) {
                const double w = c->parameters ? (double)c->parameters[k * c->m + j] : x[k * c->m + j];
                sum += w * (c->parameters && j == c->layer ? x[i] : (double)c->layers[j][i]);
            }
            total += (double)f->weight[k * c->n + i] * (sum > 0 ? sum : 0);
        }
    return total;
}

static void fusion(void **state)
{
    (void)state;
    enum { M = 3, N = 37 };
    float *layers[M], *dlayers[M], gradient[2 * M + 2] = {0};
    for (int j = 0; j < M; j++) {
        layers[j] = random_floats(N, 1);
        dlayers[j] = calloc(N, sizeof(float));
        assert_non_null(dlayers[j]);
    }
    float *p = random_floats(2 * M + 2, 1), *dy = random_floats(2 * N, 1), *d = copied(dy, 2 * N), out[2 * N];
    lay_fuse_layers((const float *const *)layers, M, p, p + 2 * M, 2, out, N);
    const struct lay_fuse_gradient g = {
        (const float *const *)layers, p, M, N, out, out + N, d, d + N, gradient, gradient + 2 * M, dlayers};
    lay_fuse_backward(&g);
    struct fuse c = {M, N, layers, NULL, 0};
    const struct function f = {fuse_value, &c, dy};
    check(&f, p, gradient, 2 * M + 2, "fusion, parameters");
    c.parameters = p;
    for (c.layer = 0; c.layer < M; c.layer++)
        check(&f, layers[c.layer], dlayers[c.layer], N, "fusion, layer");
    for (int j = 0; j < M; j++)
        free(layers[j]), free(dlayers[j]);
    free(p), free(dy), free(d);
}

/* Both uses of the mean together: the gradient of each layer is the sum of both, over m. */
static double mean_value(const struct function *f, const double *x)
{
    const struct fuse *c = f->context;
    double total = 0;
    for (int64_t i = 0; i < c->n; i++) {
        double mean = 0;
        for (int64_t j = 0; j < c->m; j++)
            mean += (j == c->layer ? x[i] : (double)c->layers[j][i]) / (double)c->m;
        total += ((double)f->weight[i] + (double)f->weight[c->n + i]) * mean;
    }
    return total;
}

static void mean_of_layers(void **state)
{
    (void)state;
    for (int trial = 0; trial < 8; trial++) {
        const int64_t m = random_int(1, 6), n = random_int(1, 3000);
        float *layers[6], *dlayers[6], *out = random_floats(n, 1), *dy = random_floats(2 * n, 1);
        for (int64_t j = 0; j < m; j++) {
            layers[j] = random_floats(n, 1);
            dlayers[j] = calloc((size_t)n, sizeof(float));
            assert_non_null(dlayers[j]);
        }
        lay_mean_layers((const float *const *)layers, m, out, n);
        for (int64_t i = 0; i < n; i++) {
            double mean = 0;
            for (int64_t j = 0; j < m; j++)
                mean += (double)layers[j][i] / (double)m;
            assert_true(fabs((double)out[i] - mean) < 5e-7);
        }
        lay_mean_backward(dy, dy + n, dlayers, m, n);
        const int64_t checked = n < 40 ? n : 40; /* the last ones */
        struct fuse c = {m, checked, layers, NULL, 0};
        float *tails[6], weight[80];
        for (int64_t j = 0; j < m; j++)
            tails[j] = layers[j] + n - checked;
        memcpy(weight, dy + n - checked, (size_t)checked * sizeof *weight);
        memcpy(weight + checked, dy + 2 * n - checked, (size_t)checked * sizeof *weight);
        c.layers = tails;
        const struct function f = {mean_value, &c, weight};
        for (c.layer = 0; c.layer < m; c.layer++)
            check(&f, tails[c.layer], dlayers[c.layer] + n - checked, checked, "mean of layers");
        for (int64_t j = 0; j < m; j++)
            free(layers[j]), free(dlayers[j]);
        free(out), free(dy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fusion),
        cmocka_unit_test(mean_of_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
