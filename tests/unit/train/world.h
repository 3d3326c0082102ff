/* Small models of random numbers in all the combinations that learn, and samples for them. */
#ifndef LAY_TESTS_TRAIN_WORLD_H
#define LAY_TESTS_TRAIN_WORLD_H

#include "engine/base/mem.h"
#include "engine/shape/random_checkpoint.h"
#include "engine/train/trainable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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

#endif
