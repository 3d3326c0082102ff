/* Principal components against a covariance matrix built and diagonalised here, and cases done by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/mem.h"
#include "reports/analysis/components.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool close_to(double a, double b, double limit)
{
    return fabs(a - b) <= limit;
}

/* [[2, 1], [1, 2]]: 3 with (1, 1)/√2, 1 with (1, −1)/√2. */
static void eigenvalues_of_a_small_matrix(void **state)
{
    double matrix[] = {2, 1, 1, 2}, values[2], vectors[4];
    (void)state;
    lay_symmetric_eigen(matrix, 2, values, vectors);
    assert_true(close_to(values[0], 3, 1e-14) && close_to(values[1], 1, 1e-14));
    assert_true(close_to(fabs(vectors[0]), sqrt(0.5), 1e-14) && close_to(vectors[0], vectors[1], 1e-14));
    assert_true(close_to(vectors[2], -vectors[3], 1e-14));
}

/* A v = λ v and orthogonality, for a matrix with a repeated eigenvalue: 5 I + x xᵀ. */
static void eigenvectors_satisfy_their_equation(void **state)
{
    enum { N = 7 };
    double a[N * N], kept[N * N], values[N], vectors[N * N];
    (void)state;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            kept[i * N + j] = a[i * N + j] = (i == j ? 5 : 0) + (i + 1.0) * (j + 1.0);
    lay_symmetric_eigen(a, N, values, vectors);
    assert_true(close_to(values[0], 5 + 140, 1e-12)); /* 1 + 4 + … + 49 = 140 */
    for (int k = 0; k < N; k++) {
        assert_true(k == 0 || close_to(values[k], 5, 1e-12));
        for (int i = 0; i < N; i++) {
            double sum = 0, dot = 0;
            for (int j = 0; j < N; j++) {
                sum += kept[i * N + j] * vectors[k * N + j];
                dot += vectors[i * N + j] * vectors[k * N + j];
            }
            assert_true(close_to(sum, values[k] * vectors[k * N + i], 1e-12));
            assert_true(close_to(dot, i == k, 1e-12));
        }
    }
}

/* Points along (3, 4)/5 and a little across it, around (10, −20). */
static void components_of_a_plane_by_hand(void **state)
{
    static const double along[] = {-2, -1, 1, 2}, across[] = {0.5, -0.5, -0.5, 0.5};
    float points[8];
    double coordinates[8];
    struct lay_components components;
    (void)state;
    for (int i = 0; i < 4; i++) {
        points[2 * i] = (float)(10 + 0.6 * along[i] - 0.8 * across[i]);
        points[2 * i + 1] = (float)(-20 + 0.8 * along[i] + 0.6 * across[i]);
    }
    assert_int_equal(lay_principal_components(points, 4, 2, coordinates, &components, NULL), LAY_OK);
    /* the larger element of (0.6, 0.8) is positive as it stands; (−0.8, 0.6) is turned round */
    for (int i = 0; i < 4; i++) {
        assert_true(close_to(coordinates[2 * i], along[i], 1e-5));
        assert_true(close_to(coordinates[2 * i + 1], -across[i], 1e-5));
    }
    assert_true(close_to(components.variance[0], 10.0 / 3, 1e-5));
    assert_true(close_to(components.variance[1], 1.0 / 3, 1e-5));
    assert_true(close_to(components.share[0], 10.0 / 11, 1e-6));
    assert_true(close_to(components.share[1], 1.0 / 11, 1e-6));
}

static double noise(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) * 0x1p-52 - 1;
}

/* Random clouds: wide, tall, of low rank. The covariance's top eigenpairs by power iteration. */
static void power_iteration(const double *covariance, int width, double *vector, double *value)
{
    double *next = calloc((size_t)width, sizeof *next);
    assert_non_null(next);
    for (int i = 0; i < width; i++)
        vector[i] = 1 + 0.01 * i;
    for (int step = 0; step < 3000; step++) {
        double length = 0;
        for (int i = 0; i < width; i++) {
            next[i] = 0;
            for (int j = 0; j < width; j++)
                next[i] += covariance[i * width + j] * vector[j];
            length += next[i] * next[i];
        }
        for (int i = 0; i < width; i++)
            vector[i] = next[i] / sqrt(length);
        *value = sqrt(length);
    }
    free(next);
}

static void check_cloud(int n, int width, int rank)
{
    uint64_t random = (uint64_t)(n * 1000 + width);
    float *points = calloc((size_t)(n * width), sizeof *points);
    double *mean = calloc((size_t)width, sizeof *mean), *vector = calloc((size_t)width, sizeof *vector);
    double *covariance = calloc((size_t)(width * width), sizeof *covariance);
    double *directions = calloc((size_t)(rank * width), sizeof *directions);
    double *coordinates = calloc((size_t)(n * LAY_COMPONENTS), sizeof *coordinates);
    struct lay_components components;
    assert_true(points && mean && vector && covariance && directions && coordinates);
    for (int k = 0; k < rank * width; k++)
        directions[k] = noise(&random) * pow(0.7, k / width);
    for (int i = 0; i < n; i++)
        for (int k = 0; k < rank; k++) {
            const double part = noise(&random);
            for (int j = 0; j < width; j++)
                points[i * width + j] += (float)(part * directions[k * width + j] + (k == 0 ? 3 : 0));
        }
    double trace = 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < width; j++)
            mean[j] += (double)points[i * width + j] / n;
    for (int i = 0; i < width; i++)
        for (int j = 0; j < width; j++) {
            for (int p = 0; p < n; p++)
                covariance[i * width + j] += ((double)points[p * width + i] - mean[i]) *
                                             ((double)points[p * width + j] - mean[j]) / (n - 1);
            trace += i == j ? covariance[i * width + i] : 0;
        }
    assert_int_equal(lay_principal_components(points, n, width, coordinates, &components, NULL), LAY_OK);
    for (int c = 0; c < LAY_COMPONENTS; c++) {
        double value;
        int largest = 0;
        power_iteration(covariance, width, vector, &value);
        for (int j = 1; j < width; j++)
            largest = fabs(vector[j]) > fabs(vector[largest]) ? j : largest;
        const double sign = vector[largest] < 0 ? -1 : 1;
        assert_true(close_to(components.variance[c], value, 1e-9 * trace));
        assert_true(close_to(components.share[c], value / trace, 1e-9));
        for (int i = 0; i < n; i++) {
            double along = 0;
            for (int j = 0; j < width; j++)
                along += sign * vector[j] * ((double)points[i * width + j] - mean[j]);
            assert_true(close_to(coordinates[i * LAY_COMPONENTS + c], along, 1e-6 * sqrt(trace)));
        }
        for (int i = 0; i < width; i++) /* deflate */
            for (int j = 0; j < width; j++)
                covariance[i * width + j] -= value * vector[i] * vector[j];
    }
    free(points);
    free(mean);
    free(vector);
    free(covariance);
    free(directions);
    free(coordinates);
}

static void clouds_agree_with_power_iteration(void **state)
{
    (void)state;
    check_cloud(12, 40, 6);
    check_cloud(60, 9, 9);
    check_cloud(50, 48, 30);
    check_cloud(5, 33, 2);
}

/* Four corners of a square: every direction is as good, both variances are the same. */
static void equal_variances_are_both_found(void **state)
{
    static const float square[] = {1, 0, 0, 1, -1, 0, 0, -1};
    double coordinates[8];
    struct lay_components components;
    (void)state;
    assert_int_equal(lay_principal_components(square, 4, 2, coordinates, &components, NULL), LAY_OK);
    assert_true(close_to(components.share[0], 0.5, 1e-12) && close_to(components.share[1], 0.5, 1e-12));
    for (int i = 0; i < 4; i++)
        assert_true(close_to(hypot(coordinates[2 * i], coordinates[2 * i + 1]), 1, 1e-12));
}

static void degenerate_clouds_have_zero_coordinates(void **state)
{
    static const float same[] = {3, 4, 3, 4, 3, 4}, line[] = {1, 2, 3};
    double coordinates[6] = {9, 9, 9, 9, 9, 9};
    struct lay_components components;
    (void)state;
    assert_int_equal(lay_principal_components(same, 3, 2, coordinates, &components, NULL), LAY_OK);
    for (int i = 0; i < 6; i++)
        assert_true(coordinates[i] == 0);
    assert_true(components.share[0] == 0 && components.variance[1] == 0);
    /* width 1: one component, the other empty */
    assert_int_equal(lay_principal_components(line, 3, 1, coordinates, &components, NULL), LAY_OK);
    assert_true(close_to(coordinates[0], -1, 1e-12) && close_to(coordinates[4], 1, 1e-12));
    assert_true(coordinates[1] == 0 && components.share[1] == 0 && close_to(components.share[0], 1, 1e-12));
}

static void the_same_points_give_the_same_bits(void **state)
{
    enum { N = 30, WIDTH = 64 };
    static float points[N * WIDTH];
    static double first[N * LAY_COMPONENTS], second[N * LAY_COMPONENTS];
    struct lay_components a, b;
    uint64_t random = 5;
    (void)state;
    for (int i = 0; i < N * WIDTH; i++)
        points[i] = (float)noise(&random);
    assert_int_equal(lay_principal_components(points, N, WIDTH, first, &a, NULL), LAY_OK);
    assert_int_equal(lay_principal_components(points, N, WIDTH, second, &b, NULL), LAY_OK);
    assert_memory_equal(first, second, sizeof first);
    assert_memory_equal(&a, &b, sizeof a);
}

static void out_of_memory_is_an_error(void **state)
{
    static const float points[] = {1, 2, 3, 4, 5, 7};
    double coordinates[6];
    struct lay_components components;
    (void)state;
    for (long n = 0; n < 8; n++) {
        lay_mem_fail_after(n);
        const enum lay_status status = lay_principal_components(points, 3, 2, coordinates, &components, NULL);
        lay_mem_fail_after(-1);
        assert_int_equal(status, LAY_ERR_MEMORY);
    }
    assert_int_equal(lay_principal_components(points, 3, 2, coordinates, &components, NULL), LAY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eigenvalues_of_a_small_matrix),
        cmocka_unit_test(eigenvectors_satisfy_their_equation),
        cmocka_unit_test(components_of_a_plane_by_hand),
        cmocka_unit_test(clouds_agree_with_power_iteration),
        cmocka_unit_test(equal_variances_are_both_found),
        cmocka_unit_test(degenerate_clouds_have_zero_coordinates),
        cmocka_unit_test(the_same_points_give_the_same_bits),
        cmocka_unit_test(out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
