/* Whole models that learn: gradients of every parameter against finite differences of a reference in double,
 * and the promise that neither threads nor splits nor kept activations change a bit. */
#include "reference.h"

#include "engine/base/mem.h"
#include "engine/shape/random_checkpoint.h"

#include <omp.h>

#include "tests/unit/ok.h"

/* One combination of models. */
struct variant {
    const char *name;
    enum lay_method method;
    enum lay_family llm;
    int64_t kv_heads, head_dim, window;
    enum lay_family encoder; /* T5 unless said otherwise */
    bool tied, mlp, ungated, bias_per_block, no_soft_prompt;
    bool unscaled, two_types; /* M2M100: scale_embedding; XLM-R: type_vocab_size */
    bool wide, average, hidden_gates;
    int64_t language_layers[2], n_language_layers;
    double dropout;
};

static const struct variant variants[] = {
    {.name = "plain", .llm = LAY_FAMILY_LLAMA, .kv_heads = 4, .head_dim = 6},
    {.name = "plain, tied, biases", .llm = LAY_FAMILY_QWEN2, .kv_heads = 2, .head_dim = 4, .tied = true},
    {.name = "mindmerger, window",
     .method = LAY_MINDMERGER,
     .llm = LAY_FAMILY_MISTRAL,
     .kv_heads = 2,
     .head_dim = 6,
     .window = 3},
    {.name = "layalign",
     .method = LAY_LAYALIGN,
     .llm = LAY_FAMILY_LLAMA,
     .kv_heads = 1,
     .head_dim = 4,
     .language_layers = {0, 1},
     .n_language_layers = 2},
    {.name = "layalign, MLP, subset, biases",
     .method = LAY_LAYALIGN,
     .llm = LAY_FAMILY_QWEN2,
     .kv_heads = 2,
     .head_dim = 6,
     .tied = true,
     .mlp = true,
     .ungated = true,
     .language_layers = {1},
     .n_language_layers = 1},
    {.name = "layalign, no soft prompt",
     .method = LAY_LAYALIGN,
     .llm = LAY_FAMILY_LLAMA,
     .kv_heads = 4,
     .head_dim = 4,
     .no_soft_prompt = true,
     .bias_per_block = true,
     .language_layers = {0},
     .n_language_layers = 1},
    {.name = "layalign, Wide, hidden gates",
     .method = LAY_LAYALIGN,
     .llm = LAY_FAMILY_LLAMA,
     .kv_heads = 2,
     .head_dim = 6,
     .wide = true,
     .hidden_gates = true,
     .language_layers = {0, 1},
     .n_language_layers = 2},
    {.name = "layalign, average, MLP, hidden gates in a subset",
     .method = LAY_LAYALIGN,
     .llm = LAY_FAMILY_QWEN2,
     .kv_heads = 1,
     .head_dim = 4,
     .mlp = true,
     .average = true,
     .hidden_gates = true,
     .language_layers = {1},
     .n_language_layers = 1},
    {.name = "layalign, average, Wide",
     .method = LAY_LAYALIGN,
     .llm = LAY_FAMILY_LLAMA,
     .kv_heads = 4,
     .head_dim = 4,
     .wide = true,
     .average = true,
     .language_layers = {0, 1},
     .n_language_layers = 2},
    {.name = "langbridge", .method = LAY_LANGBRIDGE, .llm = LAY_FAMILY_LLAMA, .kv_heads = 2, .head_dim = 4},
    {.name = "langbridge, ffn",
     .method = LAY_LANGBRIDGE,
     .llm = LAY_FAMILY_LLAMA,
     .kv_heads = 4,
     .head_dim = 6,
     .mlp = true,
     .bias_per_block = true},
    {.name = "layalign, M2M100",
     .method = LAY_LAYALIGN,
     .llm = LAY_FAMILY_LLAMA,
     .kv_heads = 2,
     .head_dim = 4,
     .encoder = LAY_FAMILY_M2M100,
     .language_layers = {0, 1},
     .n_language_layers = 2},
    {.name = "langbridge, M2M100 without scale",
     .method = LAY_LANGBRIDGE,
     .llm = LAY_FAMILY_LLAMA,
     .kv_heads = 4,
     .head_dim = 4,
     .encoder = LAY_FAMILY_M2M100,
     .unscaled = true},
    {.name = "layalign, XLM-R",
     .method = LAY_LAYALIGN,
     .llm = LAY_FAMILY_QWEN2,
     .kv_heads = 2,
     .head_dim = 6,
     .encoder = LAY_FAMILY_XLMR,
     .mlp = true,
     .language_layers = {0},
     .n_language_layers = 1},
    {.name = "mindmerger, XLM-R with two types",
     .method = LAY_MINDMERGER,
     .llm = LAY_FAMILY_LLAMA,
     .kv_heads = 4,
     .head_dim = 4,
     .encoder = LAY_FAMILY_XLMR,
     .two_types = true},
    {.name = "layalign, dropout",
     .method = LAY_LAYALIGN,
     .llm = LAY_FAMILY_QWEN2,
     .kv_heads = 2,
     .head_dim = 4,
     .mlp = true,
     .language_layers = {0, 1},
     .n_language_layers = 2,
     .dropout = 0.4},
    {.name = "langbridge, dropout",
     .method = LAY_LANGBRIDGE,
     .llm = LAY_FAMILY_LLAMA,
     .kv_heads = 2,
     .head_dim = 4,
     .dropout = 0.25},
};

struct world {
    struct lay_llm_config llm;
    struct lay_encoder_config encoder;
    struct lay_checkpoint *checkpoints[3];
    struct lay_trainable_parts parts;
};

static const int32_t words[] = {3, 17, 5, 22, 9, 1, 11, 4, 2, 28, 7, 13, 6, 19, 25, 8};

/* The second is longer than the first and has the pad of M2M100 and XLM-R, 1, in its middle; the third has no
 * prompt. */
static const struct lay_train_sample samples[] = {
    {words, words + 3, words + 6, 4, 3, 3, 1},
    {words + 2, words + 1, words + 5, 7, 5, 9, 0x123456789abcdef0},
    {words + 9, words, words + 8, 1, 0, 2, 3},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void parse_config(const struct lay_shape *shape, struct world *w)
{
    struct lay_str config = {0}, generation = {0};
    ok(lay_shape_config(shape, LAY_F32, &config, &generation, err));
    if (shape->family >= LAY_FAMILY_MT5)
        ok(lay_encoder_config_parse("test", lay_str_text(&config), config.length, &w->encoder, err));
    else
        ok(lay_llm_config_parse("test", lay_str_text(&config), config.length, &w->llm, err));
    lay_str_free(&config);
    lay_str_free(&generation);
}

static enum lay_family encoder_family(const struct variant *v)
{
    return v->encoder ? v->encoder : LAY_FAMILY_MT5;
}

/* The shapes know gated encoders whose blocks share a bias; the others are a matter of names. */
static void change_encoder(const struct variant *v, struct world *w, struct lay_shape_tensors *tensors)
{
    size_t kept = 0;
    w->encoder.scale_embedding &= !v->unscaled;
    for (size_t i = 0; v->two_types && i < tensors->count; i++)
        if (strstr(tensors->items[i].name, "token_type")) {
            tensors->items[i].shape[0] = 2;
            tensors->items[i].count *= 2;
        }
    if (encoder_family(v) != LAY_FAMILY_MT5)
        return;
    w->encoder.gated = !v->ungated;
    w->encoder.activation = v->ungated ? LAY_RELU : LAY_GELU_TANH;
    w->encoder.relative_bias_per_layer = v->bias_per_block;
    for (size_t i = 0; i < tensors->count; i++) {
        struct lay_shape_tensor *t = &tensors->items[i];
        char *gate = strstr(t->name, "wi_0"), *up = strstr(t->name, "wi_1");
        if (v->ungated && gate)
            memmove(gate + 2, gate + 4, strlen(gate + 4) + 1);
        if (v->ungated && up)
            continue;
        tensors->items[kept++] = *t;
    }
    tensors->count = kept;
    for (size_t i = 0; v->bias_per_block && i < kept; i++) {
        char *block = strstr(tensors->items[i].name, "encoder.block.0");
        if (!block || !strstr(block, "relative_attention_bias"))
            continue;
        assert_true(lay_grow((void **)&tensors->items, &tensors->capacity, kept + 1, sizeof *tensors->items));
        tensors->items[kept] = tensors->items[i];
        strstr(tensors->items[kept].name, "block.0")[6] = '1';
        tensors->count = kept + 1;
        break;
    }
}

static void make(struct world *w, int which, struct lay_shape_tensors *tensors)
{
    ok(lay_checkpoint_random("test", tensors, (uint64_t)which + 5, LAY_F32, NULL, &w->checkpoints[which],
                             err));
    lay_shape_tensors_free(tensors);
}

static void make_bridge(const struct variant *v, struct world *w)
{
    static const enum lay_family families[LAY_METHOD_COUNT] = {[LAY_LANGBRIDGE] = LAY_FAMILY_LANGBRIDGE,
                                                               [LAY_MINDMERGER] = LAY_FAMILY_MINDMERGER,
                                                               [LAY_LAYALIGN] = LAY_FAMILY_LAYALIGN};
    struct lay_shape_tensors tensors = {0};
    const struct lay_bridge_shape shape = {.family = families[v->method],
                                           .encoder_hidden = w->encoder.hidden_size,
                                           .llm_hidden = w->llm.hidden_size,
                                           .encoder_layers = w->encoder.num_hidden_layers,
                                           .language_layers = v->language_layers,
                                           .n_language_layers = v->n_language_layers,
                                           .mlp = v->mlp,
                                           .wide = v->wide,
                                           .average = v->average,
                                           .hidden_gates = v->hidden_gates};
    ok(lay_bridge_shape_tensors(&shape, &tensors, err));
    make(w, 2, &tensors);
}

static void world_open(const struct variant *v, struct world *w)
{
    const struct lay_shape llm = {.name = "llm",
                                  .family = v->llm,
                                  .vocab = 30,
                                  .hidden = 16,
                                  .inner = 18,
                                  .layers = 2,
                                  .heads = 4,
                                  .kv_heads = v->kv_heads,
                                  .head_dim = v->head_dim,
                                  .positions = 64,
                                  .tied = v->tied};
    const bool t5 = encoder_family(v) == LAY_FAMILY_MT5; /* whose heads need not fill the width */
    const struct lay_shape encoder = {.name = "encoder",
                                      .family = encoder_family(v),
                                      .vocab = 29,
                                      .hidden = t5 ? 10 : 15,
                                      .inner = t5 ? 12 : 13,
                                      .layers = 2,
                                      .heads = 3,
                                      .kv_heads = 3,
                                      .head_dim = t5 ? 6 : 5,
                                      .positions = 11};
    struct lay_shape_tensors tensors = {0};
    *w = (struct world){0};
    parse_config(&llm, w);
    w->llm.head_dim = v->head_dim; /* heads need not fill the width */
    w->llm.sliding_window = v->window;
    ok(lay_shape_tensors(&llm, &tensors, err));
    make(w, 0, &tensors);
    w->parts = (struct lay_trainable_parts){.llm_config = &w->llm, .llm = w->checkpoints[0]};
    w->parts.bridge_options =
        (struct lay_bridge_options){.method = v->method, .n_encoder_layers = -1, .n_language_layers = -1};
    if (v->average) /* the rest is told by the tensors */
        w->parts.bridge_options.form.value[LAY_FORM_FUSION] = LAY_FUSION_AVERAGE;
    if (v->method == LAY_PLAIN)
        return;
    tensors = (struct lay_shape_tensors){0};
    parse_config(&encoder, w);
    ok(lay_shape_tensors(&encoder, &tensors, err));
    change_encoder(v, w, &tensors);
    make(w, 1, &tensors);
    make_bridge(v, w);
    w->parts.encoder_config = &w->encoder;
    w->parts.encoder = w->checkpoints[1];
    w->parts.bridge = w->checkpoints[2];
}

static void world_close(struct world *w)
{
    for (int i = 0; i < 3; i++)
        lay_checkpoint_close(w->checkpoints[i]);
}

static struct lay_trainable_options everything(const struct variant *v)
{
    const bool bridged = v->method != LAY_PLAIN;
    return (struct lay_trainable_options){.compute = LAY_F32,
                                          .train_bridge = bridged,
                                          .train_llm = true,
                                          .train_encoder = bridged,
                                          .no_soft_prompt = v->no_soft_prompt,
                                          .dropout = v->dropout};
}

/* All gradients one after the other; free with free. */
static float *gradients(struct lay_trainable *t, size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < lay_trainable_count(t); i++)
        *n += lay_trainable_parameter(t, i)->count;
    float *all = malloc((*n + 1) * sizeof *all), *to = all;
    assert_non_null(all);
    for (size_t i = 0; i < lay_trainable_count(t); i++) {
        const struct lay_parameter *p = lay_trainable_parameter(t, i);
        memcpy(to, p->gradient, p->count * sizeof *to);
        to += p->count;
    }
    return all;
}

/* --- finite differences --- */

static void check_element(struct reference *r, const struct lay_parameter *p, size_t i, double weight,
                          const char *where)
{
    const double step = 1e-5;
    r->changed = &p->value[i];
    r->delta = step;
    const double above = reference_loss(r, samples, SAMPLES);
    r->delta = -step;
    const double below = reference_loss(r, samples, SAMPLES);
    const double expected = weight * (above - below) / (2 * step);
    if (!(fabs((double)p->gradient[i] - expected) <= 2e-5 * (1 + fabs(expected))))
        fail_msg("%s: %s[%zu] is %.9g, by differences %.9g", where, p->name, i, (double)p->gradient[i],
                 expected);
}

/* The largest gradient of a tensor, and a few from all over it. */
static void check_parameter(struct reference *r, const struct lay_parameter *p, double weight,
                            const char *where)
{
    enum { CHECKED = 3 };
    size_t largest = 0;
    for (size_t i = 1; i < p->count; i++)
        if (fabsf(p->gradient[i]) > fabsf(p->gradient[largest]))
            largest = i;
    check_element(r, p, largest, weight, where);
    for (size_t k = 0; k < CHECKED; k++) {
        const size_t i = p->count <= CHECKED ? k : (k * 7919 + 13 * k * k) % p->count;
        if (i < p->count && i != largest)
            check_element(r, p, i, weight, where);
    }
}

/* Tables of M2M100 and XLM-R are nn.Embeddings with a padding_idx, whose row gets no gradient, though the
 * second sample reads it; those of T5 have none, whose pads come with official padding only. */
static void check_pad_rows(const struct lay_trainable *t, const struct variant *v,
                           const struct lay_encoder_config *c, bool padded)
{
    static const char *const tables[] = {"shared.weight", "model.shared.weight",
                                         "roberta.embeddings.word_embeddings.weight",
                                         "roberta.embeddings.position_embeddings.weight"};
    int found = 0;
    for (size_t i = 0; i < lay_trainable_count(t); i++)
        for (size_t k = 0; k < sizeof tables / sizeof *tables; k++) {
            const struct lay_parameter *p = lay_trainable_parameter(t, i);
            if (strcmp(p->name, tables[k]) != 0)
                continue;
            double sum = 0;
            for (int64_t e = 0; e < c->hidden_size; e++)
                sum += fabs((double)p->gradient[c->pad_id * c->hidden_size + e]);
            if ((sum != 0) != (padded && encoder_family(v) == LAY_FAMILY_MT5))
                fail_msg("%s: %s: gradients of the pad's row sum up to %g", v->name, p->name, sum);
            found++;
        }
    assert_int_equal(found, encoder_family(v) == LAY_FAMILY_XLMR ? 2 : 1);
}

/* `padded` as in struct reference. */
static void check_variant(const struct variant *v, int64_t padded)
{
    const struct lay_trainable_options options = everything(v);
    const struct lay_accumulate_options accumulate = {.weight = 2.0, .official_padding = padded > 0};
    struct lay_trainable *t;
    struct lay_train_loss loss = {0};
    struct world w;
    world_open(v, &w);
    ok(lay_trainable_create(&w.parts, &options, &t, err));
    ok(lay_trainable_accumulate(t, samples, SAMPLES, &accumulate, &loss, err));
    lay_trainable_collect(t, 0.25);
    struct reference r = {.trainable = t,
                          .llm = &w.llm,
                          .encoder = w.parts.encoder_config,
                          .method = v->method,
                          .mlp = v->mlp,
                          .no_soft_prompt = v->no_soft_prompt,
                          .dropout = v->dropout,
                          .padded = padded,
                          .wide = v->wide,
                          .average = v->average,
                          .hidden_gates = v->hidden_gates,
                          .n_language_layers = v->n_language_layers};
    memcpy(r.language_layers, v->language_layers, sizeof v->language_layers);
    assert_int_equal(loss.tokens, 14);
    assert_true(fabs(loss.sum - reference_loss(&r, samples, SAMPLES)) < 2e-5);
    for (size_t p = 0; p < lay_trainable_count(t); p++)
        check_parameter(&r, lay_trainable_parameter(t, p), 0.5, v->name);
    if (v->method != LAY_PLAIN)
        check_pad_rows(t, v, &w.encoder, padded > 0);
    lay_trainable_destroy(t);
    world_close(&w);
}

static void gradients_are_those_of_the_loss(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        check_variant(&variants[i], 0);
}

/* The adapter reads pads, too. */
static void gradients_with_official_padding_are_those_of_the_loss(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        if (variants[i].method == LAY_LAYALIGN)
            check_variant(&variants[i], 7);
}

/* --- the promise --- */

/* How a batch is computed. */
struct way {
    const char *name;
    int threads;
    int64_t rows; /* of a pass */
    bool apart;   /* one call per sample */
    bool little;  /* as little memory as can be: nothing is kept */
};

static size_t least_memory(const struct world *w, struct lay_trainable_options options)
{
    size_t low = 1, high = (size_t)1 << 40;
    struct lay_train_plan plan;
    while (high - low > 1) {
        options.memory = low + (high - low) / 2;
        if (lay_trainable_plan(&w->parts, &options, &plan, NULL, NULL) == LAY_OK)
            high = options.memory;
        else
            low = options.memory;
    }
    return high;
}

static float *compute(const struct world *w, const struct variant *v, const struct way *way,
                      enum lay_dtype dtype, bool all, struct lay_train_loss *loss, size_t *n)
{
    struct lay_trainable_options options = everything(v);
    const struct lay_accumulate_options accumulate = {.weight = 1.0};
    struct lay_trainable *t;
    options.compute = dtype;
    options.rows = way->rows;
    if (!all)
        options.train_llm = options.train_encoder = false;
    if (way->little)
        options.memory = least_memory(w, options);
    *loss = (struct lay_train_loss){0};
    omp_set_num_threads(way->threads);
    ok(lay_trainable_create(&w->parts, &options, &t, err));
    for (size_t s = 0; s < SAMPLES; s += way->apart ? 1 : SAMPLES)
        ok(lay_trainable_accumulate(t, samples + s, way->apart ? 1 : SAMPLES, &accumulate, loss, err));
    lay_trainable_collect(t, 1.0);
    float *all_gradients = gradients(t, n);
    lay_trainable_destroy(t);
    return all_gradients;
}

static void nothing_but_the_samples_matters(void **state)
{
    static const struct way ways[] = {{"whole", 2, 2048, false, false},
                                      {"one thread", 1, 2048, false, false},
                                      {"a sample per pass", 2, 1, false, false},
                                      {"a call per sample", 2, 2048, true, false},
                                      {"nothing kept", 2, 2048, false, true}};
    (void)state;
    const int threads = omp_get_max_threads();
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
        for (int half = 0; half < 2; half++) { /* f32 with all parts learning, bf16 with frozen models */
            const enum lay_dtype dtype = half ? LAY_BF16 : LAY_F32;
            const bool all = !half || variants[i].method == LAY_PLAIN;
            struct lay_train_loss first, other;
            struct world w;
            size_t n;
            world_open(&variants[i], &w);
            float *expected = compute(&w, &variants[i], &ways[0], dtype, all, &first, &n);
            world_close(&w);
            for (size_t k = 1; k < sizeof ways / sizeof *ways; k++) {
                world_open(&variants[i], &w);
                float *got = compute(&w, &variants[i], &ways[k], dtype, all, &other, &n);
                if (memcmp(got, expected, n * sizeof *got) != 0 || first.sum != other.sum)
                    fail_msg("%s: %s makes a difference", variants[i].name, ways[k].name);
                free(got);
                world_close(&w);
            }
            free(expected);
        }
    omp_set_num_threads(threads);
}

/* bf16 rounds each factor to 8 bits: the gradients as a whole point the same way. */
static void bf16_gradients_are_near(void **state)
{
    static const struct way way = {"whole", 2, 2048, false, false};
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        struct lay_train_loss loss;
        float *g[2];
        size_t n;
        for (int half = 0; half < 2; half++) {
            struct world w;
            world_open(&variants[i], &w);
            g[half] = compute(&w, &variants[i], &way, half ? LAY_BF16 : LAY_F32, true, &loss, &n);
            world_close(&w);
        }
        double difference = 0, size = 0;
        for (size_t e = 0; e < n; e++) {
            difference += pow((double)g[0][e] - (double)g[1][e], 2);
            size += pow((double)g[0][e], 2);
        }
        assert_true(difference > 0 && sqrt(difference / size) < 0.05);
        free(g[0]), free(g[1]);
    }
}

/* --- changing the values --- */

/* A step down the gradient lowers the loss by about step · |g|², in the packed weights too. The loss alone,
 * as dev sets have it, drops nothing. */
static void refreshed_values_are_used(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        const struct lay_trainable_options options = everything(&variants[i]);
        const struct lay_accumulate_options accumulate = {.weight = 1.0};
        struct lay_train_loss before = {0}, after = {0}, same = {0};
        struct lay_trainable *t;
        struct world w;
        world_open(&variants[i], &w);
        ok(lay_trainable_create(&w.parts, &options, &t, err));
        ok(lay_trainable_accumulate(t, samples, SAMPLES, &accumulate, &before, err));
        lay_trainable_collect(t, 1.0);
        double squares = 0;
        for (size_t p = 0; p < lay_trainable_count(t); p++) {
            const struct lay_parameter *parameter = lay_trainable_parameter(t, p);
            for (size_t e = 0; e < parameter->count; e++) {
                squares += pow((double)parameter->gradient[e], 2);
                parameter->value[e] -= 1e-5f * parameter->gradient[e];
            }
        }
        ok(lay_trainable_refresh(t, err));
        ok(lay_trainable_loss(t, samples, SAMPLES, &accumulate, &after, err));
        for (size_t p = 0; p < lay_trainable_count(t); p++)
            for (size_t e = 0; e < lay_trainable_parameter(t, p)->count; e++)
                assert_true(lay_trainable_parameter(t, p)->gradient[e] == 0.0f);
        ok(lay_trainable_accumulate(t, samples, SAMPLES, &accumulate, &same, err));
        assert_true(fabs((before.sum - same.sum) / (1e-5 * squares) - 1) < 0.1);
        assert_true((same.sum == after.sum) == (variants[i].dropout == 0));
        lay_trainable_destroy(t);
        world_close(&w);
    }
}

/* --- what is refused --- */

static void refuse(struct lay_trainable *t, const struct lay_train_sample *sample, const char *what)
{
    const struct lay_accumulate_options options = {.weight = 1.0};
    struct lay_train_loss loss = {0};
    struct lay_err err = {0};
    assert_int_equal(lay_trainable_accumulate(t, sample, 1, &options, &loss, &err), LAY_ERR_INPUT);
    assert_non_null(strstr(err.message, what));
}

static void bad_samples_and_options_are_refused(void **state)
{
    (void)state;
    const struct variant *v = &variants[3];
    const int32_t outside[] = {3, 30};
    struct lay_trainable_options options = everything(v);
    struct lay_train_sample sample = samples[0];
    struct lay_trainable *t;
    struct lay_err error = {0};
    struct world w;
    world_open(v, &w);
    ok(lay_trainable_create(&w.parts, &options, &t, err));
    sample.n_target = 0;
    refuse(t, &sample, "no target");
    sample = samples[0];
    sample.n_source = 0;
    refuse(t, &sample, "no source");
    sample = samples[0];
    sample.prompt = outside;
    sample.n_prompt = 2;
    refuse(t, &sample, "vocabulary");
    lay_trainable_destroy(t);

    options.memory = 1000;
    assert_int_equal(lay_trainable_create(&w.parts, &options, &t, &error), LAY_ERR_MEMORY);
    options = (struct lay_trainable_options){.compute = LAY_F32};
    assert_int_equal(lay_trainable_create(&w.parts, &options, &t, &error), LAY_ERR_INPUT);
    options.train_encoder = true;
    strcpy(w.encoder.model_type, "bert");
    assert_int_equal(lay_trainable_create(&w.parts, &options, &t, &error), LAY_ERR_INPUT);
    assert_non_null(strstr(error.message, "bert"));
    world_close(&w);
}

static void fail_allocations(const struct variant *v)
{
    const struct lay_trainable_options options = everything(v);
    const struct lay_accumulate_options accumulate = {.weight = 1.0};
    struct lay_train_loss loss = {0};
    bool failed = true;
    /* not every allocation, but all kinds of them, in a fraction of the time */
    for (long n = 0; failed; n += 23) {
        struct lay_trainable *t = NULL;
        struct lay_err err = {0};
        struct world w;
        world_open(v, &w);
        lay_mem_fail_after(n);
        enum lay_status status = lay_trainable_create(&w.parts, &options, &t, &err);
        if (status == LAY_OK)
            status = lay_trainable_accumulate(t, samples, SAMPLES, &accumulate, &loss, &err);
        if (status == LAY_OK)
            status = lay_trainable_refresh(t, &err);
        lay_mem_fail_after(-1);
        failed = status != LAY_OK;
        assert_true(!failed || status == LAY_ERR_MEMORY);
        lay_trainable_destroy(t);
        world_close(&w);
        assert_true(n < 100000);
    }
}

static void failing_allocations(void **state)
{
    (void)state;
    fail_allocations(&variants[4]);
    fail_allocations(&variants[10]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_those_of_the_loss),
        cmocka_unit_test(gradients_with_official_padding_are_those_of_the_loss),
        cmocka_unit_test(nothing_but_the_samples_matters),
        cmocka_unit_test(bf16_gradients_are_near),
        cmocka_unit_test(refreshed_values_are_used),
        cmocka_unit_test(bad_samples_and_options_are_refused),
        cmocka_unit_test(failing_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
