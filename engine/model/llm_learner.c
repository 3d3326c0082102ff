/* An LLM under training: its parts in memory. The passes are in llm_backward.c. */
#include "engine/model/llm_learner_state.h"

#include "engine/base/mem.h"

#include <stdio.h>
#include <string.h>

/* The linear layers of a decoder layer, as in llm_load.c. */
static struct lay_learned *learned_at(struct lay_learned_layer *layer, int i)
{
    struct lay_learned *const all[] = {&layer->q, &layer->k,       &layer->v,
                                       &layer->o, &layer->gate_up, &layer->down};
    return all[i];
}

enum { PARTS = 6 };
static const struct {
    const char *module;
    const char *names[3];
} parts[PARTS] = {
    {"self_attn.", {"q_proj"}}, {"self_attn.", {"k_proj"}},         {"self_attn.", {"v_proj"}},
    {"self_attn.", {"o_proj"}}, {"mlp.", {"gate_proj", "up_proj"}}, {"mlp.", {"down_proj"}},
};

struct size {
    int64_t out, in;
    bool bias;
};

static struct size size_of(const struct lay_llm_config *c, int i)
{
    const int64_t d = c->hidden_size, ff = c->intermediate_size;
    const int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    const struct size sizes[PARTS] = {{q, d, c->qkv_bias}, {kv, d, c->qkv_bias}, {kv, d, c->qkv_bias},
                                      {d, q, c->o_bias},   {ff, d, c->mlp_bias}, {d, ff, c->mlp_bias}};
    return sizes[i];
}

static void prefix_of(char prefix[64], int64_t layer, int i)
{
    snprintf(prefix, 64, "layers.%lld.%s", (long long)layer, parts[i].module);
}

/* --- masters, before the model is loaded --- */

static enum lay_status read_embedding(struct lay_llm_learner *l, const struct lay_loader *loader,
                                      struct lay_err *err)
{
    const struct lay_llm_config *c = &l->llm->config;
    const int64_t shape[] = {c->vocab_size, c->hidden_size};
    const struct lay_tensor *tensor;
    const size_t count = (size_t)(c->vocab_size * c->hidden_size);
    l->embed_gradient = lay_alloc_aligned(count, sizeof *l->embed_gradient);
    if (!l->embed_gradient)
        return lay_no_memory(err, "trainable weights");
    if (c->tie_word_embeddings) {
        l->embed = l->head.weight;
        return LAY_OK;
    }
    l->embed = lay_alloc_aligned(count, sizeof *l->embed);
    if (!l->embed)
        return lay_no_memory(err, "trainable weights");
    LAY_TRY(lay_weights_get(loader->weights, "embed_tokens.weight", 2, shape, &tensor, err));
    return lay_tensor_to_f32(tensor, l->embed, err);
}

static const char *const *head_parts(const struct lay_llm_config *c)
{
    static const char *const tied[] = {"embed_tokens", NULL}, *const own[] = {"lm_head", NULL};
    return c->tie_word_embeddings ? tied : own;
}

static enum lay_status read_masters(struct lay_llm_learner *l, const struct lay_llm_config *c,
                                    const struct lay_loader *loader,
                                    const struct lay_llm_learner_options *options, struct lay_err *err)
{
    char prefix[64];
    for (int64_t layer = 0; options->train && layer < c->num_hidden_layers; layer++)
        for (int i = 0; i < PARTS; i++) {
            const struct size size = size_of(c, i);
            prefix_of(prefix, layer, i);
            LAY_TRY(lay_learned_read(learned_at(&l->layers[layer], i), loader, prefix, parts[i].names,
                                     size.out, size.in, size.bias, err));
        }
    if (!options->train && !options->train_head)
        return LAY_OK;
    if (!options->train && c->tie_word_embeddings)
        return lay_fail(err, LAY_ERR_INPUT,
                        "the head of this LLM is its embedding table (tie_word_embeddings): it cannot be "
                        "trained alone");
    return lay_learned_read(&l->head, loader, "", head_parts(c), c->vocab_size, c->hidden_size, false, err);
}

/* --- the loaded model --- */

static enum lay_status list_vector(struct lay_llm_learner *l, const char *name, float *value,
                                   float **gradient, struct lay_err *err)
{
    const int64_t n = l->llm->config.hidden_size;
    if (!l->train)
        return LAY_OK;
    *gradient = lay_alloc_aligned((size_t)n, sizeof **gradient);
    if (!*gradient)
        return lay_no_memory(err, "gradients");
    return lay_parameter_add(&l->learning->parameters, LAY_MODULE_LLM, "model.", name, 1, &n, value,
                             *gradient, err);
}

static enum lay_status attach_layer(struct lay_llm_learner *l, int64_t i, struct lay_err *err)
{
    struct lay_learned_layer *layer = &l->layers[i];
    struct lay_llm_layer *m = &l->llm->layers[i];
    struct lay_linear *const linears[PARTS] = {m->q, m->k, m->v, m->o, m->gate_up, m->down};
    char name[64], prefix[64];
    snprintf(name, sizeof name, "layers.%lld.input_layernorm.weight", (long long)i);
    LAY_TRY(list_vector(l, name, m->attn_norm, &layer->attn_norm_gradient, err));
    for (int p = 0; p < PARTS; p++) {
        LAY_TRY(lay_learned_attach(learned_at(layer, p), l->learning, linears[p], err));
        prefix_of(prefix, i, p);
        LAY_TRY(lay_learned_list(learned_at(layer, p), l->learning, LAY_MODULE_LLM, "model.", prefix,
                                 parts[p].names, err));
    }
    snprintf(name, sizeof name, "layers.%lld.post_attention_layernorm.weight", (long long)i);
    return list_vector(l, name, m->mlp_norm, &layer->mlp_norm_gradient, err);
}

static enum lay_status attach(struct lay_llm_learner *l, const struct lay_loader *loader, struct lay_err *err)
{
    struct lay_llm *m = l->llm;
    const struct lay_llm_config *c = &m->config;
    const int64_t shape[] = {c->vocab_size, c->hidden_size};
    if (l->train) {
        LAY_TRY(read_embedding(l, loader, err));
        m->embed_tokens.data = l->embed;
        m->embed_tokens.dtype = LAY_F32;
        LAY_TRY(lay_parameter_add(&l->learning->parameters, LAY_MODULE_LLM, "model.", "embed_tokens.weight",
                                  2, shape, l->embed,
                                  c->tie_word_embeddings ? l->head.weight_gradient : l->embed_gradient, err));
    }
    for (int64_t i = 0; i < c->num_hidden_layers; i++)
        LAY_TRY(attach_layer(l, i, err));
    LAY_TRY(list_vector(l, "norm.weight", m->norm, &l->norm_gradient, err));
    LAY_TRY(lay_learned_attach(&l->head, l->learning, m->head, err));
    if (c->tie_word_embeddings)
        return LAY_OK;
    return lay_learned_list(&l->head, l->learning, LAY_MODULE_LLM, "", "", head_parts(c), err);
}

static enum lay_status build(struct lay_llm_learner *l, const struct lay_llm_config *config,
                             struct lay_weights *weights, const struct lay_llm_learner_options *options,
                             struct lay_err *err)
{
    const struct lay_loader loader = {l->learning->dnn, weights, lay_precision_of(l->learning->compute)};
    l->n_layers = config->num_hidden_layers;
    l->layers = lay_alloc((size_t)config->num_hidden_layers, sizeof *l->layers);
    if (!l->layers)
        return lay_no_memory(err, "an LLM");
    l->train = options->train;
    l->first_kept = config->num_hidden_layers - options->kept_layers;
    LAY_TRY(read_masters(l, config, &loader, options, err));
    LAY_TRY(lay_llm_load(l->learning->dnn, config, weights, loader.precision, &l->llm, err));
    return attach(l, &loader, err);
}

enum lay_status lay_llm_learner_create(struct lay_learning *learning, const struct lay_llm_config *config,
                                       struct lay_weights *weights,
                                       const struct lay_llm_learner_options *options,
                                       struct lay_llm_learner **learner, struct lay_err *err)
{
    struct lay_llm_learner *l = lay_alloc(1, sizeof *l);
    *learner = NULL;
    if (!l)
        return lay_no_memory(err, "an LLM");
    l->learning = learning;
    const enum lay_status status = build(l, config, weights, options, err);
    if (status != LAY_OK) {
        lay_llm_learner_destroy(l);
        return status;
    }
    *learner = l;
    return LAY_OK;
}

static void free_kept(struct lay_llm_kept *k)
{
    struct lay_work *const work[] = {&k->q,     &k->k,         &k->v,  &k->attn, &k->lse, &k->cross,
                                     &k->gates, &k->cross_lse, &k->ka, &k->va,   &k->mid, &k->gate_up};
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        lay_work_free(work[i]);
}

void lay_llm_learner_destroy(struct lay_llm_learner *l)
{
    if (!l)
        return;
    for (int64_t i = 0; l->layers && i < l->n_layers; i++) {
        for (int p = 0; p < PARTS; p++)
            lay_learned_free(learned_at(&l->layers[i], p));
        lay_free(l->layers[i].attn_norm_gradient);
        lay_free(l->layers[i].mlp_norm_gradient);
        lay_work_free(&l->layers[i].x);
        free_kept(&l->layers[i].kept);
    }
    if (l->embed != l->head.weight)
        lay_free(l->embed);
    lay_learned_free(&l->head);
    struct lay_work *const work[] = {&l->h,       &l->act,  &l->dh,     &l->dattn,  &l->dq,
                                     &l->dk,      &l->dv,   &l->keys,   &l->values, &l->dkeys,
                                     &l->dvalues, &l->dka,  &l->dva,    &l->dots,   &l->dgates,
                                     &l->top,     &l->dtop, &l->logits, &l->scratch};
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        lay_work_free(work[i]);
    free_kept(&l->again);
    void *const memory[] = {l->layers,  l->norm_gradient, l->embed_gradient, l->positions, l->target_rows,
                            l->targets, l->target_counts, l->row_loss,       l->own,       l->cross};
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
        lay_free(memory[i]);
    lay_pieces_free(&l->pieces);
    lay_pieces_free(&l->head_pieces);
    lay_pieces_free(&l->adapter_pieces);
    lay_llm_destroy(l->llm);
    lay_free(l);
}

struct lay_llm *lay_llm_learner_model(struct lay_llm_learner *learner)
{
    return learner->llm;
}

/* The head's part of a tied table is in its gradient already; the inputs' part is summed apart, because in a
 * pass all samples go through the head before the first reaches the inputs. */
void lay_llm_learner_collect(struct lay_llm_learner *l)
{
    const struct lay_llm_config *c = &l->llm->config;
    const size_t count = (size_t)(c->vocab_size * c->hidden_size);
    if (!l->train || !c->tie_word_embeddings)
        return;
    lay_add(l->head.weight_gradient, l->embed_gradient, (int64_t)count);
    memset(l->embed_gradient, 0, count * sizeof *l->embed_gradient);
}

enum lay_status lay_llm_learner_refresh(struct lay_llm_learner *l, struct lay_err *err)
{
    for (int64_t i = 0; i < l->llm->config.num_hidden_layers; i++)
        for (int p = 0; p < PARTS; p++)
            LAY_TRY(lay_learned_refresh(learned_at(&l->layers[i], p), err));
    return lay_learned_refresh(&l->head, err);
}

void lay_llm_kept_floats(const struct lay_llm_config *c, bool adapter, int64_t *per_row, int64_t *per_source)
{
    const int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    *per_row = 2 * q + 2 * kv + c->num_attention_heads + c->hidden_size + 2 * c->intermediate_size;
    *per_source = 0;
    if (!adapter)
        return;
    *per_row += q + c->num_attention_heads + 1;
    *per_source = 2 * kv;
}

size_t lay_llm_learner_floats(const struct lay_llm_config *c, int64_t rows, int64_t source_rows)
{
    const int64_t q = c->num_attention_heads * c->head_dim, kv = c->num_key_value_heads * c->head_dim;
    const int64_t H = c->hidden_size, per_row = 5 * H + c->intermediate_size + 2 * q + 2 * kv;
    return (size_t)(rows * (per_row + c->num_hidden_layers * H) + source_rows * (4 * H + 2 * kv) +
                    lay_llm_head_rows(c) * c->vocab_size);
}
