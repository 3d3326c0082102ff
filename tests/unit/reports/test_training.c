/* How a bridge was trained: the file that says so, what is refused in its place, the picture. */
#include "build.h"

#include "engine/base/str.h"
#include "reports/html.h"
#include "reports/training.h"

#include <math.h>
#include <stdlib.h>

static struct lay_training *new_training(void)
{
    struct lay_training *training = lay_alloc(1, sizeof *training);
    assert_non_null(training);
    return training;
}

static struct lay_training *two_stages(void)
{
    const double step[] = {1, 2, 5}, loss[] = {9.25, 0.1, 1.5e-5};
    struct lay_training *training = new_training();
    for (int i = 0; i < 2; i++) {
        struct lay_training_stage *stage = lay_training_add(training);
        strcpy(stage->stage, i ? "task" : "translation");
        strcpy(stage->schedule, "cosine");
        stage->steps = 5 + i;
        stage->planned = 60;
        stage->batch = 32;
        stage->learning_rate = 4e-5;
        lay_training_curve_set(&stage->train, step, loss, 3);
        lay_training_curve_set(&stage->dev, step, loss, i ? 1 : 0);
    }
    return training;
}

static void long_curves_are_means_of_stretches(void **state)
{
    (void)state;
    enum { N = 1001 }; /* stretches of three, the last one of two */
    static double step[N], loss[N];
    struct lay_training_curve curve;
    for (int i = 0; i < N; i++) {
        step[i] = i + 1;
        loss[i] = i;
    }
    lay_training_curve_set(&curve, step, loss, N);
    assert_int_equal(curve.count, 334);
    assert_true(curve.step[1] == 4 && curve.loss[1] == 4);
    assert_true(curve.step[333] == 1000 && curve.loss[333] == 999.5);
    lay_training_curve_set(&curve, step, loss, LAY_TRAINING_POINTS);
    assert_int_equal(curve.count, LAY_TRAINING_POINTS);
    assert_true(curve.step[499] == 500 && curve.loss[499] == 499);
    lay_training_curve_set(&curve, step, loss, 0);
    assert_int_equal(curve.count, 0);
}

static void the_oldest_stage_is_forgotten(void **state)
{
    (void)state;
    struct lay_training *training = new_training();
    for (int i = 0; i < LAY_TRAINING_STAGES + 2; i++)
        lay_training_add(training)->batch = i;
    assert_int_equal(training->count, LAY_TRAINING_STAGES);
    assert_int_equal(training->stages[0].batch, 2);
    assert_int_equal(training->stages[LAY_TRAINING_STAGES - 1].batch, LAY_TRAINING_STAGES + 1);
    lay_free(training);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct lay_err err;
    struct lay_str text = {0}, again = {0};
    struct lay_training *wrote = two_stages(), *read = new_training();
    lay_training_put(&text, wrote);
    assert_non_null(strstr(text.data,
                           "{\"stage\": \"translation\", \"steps\": 5, \"planned\": 60, \"batch\": 32, "
                           "\"learning_rate\": 4e-05, \"schedule\": \"cosine\",\n"
                           "   \"loss\": [[1, 9.25], [2, 0.1], [5, 1.5e-05]],\n   \"dev_loss\": []}"));
    assert_int_equal(lay_training_parse("f", text.data, text.length, read, &err), LAY_OK);
    assert_int_equal(read->count, 2);
    assert_true(read->stages[1].dev.count == 1 && read->stages[1].dev.loss[0] == 9.25);
    lay_training_put(&again, read);
    assert_string_equal(again.data, text.data);
    lay_str_free(&text);
    lay_str_free(&again);
    lay_free(wrote);
    lay_free(read);
}

#define STAGE "{\"stage\": \"task\", \"steps\": 5, \"planned\": 9, \"batch\": 1, \"learning_rate\": 1, "
#define FILE_OF(stage) "{\"version\": 1, \"stages\": [" stage "]}"
#define LOSSES(list) FILE_OF(STAGE "\"schedule\": \"cosine\", \"loss\": " list ", \"dev_loss\": []}")

static void everything_else_is_refused(void **state)
{
    (void)state;
    static const char *const files[] = {
        "",
        "[]",
        "{\"version\": 1}",
        "{\"version\": 1, \"stages\": []}",
        "{\"version\": 2, \"stages\": [" STAGE "\"schedule\": \"cosine\", \"loss\": [], \"dev_loss\": []}]}",
        FILE_OF("3"),
        FILE_OF("{}"),
        FILE_OF(STAGE "\"schedule\": \"a schedule with a long name\", \"loss\": [], \"dev_loss\": []}"),
        FILE_OF(STAGE "\"schedule\": \"cosine\", \"loss\": [], \"dev_loss\": [], \"svg\": \"<svg>\"}"),
        FILE_OF(STAGE "\"schedule\": \"cosine\", \"loss\": []}"),
        "{\"version\": 1, \"stages\": [{\"stage\": \"task\", \"steps\": 1, \"planned\": 1, \"batch\": 1, "
        "\"learning_rate\": "
        "1e999, \"schedule\": \"x\", \"loss\": [], \"dev_loss\": []}]}",
        LOSSES("{}"),
        LOSSES("[1]"),
        LOSSES("[[1]]"),
        LOSSES("[[1, 2, 3]]"),
        LOSSES("[{\"step\": 1, \"loss\": 2}]"),
        LOSSES("[[1, \"<svg>\"]]"),
        LOSSES("[[1, -1]]"),
        LOSSES("[[1, 1e999]]"),
        LOSSES("[[0, 1]]"),
        LOSSES("[[1.5, 1]]"),
        LOSSES("[[2, 1], [1, 1]]"),
        LOSSES("[[1, 1], [1, 1]]"),
    };
    struct lay_training *training = new_training();
    const char *good = LOSSES("[[1, 1], [2, 1]]");
    assert_int_equal(lay_training_parse("f", good, strlen(good), training, NULL), LAY_OK);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct lay_err err = {0};
        if (lay_training_parse("f.json", files[i], strlen(files[i]), training, &err) != LAY_ERR_INPUT)
            fail_msg("accepted: %s", files[i]);
        assert_non_null(strstr(err.message, "f.json"));
        assert_null(strchr(err.message, '\n'));
    }
    lay_free(training);
}

static void a_curve_may_have_no_more_points_than_are_drawn(void **state)
{
    (void)state;
    struct lay_training *training = new_training();
    for (int n = LAY_TRAINING_POINTS; n <= LAY_TRAINING_POINTS + 1; n++) {
        struct lay_str text = {0};
        lay_str_puts(&text, "{\"version\": 1, \"stages\": [" STAGE
                            "\"schedule\": \"x\", \"dev_loss\": [], \"loss\": [");
        for (int i = 1; i <= n; i++)
            lay_str_printf(&text, "%s[%d, 1]", i > 1 ? "," : "", i);
        lay_str_puts(&text, "]}]}");
        assert_int_equal(lay_training_parse("f", text.data, text.length, training, NULL),
                         n == LAY_TRAINING_POINTS ? LAY_OK : LAY_ERR_INPUT);
        lay_str_free(&text);
    }
    lay_free(training);
}

/* Two systems, one of which has a history with names that would like to be markup. */
static void the_page_draws_every_stage(void **state)
{
    (void)state;
    struct lay_str out = {0};
    struct lay_training *training = two_stages();
    strcpy(training->stages[1].stage, "</svg><b>x");
    strcpy(training->stages[1].schedule, "<script>");
    const struct lay_system_result systems[] = {{.name = "plain", .method = "plain"},
                                                {.name = "ours", .method = "layalign", .training = training}};
    const struct lay_report report = {.systems = systems, .count = 2};
    assert_int_equal(lay_html_put(&out, &report, NULL), LAY_OK);
    assert_non_null(strstr(out.data, "<a href=\"#training\">"));
    assert_non_null(strstr(out.data, "ours, stage 1 of 2, translation: 5 steps"));
    assert_non_null(strstr(out.data, "ours, stage 2 of 2, &lt;/svg&gt;&lt;b&gt;x"));
    assert_non_null(
        strstr(out.data, "5 steps (the checkpoint's, of 60) of 32 samples, learning rate at most 4e-05"));
    assert_non_null(strstr(out.data, "the lowest dev loss is 9.25, at step 1."));
    assert_non_null(strstr(out.data, "schedule &lt;script&gt;"));
    assert_null(strstr(out.data, "</svg><b>"));
    assert_null(strstr(out.data, "plain, task"));
    lay_str_clear(&out);
    const struct lay_report without = {.systems = systems, .count = 1};
    assert_int_equal(lay_html_put(&out, &without, NULL), LAY_OK);
    assert_null(strstr(out.data, "training-heading"));
    lay_str_free(&out);
    lay_free(training);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(long_curves_are_means_of_stretches),
        cmocka_unit_test(the_oldest_stage_is_forgotten),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(a_curve_may_have_no_more_points_than_are_drawn),
        cmocka_unit_test(the_page_draws_every_stage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
