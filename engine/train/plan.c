/* How much memory training takes, and how it is spent: transposed weights first, then the activations of as
 * many layers as there is room for. */
#include "engine/train/state.h"

#include "engine/base/memory_info.h"

#define ROOM 0.9         /* of the memory that is free: the rest is for what is not counted here */
#define FIXED_BYTES 96e6 /* chunks of logits, oneDNN's scratch memory, prepared products, the program */

struct need {
    double weights;    /* packed forms that are always there */
    double transposed; /* of frozen layers, if kept */
    double room;       /* else: one of the largest shape each */
    double masters;    /* f32 values and gradients */
    double work;       /* activations of a pass but for what LLM layers keep */
    double layer;      /* what one LLM layer keeps */
    int64_t layers;
};

static double llm_layer_elements(const struct lay_llm_config *c)
{
    const double H = (double)c->hidden_size, q = (double)(c->num_attention_heads * c->head_dim),
                 kv = (double)(c->num_key_value_heads * c->head_dim), I = (double)c->intermediate_size;
    return 2 * H * q + 2 * H * kv + 3 * H * I;
}

static bool has_adapter(const struct lay_trainable_parts *parts)
{
    return parts->bridge_options.method == LAY_LAYALIGN && !parts->bridge_options.no_adapter;
}

static double bridge_elements(const struct lay_trainable_parts *parts)
{
    return lay_bridge_elements(&parts->bridge_options, parts->encoder_config->hidden_size,
                               parts->llm_config->hidden_size);
}

static void count_llm(const struct lay_trainable_parts *parts, const struct lay_trainable_options *o,
                      struct need *need)
{
    const struct lay_llm_config *c = parts->llm_config;
    const double element = (double)lay_dtype_size(o->compute), H = (double)c->hidden_size;
    const double table = H * (double)c->vocab_size,
                 layers = (double)c->num_hidden_layers * llm_layer_elements(c);
    need->layers = c->num_hidden_layers;
    need->weights += element * (layers + table);
    if (o->train_llm) {
        need->weights += element * (layers + table);
        need->masters += 8 * (layers + (c->tie_word_embeddings ? 1.5 : 2) * table);
        return;
    }
    need->transposed += element * (layers + table);
    need->room += element * (2 * H * (double)c->intermediate_size + table + 2 * llm_layer_elements(c));
    if (o->train_head)
        need->masters += 8 * table;
}

/* Rows of both kinds at their most; a longer sample takes more. */
static void count_rows(const struct lay_trainable_parts *parts, const struct lay_trainable_options *o,
                       struct need *need)
{
    const struct lay_llm_config *c = parts->llm_config;
    const bool adapter = has_adapter(parts);
    const int64_t rows = o->rows > 0 ? o->rows : LAY_TRAIN_ROWS,
                  source = o->source_rows > 0 ? o->source_rows : rows;
    const double H = (double)c->hidden_size;
    int64_t per_row, per_source;
    lay_llm_kept_floats(c, adapter, &per_row, &per_source);
    need->layer = 4.0 * (double)(rows * per_row + source * per_source);
    need->work += need->layer; /* of the layer that is computed again */
    need->work += 4 * ((double)lay_llm_learner_floats(c, rows, adapter ? source : 0) + (double)rows * H);
    if (parts->bridge_options.method == LAY_PLAIN)
        return;
    const struct lay_encoder_config *e = parts->encoder_config;
    const double d = (double)e->hidden_size, ffn = (double)(e->intermediate_size * (e->gated ? 3 : 1));
    double each = H + 6 * d + ffn + 4 * (double)(e->num_attention_heads * e->head_dim);
    if (adapter)
        each += 2 * H * (double)c->num_hidden_layers + d * (double)e->num_hidden_layers;
    if (o->train_encoder)
        each += (double)lay_encoder_kept_floats(e) + d * (double)e->num_hidden_layers;
    need->work += 4 * (double)source * each;
}

static void count_others(const struct lay_trainable_parts *parts, const struct lay_trainable_options *o,
                         struct need *need)
{
    const double element = (double)lay_dtype_size(o->compute);
    if (parts->bridge_options.method == LAY_PLAIN)
        return;
    const struct lay_encoder_config *e = parts->encoder_config;
    const double encoder = lay_encoder_elements(e),
                 tables = (double)((e->vocab_size + e->max_positions) * e->hidden_size);
    need->weights += element * (encoder + 2 * bridge_elements(parts));
    if (o->train_bridge)
        need->masters += 8 * bridge_elements(parts);
    if (!o->train_encoder)
        return;
    need->weights += element * encoder;
    need->masters += 8 * (encoder + tables);
}

static void describe(const struct lay_train_plan *plan, const struct need *need, struct lay_str *text)
{
    lay_str_printf(
        text,
        "weights %.2f GB, trainable values and gradients %.2f GB, activations %.2f GB (%lld of %lld "
        "layers kept); at most %.2f GB",
        1e-9 * (double)plan->weights, 1e-9 * (double)plan->gradients, 1e-9 * (double)plan->activations,
        (long long)plan->kept_layers, (long long)need->layers, 1e-9 * (double)plan->total);
}

enum lay_status lay_trainable_plan(const struct lay_trainable_parts *parts,
                                   const struct lay_trainable_options *o, struct lay_train_plan *plan,
                                   struct lay_str *text, struct lay_err *err)
{
    struct need need = {0};
    const double memory = o->memory > 0 ? (double)o->memory : ROOM * (double)lay_memory_available();
    count_llm(parts, o, &need);
    count_others(parts, o, &need);
    count_rows(parts, o, &need);
    const double least = need.weights + need.room + need.masters + need.work + FIXED_BYTES;
    *plan = (struct lay_train_plan){0};
    if (memory < least)
        return lay_fail(
            err, LAY_ERR_MEMORY,
            "training needs %.2f GB at least, there are %.2f GB: give more memory, fewer rows per "
            "pass%s",
            1e-9 * least, 1e-9 * memory, o->compute == LAY_F32 ? ", or bf16" : "");
    double weights = need.weights + need.room, left = memory - least;
    if (need.transposed - need.room <= left) {
        plan->keep_transposed = true;
        left -= need.transposed - need.room;
        weights += need.transposed - need.room;
    }
    const double fit = left / need.layer;
    plan->kept_layers = fit >= (double)need.layers ? need.layers : (int64_t)fit;
    plan->weights = (size_t)weights;
    plan->gradients = (size_t)need.masters;
    plan->activations = (size_t)(need.work + (double)plan->kept_layers * need.layer);
    plan->total = plan->weights + plan->gradients + plan->activations + (size_t)FIXED_BYTES;
    if (!text)
        return LAY_OK;
    describe(plan, &need, text);
    return lay_str_check(text, err);
}
