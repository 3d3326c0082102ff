/* What the encoder families share; t5.c, m2m100.c and xlmr.c fill in the rest. Private to engine/model. */
#ifndef LAY_MODEL_ENCODER_FAMILY_H
#define LAY_MODEL_ENCODER_FAMILY_H

#include "engine/model/encoder.h"
#include "engine/model/load.h"

/* One transformer block. Linears are [out, in]; norms [hidden_size]; biases NULL where a family has none. */
struct lay_encoder_block {
    struct lay_linear *qkv;      /* [3 · heads · head_dim, hidden_size] */
    struct lay_linear *attn_out; /* [hidden_size, heads · head_dim] */
    struct lay_linear *ffn_in;   /* [intermediate_size, hidden_size], gated: gate above up */
    struct lay_linear *ffn_out;  /* [hidden_size, intermediate_size] */
    float *attn_norm, *attn_norm_bias;
    float *ffn_norm, *ffn_norm_bias;
    float *relative_bias; /* T5: [buckets, heads]; NULL in blocks that share block 0's */
    float *bias_table;    /* T5: relative_bias by distance, [heads, 2 · bias_span − 1] */
    int64_t bias_span;
};

struct lay_encoder {
    struct lay_encoder_config config;
    const struct lay_encoder_family *family;
    struct lay_embedding embed_tokens;
    struct lay_embedding embed_positions; /* XLM-R: learned */
    struct lay_embedding embed_types;     /* XLM-R: token types, of which row 0 is used */
    float *embed_norm, *embed_norm_bias;  /* XLM-R */
    float *final_norm, *final_norm_bias;  /* T5, M2M100 */
    struct lay_encoder_block *blocks;
    size_t bytes;

    /* Work memory, [rows, …]. */
    struct lay_work x;    /* the residual stream, hidden_size */
    struct lay_work h;    /* normed input or block output, hidden_size */
    struct lay_work qkv;  /* 3 · heads · head_dim */
    struct lay_work attn; /* heads · head_dim */
    int32_t *positions;   /* position ids of the rows */
    size_t positions_capacity;
};

struct lay_encoder_training; /* encoder_pass.h */

struct lay_encoder_family {
    const char *const *model_types; /* NULL-terminated */
    enum lay_status (*load)(struct lay_encoder *e, const struct lay_loader *loader, struct lay_err *err);
    /* x [rows, hidden_size] = embedding output. Uses h, which must have been reserved. */
    enum lay_status (*embed)(struct lay_encoder *e, const struct lay_encoder_batch *batch, int64_t rows,
                             float *x, struct lay_err *err);
    /* x = block i of x. */
    enum lay_status (*block)(struct lay_encoder *e, int64_t i, const struct lay_encoder_batch *batch,
                             int64_t rows, float *x, struct lay_err *err);
    /* x = final norm of x, in place; NULL when the family has none. */
    void (*finish)(struct lay_encoder *e, int64_t rows, float *x);
    const struct lay_encoder_training *training; /* NULL: cannot be trained */
};

extern const struct lay_encoder_family lay_encoder_t5, lay_encoder_m2m100, lay_encoder_xlmr;

/* NULL: none has this model_type. */
const struct lay_encoder_family *lay_encoder_family_of(const char *model_type);

/* T5Attention._relative_position_bucket, bidirectional: `distance` = key position − query position. */
int64_t lay_t5_bucket(int64_t distance, int64_t buckets, int64_t max_distance);

/* b->bias_table for sequences of up to `span` tokens; kept until a longer one comes. */
enum lay_status lay_t5_bias_by_distance(const struct lay_encoder *e, struct lay_encoder_block *b,
                                        int64_t span, struct lay_err *err);

/* x [rows, hidden_size] += W_out act(W_in h), or W_out (act(W_0 h) · W_1 h); h == x allowed. */
enum lay_status lay_encoder_feed_forward(const struct lay_encoder *e, const struct lay_encoder_block *b,
                                         const float *h, float *x, int64_t rows, struct lay_err *err);

/* Tokens of the longest sequence. */
int64_t lay_encoder_longest(const struct lay_encoder_batch *batch);

/* create_position_ids_from_input_ids of transformers: tokens count up from pad + 1, pads stay at pad. One
 * sequence; positions [n]. Returns the largest position. */
int32_t lay_position_ids(const int32_t *ids, int64_t n, int32_t pad, int32_t *positions);

/* What M2M100 multiplies its embeddings by. */
float lay_m2m100_scale(const struct lay_encoder_config *config);

/* M2M100SinusoidalPositionalEmbedding: row [hidden_size] for a position; zeros for the padding position. */
void lay_m2m100_position(int64_t position, int32_t pad, int64_t hidden_size, float *row);

/* XLM-R's embeddings before their norm. */
enum lay_status lay_xlmr_sum_embeddings(struct lay_encoder *e, const struct lay_encoder_batch *batch,
                                        int64_t rows, float *x, struct lay_err *err);

/* e->positions for all sequences of a batch. */
enum lay_status lay_encoder_positions(struct lay_encoder *e, const struct lay_encoder_batch *batch,
                                      int64_t rows, int32_t *largest, struct lay_err *err);

#endif
