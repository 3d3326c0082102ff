/* The tensors of each family of models, one table row each, and the random numbers that fill them. */
#include "engine/shape/shapes.h"

#include "engine/base/mem.h"
#include "engine/base/random.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* How a tensor is initialised. With inputs of variance 1, LINEAR gives outputs of variance 1; RESIDUAL is
 * smaller by the root of the number of summands, so that the residual stream stays near 1. */
enum init {
    ONES,     /* norm weights: 1 ± 0.1, so that a forgotten one shows */
    SMALL,    /* biases, boundaries: 0.02 */
    UNIT,     /* embeddings: 1 */
    LINEAR,   /* 1/√inputs */
    RESIDUAL, /* 1/√(inputs · 2 · layers) */
    T5_QUERY, /* 1/√(inputs · head size): T5 does not scale its scores */
    TINY,     /* 0.1: gates, position biases */
};

struct row {
    const char *name; /* %lld: the layer */
    enum lay_dim dims[3];
    enum init init;
};

#define V LAY_DIM_VOCAB
#define H LAY_DIM_HIDDEN
#define F LAY_DIM_INNER
#define Q LAY_DIM_QUERY
#define K LAY_DIM_KV
#define D LAY_DIM_ENCODER

static const struct row llama_rows[] = {
    {"model.embed_tokens.weight", {V, H}, UNIT},
    {"model.layers.%lld.input_layernorm.weight", {H}, ONES},
    {"model.layers.%lld.mlp.down_proj.weight", {H, F}, RESIDUAL},
    {"model.layers.%lld.mlp.gate_proj.weight", {F, H}, LINEAR},
    {"model.layers.%lld.mlp.up_proj.weight", {F, H}, LINEAR},
    {"model.layers.%lld.post_attention_layernorm.weight", {H}, ONES},
    {"model.layers.%lld.self_attn.k_proj.weight", {K, H}, LINEAR},
    {"model.layers.%lld.self_attn.o_proj.weight", {H, Q}, RESIDUAL},
    {"model.layers.%lld.self_attn.q_proj.weight", {Q, H}, LINEAR},
    {"model.layers.%lld.self_attn.v_proj.weight", {K, H}, LINEAR},
    {"model.norm.weight", {H}, ONES},
    {0},
};
static const struct row lm_head_rows[] = {{"lm_head.weight", {V, H}, LINEAR}, {0}};
static const struct row qwen2_bias_rows[] = {
    {"model.layers.%lld.self_attn.k_proj.bias", {K}, SMALL},
    {"model.layers.%lld.self_attn.q_proj.bias", {Q}, SMALL},
    {"model.layers.%lld.self_attn.v_proj.bias", {K}, SMALL},
    {0},
};
static const struct row mt5_rows[] = {
    {"shared.weight", {V, H}, UNIT},
    {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
     {LAY_DIM_BUCKETS, LAY_DIM_HEADS},
     TINY},
    {"encoder.block.%lld.layer.0.SelfAttention.k.weight", {Q, H}, LINEAR},
    {"encoder.block.%lld.layer.0.SelfAttention.o.weight", {H, Q}, RESIDUAL},
    {"encoder.block.%lld.layer.0.SelfAttention.q.weight", {Q, H}, T5_QUERY},
    {"encoder.block.%lld.layer.0.SelfAttention.v.weight", {Q, H}, LINEAR},
    {"encoder.block.%lld.layer.0.layer_norm.weight", {H}, ONES},
    {"encoder.block.%lld.layer.1.DenseReluDense.wi_0.weight", {F, H}, LINEAR},
    {"encoder.block.%lld.layer.1.DenseReluDense.wi_1.weight", {F, H}, LINEAR},
    {"encoder.block.%lld.layer.1.DenseReluDense.wo.weight", {H, F}, RESIDUAL},
    {"encoder.block.%lld.layer.1.layer_norm.weight", {H}, ONES},
    {"encoder.final_layer_norm.weight", {H}, ONES},
    {0},
};
static const struct row m2m100_rows[] = {
    {"model.shared.weight", {V, H}, LINEAR}, /* multiplied by √H when read */
    {"model.encoder.layer_norm.bias", {H}, SMALL},
    {"model.encoder.layer_norm.weight", {H}, ONES},
    {"model.encoder.layers.%lld.fc1.bias", {F}, SMALL},
    {"model.encoder.layers.%lld.fc1.weight", {F, H}, LINEAR},
    {"model.encoder.layers.%lld.fc2.bias", {H}, SMALL},
    {"model.encoder.layers.%lld.fc2.weight", {H, F}, RESIDUAL},
    {"model.encoder.layers.%lld.final_layer_norm.bias", {H}, SMALL},
    {"model.encoder.layers.%lld.final_layer_norm.weight", {H}, ONES},
    {"model.encoder.layers.%lld.self_attn.k_proj.bias", {Q}, SMALL},
    {"model.encoder.layers.%lld.self_attn.k_proj.weight", {Q, H}, LINEAR},
    {"model.encoder.layers.%lld.self_attn.out_proj.bias", {H}, SMALL},
    {"model.encoder.layers.%lld.self_attn.out_proj.weight", {H, Q}, RESIDUAL},
    {"model.encoder.layers.%lld.self_attn.q_proj.bias", {Q}, SMALL},
    {"model.encoder.layers.%lld.self_attn.q_proj.weight", {Q, H}, LINEAR},
    {"model.encoder.layers.%lld.self_attn.v_proj.bias", {Q}, SMALL},
    {"model.encoder.layers.%lld.self_attn.v_proj.weight", {Q, H}, LINEAR},
    {"model.encoder.layers.%lld.self_attn_layer_norm.bias", {H}, SMALL},
    {"model.encoder.layers.%lld.self_attn_layer_norm.weight", {H}, ONES},
    {0},
};
static const struct row xlmr_rows[] = {
    {"roberta.embeddings.LayerNorm.bias", {H}, SMALL},
    {"roberta.embeddings.LayerNorm.weight", {H}, ONES},
    {"roberta.embeddings.position_embeddings.weight", {LAY_DIM_POSITIONS, H}, TINY},
    {"roberta.embeddings.token_type_embeddings.weight", {LAY_DIM_ONE, H}, TINY},
    {"roberta.embeddings.word_embeddings.weight", {V, H}, UNIT},
    {"roberta.encoder.layer.%lld.attention.output.LayerNorm.bias", {H}, SMALL},
    {"roberta.encoder.layer.%lld.attention.output.LayerNorm.weight", {H}, ONES},
    {"roberta.encoder.layer.%lld.attention.output.dense.bias", {H}, SMALL},
    {"roberta.encoder.layer.%lld.attention.output.dense.weight", {H, Q}, LINEAR},
    {"roberta.encoder.layer.%lld.attention.self.key.bias", {Q}, SMALL},
    {"roberta.encoder.layer.%lld.attention.self.key.weight", {Q, H}, LINEAR},
    {"roberta.encoder.layer.%lld.attention.self.query.bias", {Q}, SMALL},
    {"roberta.encoder.layer.%lld.attention.self.query.weight", {Q, H}, LINEAR},
    {"roberta.encoder.layer.%lld.attention.self.value.bias", {Q}, SMALL},
    {"roberta.encoder.layer.%lld.attention.self.value.weight", {Q, H}, LINEAR},
    {"roberta.encoder.layer.%lld.intermediate.dense.bias", {F}, SMALL},
    {"roberta.encoder.layer.%lld.intermediate.dense.weight", {F, H}, LINEAR},
    {"roberta.encoder.layer.%lld.output.LayerNorm.bias", {H}, SMALL},
    {"roberta.encoder.layer.%lld.output.LayerNorm.weight", {H}, ONES},
    {"roberta.encoder.layer.%lld.output.dense.bias", {H}, SMALL},
    {"roberta.encoder.layer.%lld.output.dense.weight", {H, F}, LINEAR},
    {0},
};
static const struct row mapping_rows[] = {
    {"mapping.end_boundary", {LAY_DIM_ONE, LAY_DIM_ONE, H}, UNIT},
    {"mapping.mlp.linear1.bias", {LAY_DIM_ENCODER2}, SMALL},
    {"mapping.mlp.linear1.weight", {LAY_DIM_ENCODER2, D}, LINEAR},
    {"mapping.mlp.linear2.bias", {H}, SMALL},
    {"mapping.mlp.linear2.weight", {H, LAY_DIM_ENCODER2}, LINEAR},
    {0},
};
static const struct row aligner_rows[] = {
    {"encoder_aligner.projector.fc2.bias", {H}, SMALL},
    {"encoder_aligner.projector.fc2.weight", {H, D}, LINEAR},
    {0},
};
static const struct row aligner_fusion_rows[] = {
    {"encoder_aligner.projector.fc1.bias", {LAY_DIM_STATES}, SMALL},
    {"encoder_aligner.projector.fc1.weight", {LAY_DIM_STATES, LAY_DIM_FUSED}, LINEAR},
    {0},
};
static const struct row aligner_mlp_rows[] = {
    {"encoder_aligner.projector.fc3.bias", {H}, SMALL},
    {"encoder_aligner.projector.fc3.weight", {H, H}, LINEAR},
    {0},
};
static const struct row aligner_wide_rows[] = {
    {"encoder_aligner.projector.fc0.bias", {D}, SMALL},
    {"encoder_aligner.projector.fc0.weight", {D, D}, LINEAR},
    {0},
};
static const struct row gate_rows[] = {
    {"model_llm.model.model.layers.%lld.self_attn.adaption_gate", {LAY_DIM_ONE}, TINY},
    {0},
};
static const struct row hidden_gate_rows[] = {
    {"model_llm.model.model.layers.%lld.self_attn.adaption_gate.bias", {LAY_DIM_ONE}, TINY},
    {"model_llm.model.model.layers.%lld.self_attn.adaption_gate.weight", {LAY_DIM_ONE, H}, LINEAR},
    {0},
};
static const struct row langbridge_rows[] = {{"lb.alignment.enc_eos", {H}, UNIT}, {0}};
static const struct row langbridge_linear_rows[] = {
    {"lb.alignment.linear.bias", {H}, SMALL},
    {"lb.alignment.linear.weight", {H, D}, LINEAR},
    {0},
};
static const struct row langbridge_ffn_rows[] = {
    {"lb.alignment.ffn.0.bias", {D}, SMALL},
    {"lb.alignment.ffn.0.weight", {D, D}, LINEAR},
    {"lb.alignment.ffn.2.bias", {H}, SMALL},
    {"lb.alignment.ffn.2.weight", {H, D}, LINEAR},
    {0},
};

/* What the rows are filled in with. */
struct sizes {
    int64_t dim[LAY_DIM_COUNT];
    int64_t head_dim;
    const int64_t *layers; /* numbers of the layers; NULL: 0 … n_layers-1 */
    int64_t n_layers;
};

static float scale_of(enum init init, const struct lay_shape_tensor *tensor, const struct sizes *sizes)
{
    const double inputs = (double)tensor->shape[tensor->rank - 1];
    switch (init) {
    case SMALL:
        return 0.02f;
    case UNIT:
        return 1;
    case LINEAR:
        return (float)(1 / sqrt(inputs));
    case RESIDUAL:
        return (float)(1 / sqrt(inputs * 2 * (double)sizes->n_layers));
    case T5_QUERY:
        return (float)(1 / sqrt(inputs * (double)sizes->head_dim));
    case ONES:
    case TINY:
        break;
    }
    return 0.1f;
}

static enum lay_status add_tensor(struct lay_shape_tensors *tensors, const struct row *row, int64_t layer,
                                  const struct sizes *sizes, struct lay_err *err)
{
    struct lay_shape_tensor tensor = {.count = 1, .mean = row->init == ONES ? 1.0f : 0.0f};
    const char *mark = strstr(row->name, "%lld");
    if (mark)
        snprintf(tensor.name, sizeof tensor.name, "%.*s%lld%s", (int)(mark - row->name), row->name,
                 (long long)layer, mark + 4);
    else
        snprintf(tensor.name, sizeof tensor.name, "%s", row->name);
    for (int i = 0; i < 3 && row->dims[i] != LAY_DIM_NONE; i++) {
        tensor.shape[tensor.rank++] = sizes->dim[row->dims[i]];
        if (!lay_mul_size(tensor.count, (size_t)sizes->dim[row->dims[i]], &tensor.count))
            return lay_fail(err, LAY_ERR_USAGE, "tensor \"%s\" would be larger than any memory", tensor.name);
    }
    tensor.scale = scale_of(row->init, &tensor, sizes);
    if (!lay_grow((void **)&tensors->items, &tensors->capacity, tensors->count + 1, sizeof tensor))
        return lay_no_memory(err, "the tensors of a model");
    tensors->items[tensors->count++] = tensor;
    return LAY_OK;
}

static enum lay_status add_rows(struct lay_shape_tensors *tensors, const struct row *row,
                                const struct sizes *sizes, struct lay_err *err)
{
    for (; row->name; row++) {
        const int64_t n = strstr(row->name, "%lld") ? sizes->n_layers : 1;
        for (int64_t i = 0; i < n; i++)
            LAY_TRY(add_tensor(tensors, row, sizes->layers ? sizes->layers[i] : i, sizes, err));
    }
    return LAY_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct lay_shape_tensor *)a)->name, ((const struct lay_shape_tensor *)b)->name);
}

static enum lay_status add_tables(struct lay_shape_tensors *tensors, const struct row *const *tables,
                                  const struct sizes *sizes, struct lay_err *err)
{
    enum lay_status status = LAY_OK;
    *tensors = (struct lay_shape_tensors){0};
    for (; *tables && status == LAY_OK; tables++)
        status = add_rows(tensors, *tables, sizes, err);
    if (status != LAY_OK)
        lay_shape_tensors_free(tensors);
    else
        qsort(tensors->items, tensors->count, sizeof *tensors->items, by_name);
    return status;
}

/* Ended by NULL. */
static const struct row *const family_tables[LAY_FAMILY_COUNT][4] = {
    [LAY_FAMILY_LLAMA] = {llama_rows},
    [LAY_FAMILY_MISTRAL] = {llama_rows},
    [LAY_FAMILY_QWEN2] = {llama_rows, qwen2_bias_rows},
    [LAY_FAMILY_MT5] = {mt5_rows},
    [LAY_FAMILY_M2M100] = {m2m100_rows},
    [LAY_FAMILY_XLMR] = {xlmr_rows},
};

enum lay_status lay_shape_tensors(const struct lay_shape *shape, struct lay_shape_tensors *tensors,
                                  struct lay_err *err)
{
    const struct sizes sizes = {
        .dim = {[LAY_DIM_ONE] = 1,
                [LAY_DIM_VOCAB] = shape->vocab,
                [LAY_DIM_HIDDEN] = shape->hidden,
                [LAY_DIM_INNER] = shape->inner,
                [LAY_DIM_QUERY] = shape->heads * shape->head_dim,
                [LAY_DIM_KV] = shape->kv_heads * shape->head_dim,
                [LAY_DIM_HEADS] = shape->heads,
                [LAY_DIM_POSITIONS] = shape->positions,
                [LAY_DIM_BUCKETS] = 32},
        .head_dim = shape->head_dim,
        .n_layers = shape->layers,
    };
    const struct row *tables[4];
    int n = 0;
    memcpy(tables, family_tables[shape->family], sizeof tables);
    while (tables[n])
        n++;
    if (tables[0] == llama_rows && !shape->tied)
        tables[n] = lm_head_rows;
    return add_tables(tensors, tables, &sizes, err);
}

enum lay_status lay_bridge_shape_tensors(const struct lay_bridge_shape *shape,
                                         struct lay_shape_tensors *tensors, struct lay_err *err)
{
    const struct sizes sizes = {
        .dim = {[LAY_DIM_ONE] = 1,
                [LAY_DIM_HIDDEN] = shape->llm_hidden,
                [LAY_DIM_ENCODER] = shape->encoder_hidden,
                [LAY_DIM_ENCODER2] = 2 * shape->encoder_hidden,
                [LAY_DIM_FUSED] = shape->encoder_layers,
                [LAY_DIM_STATES] = 2 * shape->n_language_layers},
        .layers = shape->language_layers,
        .n_layers = shape->n_language_layers,
    };
    const struct row *const mapping[] = {mapping_rows, NULL};
    const struct row *const langbridge[] = {langbridge_rows,
                                            shape->mlp ? langbridge_ffn_rows : langbridge_linear_rows, NULL};
    const struct row *aligner[6] = {mapping_rows, aligner_rows,
                                    shape->hidden_gates ? hidden_gate_rows : gate_rows};
    int n = 3;
    if (!shape->average)
        aligner[n++] = aligner_fusion_rows;
    if (shape->mlp || shape->wide)
        aligner[n++] = shape->mlp ? aligner_mlp_rows : aligner_wide_rows;
    const struct row *const *tables = shape->family == LAY_FAMILY_LANGBRIDGE ? langbridge
                                      : shape->family == LAY_FAMILY_LAYALIGN ? aligner
                                                                             : mapping;
    return add_tables(tensors, tables, &sizes, err);
}

void lay_shape_tensors_free(struct lay_shape_tensors *tensors)
{
    lay_free(tensors->items);
    *tensors = (struct lay_shape_tensors){0};
}

/* A word gives four elements of 16 random bits, read as a fraction in (-1, 1) that is never 0. */
static float element(uint64_t word, size_t index)
{
    const uint32_t bits = (uint32_t)(word >> 16 * (index % 4)) & 0xffff;
    return ((float)bits - 32767.5f) / 32768.0f;
}

void lay_shape_fill(uint64_t seed, const struct lay_shape_tensor *tensor, size_t first, size_t count,
                    float *values)
{
    const uint64_t key =
        lay_random_mix(seed * LAY_RANDOM_STEP + XXH3_64bits(tensor->name, strlen(tensor->name)));
    const float half_width = tensor->scale * 1.7320508f; /* a uniform's deviation is half its width / √3 */
    size_t i = 0;
    for (; i < count && (first + i) % 4; i++)
        values[i] = tensor->mean +
                    half_width * element(lay_random_mix(key + (first + i) / 4 * LAY_RANDOM_STEP), first + i);
    for (; i + 4 <= count; i += 4) {
        const uint64_t word = lay_random_mix(key + (first + i) / 4 * LAY_RANDOM_STEP);
        for (size_t j = 0; j < 4; j++)
            values[i + j] = tensor->mean + half_width * element(word, j);
    }
    for (; i < count; i++)
        values[i] = tensor->mean +
                    half_width * element(lay_random_mix(key + (first + i) / 4 * LAY_RANDOM_STEP), first + i);
}
