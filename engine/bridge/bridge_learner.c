/* Mapping and boundary under training:
 *   out = W_2 act(u) + b_2, u = W_1 E + b_1      du = act'(u) W_2ᵀ d out      dE = W_1ᵀ du
 * or out = W_1 E + b_1 alone. */
#include "engine/bridge/learner_state.h"

#include "engine/base/mem.h"
#include "engine/base/random.h"
#include "engine/nn/gradient.h"

#include <stdio.h>
#include <string.h>

/* Where the mapping of a method stands; the first whose tensors are there. */
struct mapping {
    enum lay_method method;
    const char *prefix;
    const char *first[2], *second[2]; /* second NULL: one linear layer */
    const char *boundary;
    int boundary_rank;
};

static const struct mapping mappings[] = {
    {LAY_MINDMERGER, "mapping.mlp.", {"linear1"}, {"linear2"}, "mapping.end_boundary", 3},
    {LAY_LAYALIGN, "mapping.mlp.", {"linear1"}, {"linear2"}, "mapping.end_boundary", 3},
    {LAY_LANGBRIDGE, "lb.alignment.", {"linear"}, {NULL}, "lb.alignment.enc_eos", 1},
    {LAY_LANGBRIDGE, "lb.alignment.ffn.", {"0"}, {"2"}, "lb.alignment.enc_eos", 1},
};

static const struct mapping *find_mapping(enum lay_method method, const struct lay_weights *weights)
{
    const struct mapping *last = NULL;
    for (size_t i = 0; i < sizeof mappings / sizeof *mappings; i++) {
        char name[96];
        if (mappings[i].method != method)
            continue;
        last = &mappings[i];
        snprintf(name, sizeof name, "%s%s.weight", last->prefix, last->first[0]);
        if (lay_weights_find(weights, name))
            break;
    }
    return last;
}

static enum lay_status read_mapping(struct lay_bridge_learner *l, const struct mapping *mapping,
                                    const struct lay_loader *loader, int64_t d, int64_t H,
                                    struct lay_err *err)
{
    int64_t inner = H;
    char name[96];
    snprintf(name, sizeof name, "%s%s.weight", mapping->prefix, mapping->first[0]);
    if (mapping->second[0])
        LAY_TRY(lay_bridge_rows(loader, name, &inner, err));
    LAY_TRY(lay_learned_read(&l->linear1, loader, mapping->prefix, mapping->first, inner, d, true, err));
    if (!mapping->second[0])
        return LAY_OK;
    return lay_learned_read(&l->linear2, loader, mapping->prefix, mapping->second, H, inner, true, err);
}

static enum lay_status list_mapping(struct lay_bridge_learner *l, const struct mapping *mapping,
                                    struct lay_err *err)
{
    const int64_t H = l->bridge->H;
    const int64_t shape[] = {1, 1, H}, *tail = shape + 3 - mapping->boundary_rank;
    LAY_TRY(lay_learned_list(&l->linear1, l->learning, LAY_MODULE_BRIDGE, "", mapping->prefix, mapping->first,
                             err));
    if (mapping->second[0])
        LAY_TRY(lay_learned_list(&l->linear2, l->learning, LAY_MODULE_BRIDGE, "", mapping->prefix,
                                 mapping->second, err));
    l->boundary_gradient = lay_alloc_aligned((size_t)H, sizeof *l->boundary_gradient);
    if (!l->boundary_gradient)
        return lay_no_memory(err, "gradients");
    return lay_parameter_add(&l->learning->parameters, LAY_MODULE_BRIDGE, "", mapping->boundary,
                             mapping->boundary_rank, tail, l->bridge->boundary, l->boundary_gradient, err);
}

static enum lay_status build(struct lay_bridge_learner *l, const struct lay_bridge_learner_options *options,
                             struct lay_weights *weights, const struct lay_encoder_config *encoder,
                             const struct lay_llm_config *llm, struct lay_err *err)
{
    struct lay_learning *learning = l->learning;
    const struct lay_bridge_options *o = options->bridge;
    const struct lay_loader loader = {learning->dnn, weights, lay_precision_of(learning->compute)};
    const struct mapping *mapping = find_mapping(o->method, weights);
    const bool aligned = o->method == LAY_LAYALIGN && !o->no_adapter;
    const int64_t d = encoder->hidden_size, H = llm->hidden_size;
    const bool maps = options->train && !options->no_soft_prompt && mapping;
    if (maps)
        LAY_TRY(read_mapping(l, mapping, &loader, d, H, err));
    if (options->train && aligned)
        LAY_TRY(lay_aligner_learner_read(l, o, &loader, d, H, err));
    LAY_TRY(lay_bridge_load(learning->dnn, o, weights, encoder, llm, loader.precision, &l->bridge, err));
    if (aligned)
        LAY_TRY(lay_aligner_learner_list(l, err));
    LAY_TRY(lay_learned_attach(&l->linear1, learning, l->bridge->linear1, err));
    if (l->bridge->linear2)
        LAY_TRY(lay_learned_attach(&l->linear2, learning, l->bridge->linear2, err));
    return maps ? list_mapping(l, mapping, err) : LAY_OK;
}

enum lay_status lay_bridge_learner_create(struct lay_learning *learning,
                                          const struct lay_bridge_learner_options *options,
                                          struct lay_weights *weights,
                                          const struct lay_encoder_config *encoder,
                                          const struct lay_llm_config *llm,
                                          struct lay_bridge_learner **learner, struct lay_err *err)
{
    struct lay_bridge_learner *l = lay_alloc(1, sizeof *l);
    *learner = NULL;
    if (!l)
        return lay_no_memory(err, "a bridge");
    l->learning = learning;
    l->train = options->train;
    l->layers = llm->num_hidden_layers;
    l->dropout = options->dropout;
    const enum lay_status status = build(l, options, weights, encoder, llm, err);
    if (status != LAY_OK) {
        lay_bridge_learner_destroy(l);
        return status;
    }
    *learner = l;
    return LAY_OK;
}

void lay_bridge_learner_destroy(struct lay_bridge_learner *l)
{
    if (!l)
        return;
    lay_learned_free(&l->linear1);
    lay_learned_free(&l->linear2);
    lay_free(l->boundary_gradient);
    lay_work_free(&l->inner);
    lay_work_free(&l->dinner);
    lay_work_free(&l->active);
    lay_pieces_free(&l->pieces);
    lay_aligner_learner_free(l);
    lay_bridge_destroy(l->bridge);
    lay_free(l);
}

struct lay_bridge *lay_bridge_learner_model(struct lay_bridge_learner *learner)
{
    return learner->bridge;
}

enum lay_status lay_bridge_learner_refresh(struct lay_bridge_learner *l, struct lay_err *err)
{
    struct lay_learned *const all[] = {&l->linear1, &l->linear2, &l->aligner_inner, &l->aligner_outer};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        LAY_TRY(lay_learned_refresh(all[i], err));
    return LAY_OK;
}

void lay_bridge_drop(const struct lay_bridge_learner *l, const struct lay_bridge_rows *rows, int64_t stream,
                     float *x)
{
    for (int64_t s = 0; s < rows->n_seqs && rows->noise && l->dropout > 0; s++) {
        const uint64_t key = lay_random_mix(rows->noise[s] + (uint64_t)(stream + 1) * LAY_RANDOM_STEP);
        lay_dropout(x, rows->lengths[s], l->bridge->H, key, l->dropout);
        x += rows->lengths[s] * l->bridge->H;
    }
}

/* --- the soft prompt --- */

static enum lay_status map(struct lay_bridge_learner *l, const struct lay_bridge_rows *rows, float *soft,
                           struct lay_err *err)
{
    struct lay_bridge *b = l->bridge;
    const float *encoded = rows->hidden[b->last];
    if (!b->linear2)
        return lay_linear_forward(b->linear1, encoded, soft, rows->rows, false, err);
    const int64_t inner = lay_linear_out(b->linear1);
    struct lay_work *const work[] = {&l->inner, &l->dinner, &l->active};
    for (int i = 0; i < 3; i++)
        LAY_TRY(lay_work_reserve(work[i], rows->rows, inner, err));
    LAY_TRY(lay_linear_forward(b->linear1, encoded, l->inner.data, rows->rows, false, err));
    memcpy(l->active.data, l->inner.data, (size_t)(rows->rows * inner) * sizeof(float));
    lay_activate(b->activation, l->active.data, rows->rows, inner);
    return lay_linear_forward(b->linear2, l->active.data, soft, rows->rows, false, err);
}

enum lay_status lay_bridge_learn_soft(struct lay_bridge_learner *l, const struct lay_bridge_rows *rows,
                                      float *soft, struct lay_err *err)
{
    LAY_TRY(map(l, rows, soft, err));
    lay_bridge_drop(l, rows, LAY_DROP_SOFT, soft);
    return LAY_OK;
}

enum lay_status lay_bridge_soft_backward(struct lay_bridge_learner *l, const struct lay_bridge_rows *rows,
                                         float *dsoft, const float *dboundary, struct lay_err *err)
{
    struct lay_bridge *b = l->bridge;
    const int64_t n = rows->rows;
    const float *du = dsoft;
    lay_bridge_drop(l, rows, LAY_DROP_SOFT, dsoft);
    if (l->boundary_gradient)
        lay_add_rows(dboundary, l->boundary_gradient, rows->n_seqs, b->H);
    LAY_TRY(lay_pieces_cut(&l->pieces, rows->lengths, rows->n_seqs, LAY_PIECE_ROWS, err));
    if (b->linear2) {
        LAY_TRY(lay_learned_weights(&l->linear2, l->learning, l->active.data, dsoft, l->pieces.items,
                                    l->pieces.count, err));
        LAY_TRY(lay_learned_inputs(&l->linear2, l->learning, dsoft, l->dinner.data, n, false, err));
        lay_activate_backward(b->activation, l->inner.data, l->dinner.data, l->dinner.data,
                              n * lay_linear_out(b->linear1));
        du = l->dinner.data;
    }
    LAY_TRY(lay_learned_weights(&l->linear1, l->learning, rows->hidden[b->last], du, l->pieces.items,
                                l->pieces.count, err));
    if (!rows->dhidden)
        return LAY_OK;
    return lay_learned_inputs(&l->linear1, l->learning, du, rows->dhidden[b->last], n, true, err);
}
