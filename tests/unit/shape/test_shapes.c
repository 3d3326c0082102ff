/* Named shapes: sizes of the published models; random numbers that depend on seed, name and index alone. */
#include "engine/shape/shapes.h"

#include "engine/base/mem.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static size_t parameters_of(const char *name)
{
    struct lay_shape_tensors tensors;
    struct lay_err err = {0};
    size_t sum = 0;
    const struct lay_shape *shape = lay_shape_find(name);
    assert_non_null(shape);
    assert_int_equal(lay_shape_tensors(shape, &tensors, &err), LAY_OK);
    for (size_t i = 0; i < tensors.count; i++) {
        sum += tensors.items[i].count;
        assert_true(i == 0 || strcmp(tensors.items[i - 1].name, tensors.items[i].name) < 0);
    }
    lay_shape_tensors_free(&tensors);
    return sum;
}

/* As the model cards and safetensors indices of the published checkpoints state them; the encoder halves from
 * their configurations by hand. */
static void shapes_have_the_published_numbers_of_parameters(void **state)
{
    (void)state;
    assert_int_equal(parameters_of("tinyllama-1.1b"), 1100048384);
    assert_int_equal(parameters_of("llama2-7b"), 6738415616);
    assert_int_equal(parameters_of("llama2-13b"), 13015864320);
    assert_int_equal(parameters_of("mistral-7b"), 7241732096);
    assert_int_equal(parameters_of("qwen2-7b"), 7615616512);
    /* vocabulary + layers × (4 · 512 · 384 + 3 · 512 · 1024 + 2 · 512) + norm + position biases */
    assert_int_equal(parameters_of("mt5-small"),
                     250112 * 512 + 8 * (4 * 512 * 384 + 3 * 512 * 1024 + 2 * 512) + 512 + 32 * 6);
    assert_int_equal(parameters_of("mt5-xl"), (size_t)250112 * 2048 +
                                                  24 * (4 * 2048 * 2048 + 3 * 2048 * 5120 + 2 * 2048) + 2048 +
                                                  32 * 32);
    /* per layer: 4 attention matrices and biases, 2 feed-forward matrices and biases, 2 norms */
    assert_int_equal(parameters_of("nllb-600m"),
                     256206 * 1024 +
                         12 * (4 * (1024 * 1024 + 1024) + 2 * 1024 * 4096 + 4096 + 1024 + 4 * 1024) +
                         2 * 1024);
    assert_int_equal(parameters_of("xlmr-base"),
                     (250002 + 514 + 1 + 2) * 768 +
                         12 * (4 * (768 * 768 + 768) + 2 * 768 * 3072 + 3072 + 768 + 4 * 768));
}

/* Adapter 25.18 M and aligner 8.39 M at mT5-xl + 7B are the paper's figures. */
/* Elements of the tensors whose name holds `part`. */
static size_t bridge_elements(const struct lay_bridge_shape *shape, const char *part)
{
    struct lay_err err = {0};
    struct lay_shape_tensors tensors;
    size_t elements = 0;
    assert_int_equal(lay_bridge_shape_tensors(shape, &tensors, &err), LAY_OK);
    for (size_t i = 0; i < tensors.count; i++)
        if (strstr(tensors.items[i].name, part))
            elements += tensors.items[i].count;
    lay_shape_tensors_free(&tensors);
    return elements;
}

static void the_bridge_has_the_papers_size(void **state)
{
    (void)state;
    int64_t layers[32];
    for (int i = 0; i < 32; i++)
        layers[i] = i;
    const struct lay_bridge_shape released = {.family = LAY_FAMILY_LAYALIGN,
                                              .encoder_hidden = 2048,
                                              .llm_hidden = 4096,
                                              .encoder_layers = 24,
                                              .language_layers = layers,
                                              .n_language_layers = 32};
    const size_t aligner = bridge_elements(&released, "encoder_aligner.");
    assert_true(fabs((double)aligner / 1e6 - 8.39) < 0.005);
    assert_true(fabs((double)bridge_elements(&released, "mapping.") / 1e6 - 25.18) < 0.005);
    assert_int_equal(bridge_elements(&released, "adaption_gate"), 32);
    struct lay_bridge_shape ablated = released; /* fc0: Linear(2048, 2048); fc1: 24 → 64; gates 4096 → 1 */
    ablated.wide = ablated.average = ablated.hidden_gates = true;
    assert_int_equal(bridge_elements(&ablated, "encoder_aligner."),
                     aligner + 2048 * 2048 + 2048 - (24 * 64 + 64));
    assert_int_equal(bridge_elements(&ablated, "adaption_gate"), 32 * (4096 + 1));
}

enum { N = 100003 };
static float whole[N], pieces[N];

static void pieces_make_the_whole(void **state)
{
    (void)state;
    const struct lay_shape_tensor tensor = {.name = "w", .count = N, .scale = 1};
    lay_shape_fill(5, &tensor, 0, N, whole);
    for (size_t at = 0, n = 1; at < N; at += n, n = n * 3 % 1021 + 1) {
        n = n < N - at ? n : N - at;
        lay_shape_fill(5, &tensor, at, n, pieces + at);
    }
    assert_memory_equal(whole, pieces, sizeof whole);
}

static double correlation(const float *a, const float *b, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)a[i] * (double)b[i];
    return sum / (double)n;
}

/* With 1e5 numbers of deviation 1, means and correlations stay within 5 / √1e5 = 0.016. */
static void numbers_are_spread_as_documented(void **state)
{
    (void)state;
    const struct lay_shape_tensor a = {.name = "a", .count = N, .mean = 3, .scale = 2},
                                  b = {.name = "b", .count = N, .scale = 1};
    double sum = 0, squares = 0;
    lay_shape_fill(5, &a, 0, N, whole);
    for (size_t i = 0; i < N; i++) {
        assert_true(fabsf(whole[i] - 3) <= 2 * 1.7320509f);
        whole[i] = (whole[i] - 3) / 2;
        sum += (double)whole[i];
        squares += (double)whole[i] * (double)whole[i];
    }
    assert_true(fabs(sum / N) < 0.016);
    assert_true(fabs(squares / N - 1) < 0.016);
    lay_shape_fill(5, &b, 0, N, pieces);
    assert_true(fabs(correlation(whole, pieces, N)) < 0.016);
    assert_true(fabs(correlation(pieces, pieces + 1, N - 1)) < 0.016);
    assert_true(fabs(correlation(pieces, pieces + 4, N - 4)) < 0.016);
    lay_shape_fill(6, &b, 0, N, whole);
    assert_true(fabs(correlation(whole, pieces, N)) < 0.016);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_have_the_published_numbers_of_parameters),
        cmocka_unit_test(the_bridge_has_the_papers_size),
        cmocka_unit_test(pieces_make_the_whole),
        cmocka_unit_test(numbers_are_spread_as_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
