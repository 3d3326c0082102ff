/* LayAlign's aligner under training (forward in aligner.c). Keys and values of all adapted layers come from
 * the same layers behind the fusion, so the order in which their gradients are summed would depend on how
 * samples share a pass. Therefore the LLM's pass only collects the gradients of the states, and afterwards
 * one sample after the other goes through all layers. */
#include "engine/bridge/learner_state.h"

#include "engine/base/mem.h"
#include "engine/nn/fuse.h"
#include "engine/nn/gradient.h"

#include <string.h>

#define GROUP_ROWS                                                                                           \
    4096 /* rows of keys and values of a sample that are worked on together, at least one layer's */

/* Which structure it is must be known before the bridge is loaded. */
enum lay_status lay_aligner_learner_read(struct lay_bridge_learner *l,
                                         const struct lay_bridge_options *options,
                                         const struct lay_loader *loader, int64_t d, int64_t H,
                                         struct lay_err *err)
{
    struct lay_form form = options->form;
    LAY_TRY(lay_form_resolve(&form, loader->weights, l->layers, err));
    const struct lay_aligner_structure *s = &lay_aligner_structures[form.value[LAY_FORM_STRUCTURE]];
    const int64_t width = lay_aligner_inner_width(s, d, H);
    if (s->inner[0])
        LAY_TRY(lay_learned_read(&l->aligner_inner, loader, LAY_PROJECTOR, s->inner, width, d, true, err));
    return lay_learned_read(&l->aligner_outer, loader, LAY_PROJECTOR, s->outer, H, width, true, err);
}

static enum lay_status list_gate(struct lay_bridge_learner *l, int64_t layer, struct lay_err *err)
{
    static const char llm[] = "model_llm.model.model.";
    struct lay_aligner *a = l->bridge->aligner;
    struct lay_parameters *list = &l->learning->parameters;
    const int64_t shape[] = {1, a->H};
    char name[80];
    if (a->gate_weight) {
        lay_aligner_gate_name(name, layer, ".weight");
        LAY_TRY(lay_parameter_add(list, LAY_MODULE_BRIDGE, llm, name, 2, shape, a->gate_weight + layer * a->H,
                                  l->gate_weight_gradient + layer * a->H, err));
    }
    lay_aligner_gate_name(name, layer, a->gate_weight ? ".bias" : "");
    return lay_parameter_add(list, LAY_MODULE_BRIDGE, llm, name, 1, shape, &a->gates[layer],
                             &l->gate_gradient[layer], err);
}

static enum lay_status list_trainable(struct lay_bridge_learner *l, struct lay_err *err)
{
    struct lay_aligner *a = l->bridge->aligner;
    struct lay_learning *learning = l->learning;
    const int64_t fc1_shape[] = {2 * a->K, a->m};
    if (a->fc1) {
        LAY_TRY(lay_parameter_add(&learning->parameters, LAY_MODULE_BRIDGE, LAY_PROJECTOR, "fc1.weight", 2,
                                  fc1_shape, a->fc1, l->fc1_gradient, err));
        LAY_TRY(lay_parameter_add(&learning->parameters, LAY_MODULE_BRIDGE, LAY_PROJECTOR, "fc1.bias", 1,
                                  fc1_shape, a->fc1_bias, l->fc1_bias_gradient, err));
    }
    if (a->inner)
        LAY_TRY(lay_learned_list(&l->aligner_inner, learning, LAY_MODULE_BRIDGE, "", LAY_PROJECTOR,
                                 a->structure->inner, err));
    LAY_TRY(lay_learned_list(&l->aligner_outer, learning, LAY_MODULE_BRIDGE, "", LAY_PROJECTOR,
                             a->structure->outer, err));
    for (int64_t layer = 0; layer < l->layers; layer++)
        if (a->has_gate[layer])
            LAY_TRY(list_gate(l, layer, err));
    return LAY_OK;
}

static enum lay_status create_gradients(struct lay_bridge_learner *l, struct lay_err *err)
{
    const struct lay_aligner *a = l->bridge->aligner;
    const struct {
        float **gradient;
        bool exists;
        int64_t count;
    } gradients[] = {{&l->fc1_gradient, a->fc1 != NULL, 2 * a->K * a->m},
                     {&l->fc1_bias_gradient, a->fc1 != NULL, 2 * a->K},
                     {&l->gate_gradient, true, l->layers},
                     {&l->gate_weight_gradient, a->gate_weight != NULL, l->layers * a->H}};
    for (size_t i = 0; i < sizeof gradients / sizeof *gradients; i++)
        if (gradients[i].exists &&
            !(*gradients[i].gradient = lay_alloc_aligned((size_t)gradients[i].count, sizeof(float))))
            return lay_no_memory(err, "an aligner");
    return LAY_OK;
}

enum lay_status lay_aligner_learner_list(struct lay_bridge_learner *l, struct lay_err *err)
{
    struct lay_aligner *a = l->bridge->aligner;
    l->layer_rows = lay_alloc((size_t)a->m, sizeof *l->layer_rows);
    l->dlayer_rows = lay_alloc((size_t)a->m, sizeof *l->dlayer_rows);
    if (!l->layer_rows || !l->dlayer_rows)
        return lay_no_memory(err, "an aligner");
    LAY_TRY(create_gradients(l, err));
    if (a->inner)
        LAY_TRY(lay_learned_attach(&l->aligner_inner, l->learning, a->inner, err));
    LAY_TRY(lay_learned_attach(&l->aligner_outer, l->learning, a->outer, err));
    return l->train ? list_trainable(l, err) : LAY_OK;
}

void lay_aligner_learner_free(struct lay_bridge_learner *l)
{
    struct lay_work *const work[] = {&l->dstates, &l->fused, &l->dfused, &l->pre,
                                     &l->act,     &l->dact,  &l->dstate};
    for (size_t i = 0; i < sizeof work / sizeof *work; i++)
        lay_work_free(work[i]);
    lay_learned_free(&l->aligner_inner);
    lay_learned_free(&l->aligner_outer);
    lay_free(l->fc1_gradient);
    lay_free(l->fc1_bias_gradient);
    lay_free(l->gate_gradient);
    lay_free(l->gate_weight_gradient);
    lay_free(l->layer_rows);
    lay_free(l->dlayer_rows);
}

/* --- the LLM's pass --- */

static int64_t index_of(const struct lay_aligner *a, int64_t layer)
{
    int64_t i = 0;
    while (a->language_layers[i] != layer)
        i++;
    return i;
}

static enum lay_status states(void *context, int64_t layer, float *keys, float *values, struct lay_err *err)
{
    struct lay_bridge_learner *l = context;
    struct lay_aligner *a = l->bridge->aligner;
    const int64_t i = index_of(a, layer);
    LAY_TRY(lay_aligner_fuse(a, l->rows.hidden, l->rows.rows, i, 1, err));
    LAY_TRY(lay_aligner_states(a, l->rows.rows, i, keys, values, err));
    lay_bridge_drop(l, &l->rows, 2 * layer + LAY_DROP_KEYS, keys);
    lay_bridge_drop(l, &l->rows, 2 * layer + LAY_DROP_VALUES, values);
    return LAY_OK;
}

static enum lay_status gradients(void *context, int64_t layer, const float *dkeys, const float *dvalues,
                                 struct lay_err *err)
{
    struct lay_bridge_learner *l = context;
    const struct lay_aligner *a = l->bridge->aligner;
    const int64_t n = l->rows.rows * a->H;
    float *to = l->dstates.data + 2 * index_of(a, layer) * n;
    (void)err;
    memcpy(to, dkeys, (size_t)n * sizeof *to);
    memcpy(to + n, dvalues, (size_t)n * sizeof *to);
    lay_bridge_drop(l, &l->rows, 2 * layer + LAY_DROP_KEYS, to);
    lay_bridge_drop(l, &l->rows, 2 * layer + LAY_DROP_VALUES, to + n);
    return LAY_OK;
}

enum lay_status lay_bridge_learn_adapter(struct lay_bridge_learner *l, const struct lay_bridge_rows *rows,
                                         bool backward, struct lay_adapter_source *source, bool *exists,
                                         struct lay_err *err)
{
    const struct lay_aligner *a = l->bridge->aligner;
    const bool wanted = backward && (l->train || rows->dhidden);
    *exists = a != NULL;
    if (!a)
        return LAY_OK;
    l->rows = *rows;
    if (wanted)
        LAY_TRY(lay_work_reserve(&l->dstates, 2 * a->K * rows->rows, a->H, err));
    *source = (struct lay_adapter_source){.rows = rows->rows,
                                          .lengths = rows->lengths,
                                          .adapter = &a->adapter,
                                          .gate_gradient = wanted ? l->gate_gradient : NULL,
                                          .gate_weight_gradient = wanted ? l->gate_weight_gradient : NULL,
                                          .states = states,
                                          .gradients = wanted ? gradients : NULL,
                                          .context = l};
    return LAY_OK;
}

/* --- backward --- */

/* Keys and values of the language layers first … first + layers − 1 for rows row … row + n − 1. */
struct group {
    int64_t first, layers, row, n;
};

static int64_t group_rows(const struct group *g)
{
    return 2 * g->layers * g->n;
}

static void point_at_rows(struct lay_bridge_learner *l, const struct group *g)
{
    const struct lay_aligner *a = l->bridge->aligner;
    for (int64_t j = 0; j < a->m; j++) {
        const int64_t layer = a->encoder_layers[j], at = g->row * a->d;
        l->layer_rows[j] = l->rows.hidden[layer] + at;
        l->dlayer_rows[j] = l->rows.dhidden ? l->rows.dhidden[layer] + at : NULL;
    }
}

static enum lay_status reserve(struct lay_bridge_learner *l, const struct group *g, struct lay_err *err)
{
    const struct lay_aligner *a = l->bridge->aligner;
    const int64_t rows = group_rows(g);
    LAY_TRY(lay_work_reserve(&l->fused, rows, a->d, err));
    LAY_TRY(lay_work_reserve(&l->dfused, rows, a->d, err));
    LAY_TRY(lay_work_reserve(&l->dstate, rows, a->H, err));
    if (!a->inner)
        return LAY_OK;
    LAY_TRY(lay_work_reserve(&l->pre, rows, a->inner_width, err));
    LAY_TRY(lay_work_reserve(&l->act, rows, a->inner_width, err));
    return lay_work_reserve(&l->dact, rows, a->inner_width, err);
}

/* What the fusion gives, and the gradients of the states, one below the other. */
static void gather(struct lay_bridge_learner *l, const struct group *g)
{
    const struct lay_aligner *a = l->bridge->aligner;
    const int64_t size = g->n * a->d, H = a->H;
    lay_aligner_fuse_rows(a, l->layer_rows, g->first, g->layers, l->fused.data, size);
    for (int64_t k = 0; k < 2 * g->layers; k++)
        memcpy(l->dstate.data + k * g->n * H,
               l->dstates.data + ((2 * g->first + k) * l->rows.rows + g->row) * H,
               (size_t)(g->n * H) * sizeof(float));
}

/* d fused from d state, through both layers of the structure or the only one. */
static enum lay_status project_backward(struct lay_bridge_learner *l, int64_t rows, struct lay_err *err)
{
    const struct lay_aligner *a = l->bridge->aligner;
    const enum lay_activation activation = a->structure->activation;
    const float *dout = l->dstate.data;
    LAY_TRY(lay_pieces_cut(&l->pieces, &rows, 1, LAY_PIECE_ROWS, err));
    const struct lay_segment *pieces = l->pieces.items;
    const size_t n = l->pieces.count;
    if (!a->inner) {
        LAY_TRY(lay_learned_weights(&l->aligner_outer, l->learning, l->fused.data, dout, pieces, n, err));
        return lay_learned_inputs(&l->aligner_outer, l->learning, dout, l->dfused.data, rows, false, err);
    }
    LAY_TRY(lay_linear_forward(a->inner, l->fused.data, l->pre.data, rows, false, err));
    memcpy(l->act.data, l->pre.data, (size_t)(rows * a->inner_width) * sizeof(float));
    lay_activate(activation, l->act.data, rows, a->inner_width);
    LAY_TRY(lay_learned_weights(&l->aligner_outer, l->learning, l->act.data, dout, pieces, n, err));
    LAY_TRY(lay_learned_inputs(&l->aligner_outer, l->learning, dout, l->dact.data, rows, false, err));
    lay_activate_backward(activation, l->pre.data, l->dact.data, l->dact.data, rows * a->inner_width);
    LAY_TRY(lay_learned_weights(&l->aligner_inner, l->learning, l->fused.data, l->dact.data, pieces, n, err));
    return lay_learned_inputs(&l->aligner_inner, l->learning, l->dact.data, l->dfused.data, rows, false, err);
}

/* lay_aligner_fuse_rows backward: fc1's gradients and those of the encoder's states. */
static void fuse_backward(struct lay_bridge_learner *l, int64_t layer, const float *fused, float *dfused,
                          int64_t size)
{
    const struct lay_aligner *a = l->bridge->aligner;
    float *const *dlayers = l->rows.dhidden ? l->dlayer_rows : NULL;
    if (!a->fc1) {
        if (dlayers)
            lay_mean_backward(dfused, dfused + size, dlayers, a->m, size);
        return;
    }
    const struct lay_fuse_gradient fuse = {
        .layers = l->layer_rows,
        .weight = a->fc1 + 2 * layer * a->m,
        .m = a->m,
        .n = size,
        .a = fused,
        .b = fused + size,
        .da = dfused,
        .db = dfused + size,
        .dweight = l->fc1_gradient + 2 * layer * a->m,
        .dbias = l->fc1_bias_gradient + 2 * layer,
        .dlayers = dlayers,
    };
    lay_fuse_backward(&fuse);
}

static enum lay_status group_backward(struct lay_bridge_learner *l, const struct group *g,
                                      struct lay_err *err)
{
    const int64_t size = g->n * l->bridge->aligner->d;
    LAY_TRY(reserve(l, g, err));
    point_at_rows(l, g);
    gather(l, g);
    LAY_TRY(project_backward(l, group_rows(g), err));
    for (int64_t i = 0; i < g->layers; i++)
        fuse_backward(l, g->first + i, l->fused.data + 2 * i * size, l->dfused.data + 2 * i * size, size);
    return LAY_OK;
}

enum lay_status lay_bridge_adapter_backward(struct lay_bridge_learner *l, struct lay_err *err)
{
    const struct lay_aligner *a = l->bridge->aligner;
    struct group g = {0};
    for (int64_t s = 0; s < l->rows.n_seqs; s++) {
        g.n = l->rows.lengths[s];
        const int64_t step = GROUP_ROWS / (2 * g.n) > 0 ? GROUP_ROWS / (2 * g.n) : 1;
        for (g.first = 0; g.first < a->K; g.first += step) {
            g.layers = a->K - g.first < step ? a->K - g.first : step;
            LAY_TRY(group_backward(l, &g, err));
        }
        g.row += g.n;
    }
    return LAY_OK;
}
