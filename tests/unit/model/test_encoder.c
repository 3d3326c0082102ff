/* What the encoders promise beyond the golden figures: a sequence's bits do not depend on its company or its
 * pads; umT5's bias per layer; limits. */
#include "engine/base/mem.h"
#include "engine/model/encoder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "tests/unit/ok.h"

enum { STATES = 4, ROWS_MAX = 80 };

struct fixture {
    struct lay_dnn *dnn;
    struct lay_checkpoint *checkpoint;
    struct lay_weights *weights;
    struct lay_encoder *encoder;
    struct lay_encoder_config config;
};

static void open_encoder(struct fixture *f, const char *name, enum lay_dtype dtype, bool bias_per_layer)
{
    static const char *const prefixes[] = {"encoder.", "model.encoder.", "roberta.", ""};
    char dir[512];
    snprintf(dir, sizeof dir, LAYEVAL_TEST_DIR "/golden/%s/encoder", name);
    *f = (struct fixture){0};
    ok(lay_encoder_config_read(dir, &f->config, err));
    f->config.relative_bias_per_layer = bias_per_layer;
    ok(lay_dnn_create(&f->dnn, err));
    ok(lay_checkpoint_open(dir, &f->checkpoint, err));
    ok(lay_weights_create(&f->weights, err));
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        ok(lay_weights_add(f->weights, f->checkpoint, prefixes[i], NULL, NULL, err));
    ok(lay_weights_add(f->weights, f->checkpoint, "", "embed_tokens.weight", "shared.weight", err));
    ok(lay_weights_add(f->weights, f->checkpoint, "model.", "embed_tokens.weight", "shared.weight", err));
    for (int layer = 1; bias_per_layer && layer < STATES - 1; layer++) {
        char from[64];
        snprintf(from, sizeof from, "block.%d.layer.0.SelfAttention.relative", layer);
        ok(lay_weights_add(f->weights, f->checkpoint, "encoder.", from,
                           "block.0.layer.0.SelfAttention.relative", err));
    }
    ok(lay_encoder_load(f->dnn, &f->config, f->weights, lay_precision_of(dtype), &f->encoder, err));
    assert_int_equal(f->config.num_hidden_layers, STATES - 1);
}

static void close_encoder(struct fixture *f)
{
    lay_encoder_destroy(f->encoder);
    lay_weights_destroy(f->weights);
    lay_checkpoint_close(f->checkpoint);
    lay_dnn_destroy(f->dnn);
}

/* All hidden states of the sequences, [STATES][rows, d]. Free with lay_free. */
static float *encode(struct fixture *f, const int32_t *ids, const int64_t *lengths, const int64_t *valid,
                     int64_t n_seqs)
{
    float *hidden[STATES];
    int64_t rows = 0;
    for (int64_t s = 0; s < n_seqs; s++)
        rows += lengths[s];
    const int64_t size = rows * f->config.hidden_size;
    float *all = lay_alloc((size_t)(STATES * size), sizeof *all);
    assert_non_null(all);
    for (int i = 0; i < STATES; i++)
        hidden[i] = all + i * size;
    const struct lay_encoder_batch batch = {ids, lengths, valid, n_seqs};
    ok(lay_encoder_forward(f->encoder, &batch, hidden, err));
    return all;
}

static void make_ids(int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)(5 + 29 * i % 90);
}

/* The first `n` rows of every state of `part` (part_rows rows) stand in `whole` from row `first` on. */
static void assert_rows_equal(const struct fixture *f, const float *part, int64_t part_rows, int64_t n,
                              const float *whole, int64_t whole_rows, int64_t first)
{
    const int64_t d = f->config.hidden_size;
    for (int64_t i = 0; i < STATES; i++)
        assert_memory_equal(part + i * part_rows * d, whole + (i * whole_rows + first) * d,
                            (size_t)(n * d) * sizeof *part);
}

static const char *const families[] = {"layalign_mt5_llama_linear", "layalign_nllb_llama_linear",
                                       "mindmerger_xlmr_qwen2"};

static void check_company(const char *name, enum lay_dtype dtype)
{
    static const int64_t lengths[] = {5, 40, 1};
    struct fixture f;
    int32_t ids[46];
    make_ids(ids, 46);
    open_encoder(&f, name, dtype, false);
    float *together = encode(&f, ids, lengths, NULL, 3);
    int64_t first = 0;
    for (int s = 0; s < 3; s++) {
        float *alone = encode(&f, ids + first, &lengths[s], NULL, 1);
        assert_rows_equal(&f, alone, lengths[s], lengths[s], together, 46, first);
        first += lengths[s];
        lay_free(alone);
    }
    lay_free(together);
    close_encoder(&f);
}

static void company_changes_no_bit(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        check_company(families[i], LAY_F32);
        check_company(families[i], LAY_BF16);
    }
}

static void pads_change_no_bit_of_the_tokens(void **state)
{
    (void)state;
    const int64_t length = 12, padded = 30;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct fixture f;
        int32_t ids[30];
        open_encoder(&f, families[i], LAY_F32, false);
        make_ids(ids, length);
        for (int64_t t = length; t < padded; t++)
            ids[t] = f.config.pad_id;
        float *alone = encode(&f, ids, &length, NULL, 1), *with_pads = encode(&f, ids, &padded, &length, 1);
        assert_rows_equal(&f, alone, length, length, with_pads, padded, 0);
        lay_free(alone);
        lay_free(with_pads);
        close_encoder(&f);
    }
}

static void umt5_with_equal_biases_is_mt5(void **state)
{
    (void)state;
    const int64_t length = 33;
    struct fixture shared, own;
    int32_t ids[33];
    make_ids(ids, length);
    open_encoder(&shared, families[0], LAY_F32, false);
    open_encoder(&own, families[0], LAY_F32, true);
    float *a = encode(&shared, ids, &length, NULL, 1), *b = encode(&own, ids, &length, NULL, 1);
    assert_rows_equal(&shared, a, length, length, b, length, 0);
    lay_free(a);
    lay_free(b);
    close_encoder(&shared);
    close_encoder(&own);
}

static void umt5_needs_a_bias_in_every_layer(void **state)
{
    (void)state;
    struct lay_encoder *encoder;
    struct lay_err why = {0};
    struct fixture f;
    open_encoder(&f, families[0], LAY_F32, false);
    f.config.relative_bias_per_layer = true;
    assert_int_equal(lay_encoder_load(f.dnn, &f.config, f.weights, lay_precision_of(LAY_F32), &encoder, &why),
                     LAY_ERR_INPUT);
    assert_non_null(strstr(why.message, "block.1.layer.0.SelfAttention.relative_attention_bias"));
    close_encoder(&f);
}

static enum lay_status try_encode(struct fixture *f, const int32_t *ids, int64_t length, struct lay_err *why)
{
    float *hidden[STATES] = {0};
    float *last = lay_alloc((size_t)(ROWS_MAX * f->config.hidden_size), sizeof *last);
    hidden[STATES - 1] = last;
    const struct lay_encoder_batch batch = {ids, &length, NULL, 1};
    const enum lay_status status = lay_encoder_forward(f->encoder, &batch, hidden, why);
    lay_free(last);
    return status;
}

/* max_position_embeddings 66 with pad id 1 leaves positions 2 … 65: 64 tokens. */
static void xlmr_says_how_long_a_text_may_be(void **state)
{
    (void)state;
    struct fixture f;
    struct lay_err why = {0};
    int32_t ids[ROWS_MAX];
    make_ids(ids, ROWS_MAX);
    open_encoder(&f, families[2], LAY_F32, false);
    assert_int_equal(try_encode(&f, ids, 64, &why), LAY_OK);
    assert_int_equal(try_encode(&f, ids, 65, &why), LAY_ERR_INPUT);
    assert_non_null(strstr(why.message, "65"));
    assert_non_null(strstr(why.message, "64"));
    close_encoder(&f);
}

static void ids_outside_the_vocabulary_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        struct fixture f;
        struct lay_err why = {0};
        open_encoder(&f, families[i], LAY_F32, false);
        const int32_t ids[2] = {5, (int32_t)f.config.vocab_size};
        assert_int_equal(try_encode(&f, ids, 2, &why), LAY_ERR_INPUT);
        assert_int_equal(try_encode(&f, ids, 0, &why), LAY_ERR_INPUT);
        assert_int_equal(try_encode(&f, ids, 1, &why), LAY_OK);
        close_encoder(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(company_changes_no_bit),
        cmocka_unit_test(pads_change_no_bit_of_the_tokens),
        cmocka_unit_test(umt5_with_equal_biases_is_mt5),
        cmocka_unit_test(umt5_needs_a_bias_in_every_layer),
        cmocka_unit_test(xlmr_says_how_long_a_text_may_be),
        cmocka_unit_test(ids_outside_the_vocabulary_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
