/* Named shapes: what tensors a model of that name has, and its config.json. For models with random weights in
 * benchmarks and tests. Sizes are those of the published models. */
#ifndef LAY_SHAPE_SHAPES_H
#define LAY_SHAPE_SHAPES_H

#include "engine/base/dtype.h"
#include "engine/base/err.h"
#include "engine/base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LAY_SHAPE_NAME_MAX 160

/* The sizes that shapes of tensors are made of. */
enum lay_dim {
    LAY_DIM_NONE,
    LAY_DIM_ONE,
    LAY_DIM_VOCAB,
    LAY_DIM_HIDDEN,
    LAY_DIM_INNER, /* feed-forward */
    LAY_DIM_QUERY, /* heads × head size */
    LAY_DIM_KV,    /* key and value heads × head size */
    LAY_DIM_HEADS,
    LAY_DIM_POSITIONS,
    LAY_DIM_BUCKETS,
    LAY_DIM_ENCODER, /* bridges: width of the encoder */
    LAY_DIM_ENCODER2,
    LAY_DIM_FUSED,  /* LayAlign: encoder layers */
    LAY_DIM_STATES, /* LayAlign: 2 × LLM layers */
    LAY_DIM_COUNT
};

enum lay_family {
    LAY_FAMILY_LLAMA,
    LAY_FAMILY_MISTRAL,
    LAY_FAMILY_QWEN2,
    LAY_FAMILY_MT5,
    LAY_FAMILY_M2M100,
    LAY_FAMILY_XLMR,
    LAY_FAMILY_LAYALIGN,
    LAY_FAMILY_MINDMERGER,
    LAY_FAMILY_LANGBRIDGE,
    LAY_FAMILY_COUNT
};

struct lay_shape {
    const char *name;
    enum lay_family family;
    int64_t vocab, hidden, inner, layers, heads, kv_heads, head_dim, positions;
    bool tied; /* no lm_head of its own */
};

/* A bridge between an encoder and an LLM. */
struct lay_bridge_shape {
    enum lay_family family;
    int64_t encoder_hidden, llm_hidden;
    int64_t encoder_layers;         /* LayAlign: hidden states fused */
    const int64_t *language_layers; /* LayAlign: LLM layers with a gate; borrowed */
    int64_t n_language_layers;
    bool mlp;                         /* LayAlign: structure MLP (fc3); LangBridge: ffn */
    bool wide, average, hidden_gates; /* LayAlign: structure Wide (fc0); no fc1; gates of [1, H] and a bias */
};

/* How the random numbers of a tensor are spread: uniform with mean and standard deviation `scale`. Scales
 * keep activations near 1 in every layer. */
struct lay_shape_tensor {
    char name[LAY_SHAPE_NAME_MAX];
    int rank;
    int64_t shape[3];
    size_t count;
    float mean, scale;
};

/* In order of name. Free with lay_shape_tensors_free. */
struct lay_shape_tensors {
    struct lay_shape_tensor *items;
    size_t count, capacity;
};

size_t lay_shape_count(void);
const struct lay_shape *lay_shape_at(size_t index);
/* NULL when there is none of that name. */
const struct lay_shape *lay_shape_find(const char *name);

enum lay_status lay_shape_tensors(const struct lay_shape *shape, struct lay_shape_tensors *tensors,
                                  struct lay_err *err);
enum lay_status lay_bridge_shape_tensors(const struct lay_bridge_shape *shape,
                                         struct lay_shape_tensors *tensors, struct lay_err *err);
void lay_shape_tensors_free(struct lay_shape_tensors *tensors);

/* config.json and, for LLMs, generation_config.json (left empty for encoders). */
enum lay_status lay_shape_config(const struct lay_shape *shape, enum lay_dtype dtype, struct lay_str *config,
                                 struct lay_str *generation, struct lay_err *err);

/* Elements [first, first + count) of a tensor as f32. They depend on seed, name and index alone: not on
 * dtype, shards or the pieces they are asked for in. */
void lay_shape_fill(uint64_t seed, const struct lay_shape_tensor *tensor, size_t first, size_t count,
                    float *values);

#endif
