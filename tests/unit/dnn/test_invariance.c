/* The test of invariance finds what is not invariant and passes what is. */
#include "engine/base/mem.h"
#include "engine/dnn/invariance.h"

#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { IN = 40, OUT = 3 };

/* A product of ours whose results can be made to depend on what they must not depend on. */
enum fault { NONE, ROWS, PLACE, THREADS, RESIDUAL };

static enum lay_status multiply(const void *context, const float *x, float *y, int64_t rows, bool accumulate,
                                struct lay_err *err)
{
    const enum fault fault = *(const enum fault *)context;
    (void)err;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < OUT; o++) {
            float sum = 0;
            for (int64_t i = 0; i < IN; i++)
                sum += x[r * IN + i] * (float)(o + 1);
            const bool wrong = (fault == ROWS && rows == 5) || (fault == PLACE && r == 31 && rows == 32) ||
                               (fault == THREADS && omp_get_max_threads() == 4) ||
                               (fault == RESIDUAL && accumulate && rows < 6);
            y[r * OUT + o] = (accumulate ? y[r * OUT + o] + sum : sum) + (wrong ? 1.0f : 0.0f);
        }
    return LAY_OK;
}

static struct lay_invariance try_with(enum fault fault)
{
    const struct lay_invariance_product product = {IN, OUT, multiply, &fault};
    struct lay_invariance verdict = {.holds = true};
    assert_int_equal(
        lay_invariance_try(&product, lay_invariance_few, lay_invariance_few_count, &verdict, NULL), LAY_OK);
    return verdict;
}

static void what_depends_on_rows_place_or_threads_is_found(void **state)
{
    (void)state;
    const struct lay_invariance good = try_with(NONE);
    assert_true(good.holds);
    assert_int_equal(good.layers, 1);
    assert_int_equal(good.products, lay_invariance_few_count);
    struct lay_invariance bad = try_with(ROWS);
    assert_false(bad.holds);
    assert_int_equal(bad.in, IN);
    assert_int_equal(bad.out, OUT);
    assert_int_equal(bad.trial.rows, 5);
    assert_int_equal(bad.row, bad.trial.first);
    bad = try_with(PLACE);
    assert_false(bad.holds);
    assert_int_equal(bad.row, bad.trial.first + 31);
    bad = try_with(THREADS);
    assert_false(bad.holds);
    assert_int_equal(bad.trial.threads, 4);
    bad = try_with(RESIDUAL);
    assert_false(bad.holds);
    assert_true(bad.trial.accumulate);
}

static void many_trials_cover_every_place_and_number_of_threads(void **state)
{
    (void)state;
    static const int64_t rows[] = {1, 8, LAY_INVARIANCE_ROWS};
    struct lay_invariance_trial trials[LAY_INVARIANCE_TRIALS_MAX];
    assert_int_equal(lay_invariance_many(rows, 3, trials), 9);
    int threads[5] = {0}, first = 0, last = 0;
    for (size_t i = 0; i < 9; i++) {
        threads[trials[i].threads]++;
        first += trials[i].rows < LAY_INVARIANCE_ROWS && trials[i].first == 0;
        last +=
            trials[i].rows < LAY_INVARIANCE_ROWS && trials[i].first + trials[i].rows == LAY_INVARIANCE_ROWS;
        assert_in_range(trials[i].first + trials[i].rows, 1, LAY_INVARIANCE_ROWS);
    }
    assert_int_equal(threads[1], 3);
    assert_int_equal(threads[2], 3);
    assert_int_equal(threads[4], 3);
    assert_int_equal(first, 2);
    assert_int_equal(last, 2);
}

static struct lay_linear *make(struct lay_dnn *dnn, int64_t in, int64_t out)
{
    float *w = calloc((size_t)(in * out), sizeof *w);
    struct lay_linear *linear = NULL;
    for (int64_t i = 0; i < in * out; i++)
        w[i] = (float)(i % 97 - 48) / 64.0f;
    const struct lay_matrix part = {w, LAY_F32, out, in, false};
    assert_int_equal(lay_linear_create(dnn, LAY_BF16, &part, 1, NULL, &linear, NULL), LAY_OK);
    free(w);
    return linear;
}

static void every_shape_that_lives_is_tried_once(void **state)
{
    (void)state;
    struct lay_dnn *dnn = NULL;
    assert_int_equal(lay_dnn_create(&dnn, NULL), LAY_OK);
    struct lay_linear *layers[] = {make(dnn, 64, 96), make(dnn, 96, 64), make(dnn, 64, 96),
                                   make(dnn, 32, 80)};
    lay_linear_destroy(layers[3]); /* the newest … */
    lay_linear_destroy(layers[1]); /* … and one in between are gone */
    struct lay_invariance verdict = {.holds = true};
    assert_int_equal(lay_dnn_invariance(dnn, lay_invariance_few, lay_invariance_few_count, &verdict, NULL),
                     LAY_OK);
    assert_true(verdict.holds);
    assert_int_equal(verdict.layers, 1);
    lay_linear_destroy(layers[0]);
    lay_linear_destroy(layers[2]);
    lay_dnn_destroy(dnn);
}

static void the_verdict_is_a_sentence(void **state)
{
    (void)state;
    const struct lay_invariance good = try_with(NONE), bad = try_with(THREADS);
    struct lay_str text = {0};
    lay_invariance_print(&good, &text);
    assert_non_null(strstr(text.data, "same bits"));
    lay_str_clear(&text);
    lay_invariance_print(&bad, &text);
    assert_non_null(strstr(text.data, "40 inputs and 3 outputs"));
    assert_non_null(strstr(text.data, "on 4 threads"));
    lay_str_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_depends_on_rows_place_or_threads_is_found),
        cmocka_unit_test(many_trials_cover_every_place_and_number_of_threads),
        cmocka_unit_test(every_shape_that_lives_is_tried_once),
        cmocka_unit_test(the_verdict_is_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
