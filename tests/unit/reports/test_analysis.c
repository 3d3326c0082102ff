/* Figures of an analysis with numbers worked out by hand: two sentences, English and Bengali, an encoder with
 * two hidden states of width 2, an LLM of width 2 with two layers of which the second has an adapter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/base/mem.h"
#include "reports/analysis/analysis_pictures.h"
#include "reports/analysis/analysis_write.h"

#include <math.h>
#include <string.h>

static const struct lay_analysis_language languages[] = {{"en", "English", false}, {"bn", "Bengali", false}};

/* hidden states [2 tokens or 1, 2] */
static const float embedding_en[] = {1, 0, 0, 2}, last_en[] = {3, 4, 0, 1};
static const float embedding_bn[] = {2, 0}, last_bn[] = {0, 5};
static const float *const hidden_en[] = {embedding_en, last_en}, *const hidden_bn[] = {embedding_bn, last_bn};
/* means over rows: (1, 0), (3, 4), (2, 0), (0, 3) */
static const float states_en0[] = {2, 1, 0, -1}, states_bn0[] = {3, 4}, states_en1[] = {1, 1, 3, -1},
                   states_bn1[] = {0, 2, 0, 4};
static const double ratio_en[] = {NAN, 0.25}, ratio_bn[] = {NAN, 0.5};

static struct lay_states states(bool english, const float *llm, int64_t rows)
{
    return (struct lay_states){.n_source = english ? 2 : 1,
                               .n_hidden = 2,
                               .encoder_width = 2,
                               .hidden = english ? hidden_en : hidden_bn,
                               .n_rows = rows,
                               .llm_width = 2,
                               .states = llm,
                               .llm_layers = 2,
                               .adapter_ratio = english ? ratio_en : ratio_bn};
}

static enum lay_status fill(struct lay_analysis *a, struct lay_err *err)
{
    static const char *const pieces_en[] = {"one", "a,\"b\""}, *const pieces_bn[] = {"<x>"};
    static const int64_t encoder_layers[] = {0}, language_layers[] = {1};
    static const float weights[] = {0.5f, -2}, bias[] = {0, 1}, gates[] = {0.125f};
    const struct lay_states all[] = {states(true, states_en0, 2), states(false, states_bn0, 1),
                                     states(true, states_en1, 2), states(false, states_bn1, 2)};
    LAY_TRY(lay_analysis_fusion(a, encoder_layers, 1, language_layers, 1, weights, bias, gates, err));
    LAY_TRY(lay_analysis_pieces(a, 0, pieces_en, 2, err));
    LAY_TRY(lay_analysis_pieces(a, 1, pieces_bn, 1, err));
    for (size_t i = 0; i < 4; i++)
        LAY_TRY(lay_analysis_add(a, i % 2, i / 2, &all[i], err));
    return lay_analysis_finish(a, err);
}

static struct lay_analysis_options options_for_all(void)
{
    struct lay_analysis_options options = {
        .languages = languages, .n_languages = 2, .n_sentences = 2, .n_points = 2, .pair_language = 1};
    for (int f = 0; f < LAY_FIGURE_COUNT; f++)
        options.wanted[f] = true;
    return options;
}

static struct lay_analysis *complete(void)
{
    const struct lay_analysis_options options = options_for_all();
    struct lay_analysis *a;
    assert_int_equal(lay_analysis_create(&options, &a, NULL), LAY_OK);
    assert_int_equal(fill(a, NULL), LAY_OK);
    return a;
}

static void assert_csv(const struct lay_analysis *a, enum lay_figure figure, const char *expected)
{
    struct lay_str text = {0};
    assert_int_equal(lay_analysis_csv(a, "s", figure, &text, NULL), LAY_OK);
    assert_string_equal(lay_str_text(&text), expected);
    lay_str_free(&text);
}

/* cos((3, 4), (1, 0)) = 0.6 and cos((0, 3), (2, 0)) = 0: mean 0.3, deviation √((0.3² + 0.3²) / 1). */
static void similarity_by_hand(void **state)
{
    struct lay_analysis *a = complete();
    (void)state;
    assert_true(fabs(lay_similarity_mean(&a->similarity[1]) - 0.3) < 1e-15);
    assert_true(fabs(lay_similarity_deviation(&a->similarity[1]) - sqrt(0.18)) < 1e-15);
    assert_true(lay_similarity_mean(&a->similarity[0]) == 1 && a->similarity[0].n == 2);
    assert_true(lay_similarity_deviation(&a->similarity[0]) == 0);
    assert_true(isnan(lay_similarity_deviation(&(struct lay_similarity){.sum = 1, .n = 1})));
    assert_true(isnan(lay_similarity_mean(&(struct lay_similarity){.n = 0})));
    lay_analysis_destroy(a);
}

/* Layers 0 and 1 of English: token cosines 0.6 and 1, mean 0.8; of Bengali 0. Twice each: mean 0.4. */
static void encoder_layers_by_hand(void **state)
{
    struct lay_analysis *a = complete();
    (void)state;
    assert_csv(a, LAY_FIGURE_ENCODER_LAYERS,
               "system,layer_a,layer_b,cosine\ns,0,0,1.0\ns,0,1,0.4\ns,1,0,0.4\ns,1,1,1.0\n");
    lay_analysis_destroy(a);
}

static void tokens_by_hand(void **state)
{
    struct lay_analysis *a = complete();
    (void)state;
    assert_csv(a, LAY_FIGURE_TOKENS,
               "system,layer,english_position,english_token,position,token,cosine\n"
               "s,0,0,one,0,<x>,1.0\ns,0,1,\"a,\"\"b\"\"\",0,<x>,0.0\n"
               "s,1,0,one,0,<x>,0.8\ns,1,1,\"a,\"\"b\"\"\",0,<x>,1.0\n");
    lay_analysis_destroy(a);
}

static void attention_and_fusion_by_hand(void **state)
{
    struct lay_analysis *a = complete();
    (void)state;
    assert_csv(a, LAY_FIGURE_ATTENTION,
               "system,llm_layer,gate,language,ratio\ns,0,,en,\ns,0,,bn,\ns,0,,all,\n"
               "s,1,0.125,en,0.25\ns,1,0.125,bn,0.5\ns,1,0.125,all,0.375\n");
    assert_csv(a, LAY_FIGURE_FUSION,
               "system,llm_layer,gate,state,encoder_layer,weight\n"
               "s,1,0.125,key,0,0.5\ns,1,0.125,key,bias,0.0\n"
               "s,1,0.125,value,0,-2.0\ns,1,0.125,value,bias,1.0\n");
    lay_analysis_destroy(a);
}

/* Only the first sentence's points: (1, 0) and (3, 4) lie 2√5 apart on one line, (1, 2)/√5; the larger
 * element of the direction is positive. */
static void components_of_the_first_points_by_hand(void **state)
{
    struct lay_analysis_options options = options_for_all();
    struct lay_analysis *a;
    (void)state;
    options.n_points = 1;
    assert_int_equal(lay_analysis_create(&options, &a, NULL), LAY_OK);
    assert_int_equal(fill(a, NULL), LAY_OK);
    assert_true(fabs(a->coordinates[0] + sqrt(5)) < 1e-14 && fabs(a->coordinates[2] - sqrt(5)) < 1e-14);
    assert_true(fabs(a->coordinates[1]) < 1e-14 && fabs(a->components.share[0] - 1) < 1e-14);
    lay_analysis_destroy(a);
}

static void what_does_not_exist_is_missing_with_a_reason(void **state)
{
    struct lay_analysis_options options = options_for_all();
    struct lay_analysis *a;
    const double no_ratio[] = {NAN, NAN};
    (void)state;
    options.n_languages = options.n_sentences = 1;
    options.wanted[LAY_FIGURE_TOKENS] = false;
    assert_int_equal(lay_analysis_create(&options, &a, NULL), LAY_OK);
    const struct lay_states plain = {
        .n_rows = 2, .llm_width = 2, .states = states_en0, .llm_layers = 2, .adapter_ratio = no_ratio};
    assert_int_equal(lay_analysis_add(a, 0, 0, &plain, NULL), LAY_OK);
    assert_int_equal(lay_analysis_finish(a, NULL), LAY_OK);
    for (int f = 0; f < LAY_FIGURE_COUNT; f++) {
        assert_false(lay_analysis_has(a, (enum lay_figure)f));
        assert_true((a->missing[f] != NULL) == options.wanted[f]);
    }
    lay_analysis_destroy(a);
}

static void figures_are_found_by_name(void **state)
{
    enum lay_figure figure;
    struct lay_err err = {0};
    (void)state;
    for (int f = 0; f < LAY_FIGURE_COUNT; f++) {
        assert_int_equal(lay_figure_find(lay_figure_info((enum lay_figure)f)->name, &figure, &err), LAY_OK);
        assert_int_equal(figure, f);
    }
    assert_int_equal(lay_figure_find("gates", &figure, &err), LAY_ERR_USAGE);
    assert_non_null(strstr(err.message, "similarity, components"));
}

static void a_zero_vector_has_cosine_zero(void **state)
{
    static const float zero[] = {0, 0};
    static const float *const hidden[] = {zero, zero};
    struct lay_analysis_options options = options_for_all();
    struct lay_analysis *a;
    struct lay_states silent = states(false, zero, 1);
    (void)state;
    silent.hidden = hidden;
    options.n_sentences = 1;
    assert_int_equal(lay_analysis_create(&options, &a, NULL), LAY_OK);
    const struct lay_states english = states(true, states_en0, 2);
    assert_int_equal(lay_analysis_add(a, 0, 0, &english, NULL), LAY_OK);
    assert_int_equal(lay_analysis_add(a, 1, 0, &silent, NULL), LAY_OK);
    assert_int_equal(lay_analysis_finish(a, NULL), LAY_OK);
    assert_true(lay_similarity_mean(&a->similarity[1]) == 0);
    for (int i = 0; i < 4; i++)
        assert_true(a->tokens[i] == 0);
    lay_analysis_destroy(a);
}

/* --- all of it, with the n-th allocation failing --- */

static enum lay_status ignore(void *context, const struct lay_picture *picture, struct lay_err *err)
{
    (void)err;
    *(size_t *)context += picture->length > 0;
    return LAY_OK;
}

static enum lay_status everything(struct lay_str *out, size_t *pictures, struct lay_err *err)
{
    const struct lay_analysis_options options = options_for_all();
    struct lay_analysis *a = NULL;
    enum lay_status status = lay_analysis_create(&options, &a, err);
    if (status == LAY_OK)
        status = fill(a, err);
    const struct lay_analysed analysed = {"s", a};
    for (int f = 0; f < LAY_FIGURE_COUNT && status == LAY_OK; f++) {
        status = lay_analysis_csv(a, "s", (enum lay_figure)f, out, err);
        if (status == LAY_OK)
            status = lay_analysis_draw(&analysed, 1, (enum lay_figure)f, true, ignore, pictures, err);
    }
    if (status == LAY_OK)
        status = lay_analysis_json(a, NULL, out, err);
    if (status == LAY_OK)
        status = lay_analysis_page(&analysed, 1, out, err);
    lay_analysis_destroy(a);
    return status;
}

static void out_of_memory_is_an_error_everywhere(void **state)
{
    enum lay_status status = LAY_ERR_MEMORY;
    long n = 0;
    (void)state;
    for (; status != LAY_OK; n++) {
        struct lay_str out = {0};
        size_t pictures = 0;
        struct lay_err err = {0};
        lay_mem_fail_after(n);
        status = everything(&out, &pictures, &err);
        lay_mem_fail_after(-1);
        assert_true(status == LAY_OK || (status == LAY_ERR_MEMORY && err.message[0]));
        if (status == LAY_OK)
            assert_int_equal(pictures, 10); /* 1 + 1 + 1 + 2 layers of tokens + 2 + 3 */
        lay_str_free(&out);
    }
    assert_true(n > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(similarity_by_hand),
        cmocka_unit_test(encoder_layers_by_hand),
        cmocka_unit_test(tokens_by_hand),
        cmocka_unit_test(attention_and_fusion_by_hand),
        cmocka_unit_test(components_of_the_first_points_by_hand),
        cmocka_unit_test(what_does_not_exist_is_missing_with_a_reason),
        cmocka_unit_test(figures_are_found_by_name),
        cmocka_unit_test(a_zero_vector_has_cosine_zero),
        cmocka_unit_test(out_of_memory_is_an_error_everywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
