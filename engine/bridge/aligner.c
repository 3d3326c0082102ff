/* LayAlign's layer-wise aligner (LayAlign paper, section 3.2; EncoderAligner and its projector in the
 * official code). With h_1 … h_m the chosen hidden states of the encoder, per token and channel:
 *
 *   r_k = ReLU(fc1_2i  (h_1 … h_m))      r_v = ReLU(fc1_2i+1 (h_1 … h_m))      fc1: m → 2K, across layers
 *   a   = fc2(r)                 structure Linear                              fc2: d → H
 *   a   = fc3(ReLU(fc2(r)))      structure MLP                                 fc3: H → H
 *
 * for the i-th of the K language layers: its keys are a of r_k, its values a of r_v. The paper's ablations:
 *
 *   r_k = r_v = (h_1 + … + h_m) / m      fusion average: no fc1, nor its ReLU
 *   a   = fc2(SiLU(fc0(r)))      structure Wide                                fc0: d → d */
#include "engine/bridge/aligner_state.h"

#include "engine/base/mem.h"
#include "engine/base/profile.h"
#include "engine/nn/fuse.h"
#include "engine/nn/kernels.h"

#include <stdio.h>
#include <string.h>

const struct lay_aligner_structure lay_aligner_structures[] = {
    [LAY_STRUCTURE_LINEAR] = {.outer = {"fc2"}},
    [LAY_STRUCTURE_MLP] = {{"fc2"}, {"fc3"}, LAY_RELU, false},
    [LAY_STRUCTURE_WIDE] = {{"fc0"}, {"fc2"}, LAY_SILU, true},
};

/* --- forward --- */

void lay_aligner_fuse_rows(const struct lay_aligner *a, const float *const *layers, int64_t first, int64_t n,
                           float *r, int64_t size)
{
    if (a->fc1) {
        lay_fuse_layers(layers, a->m, a->fc1 + 2 * first * a->m, a->fc1_bias + 2 * first, 2 * n, r, size);
        return;
    }
    lay_mean_layers(layers, a->m, r, size);
    for (int64_t k = 1; k < 2 * n; k++)
        memcpy(r + k * size, r, (size_t)size * sizeof *r);
}

/* out [rows, H] = a of r [rows, d]. */
static enum lay_status project(struct lay_aligner *a, const float *r, int64_t rows, float *out,
                               struct lay_err *err)
{
    if (!a->inner)
        return lay_linear_forward(a->outer, r, out, rows, false, err);
    LAY_TRY(lay_linear_forward(a->inner, r, a->between.data, rows, false, err));
    lay_activate(a->structure->activation, a->between.data, rows, a->inner_width);
    return lay_linear_forward(a->outer, a->between.data, out, rows, false, err);
}

enum lay_status lay_aligner_fuse(struct lay_aligner *a, float *const *hidden, int64_t rows, int64_t first,
                                 int64_t n, struct lay_err *err)
{
    LAY_TRY(lay_work_reserve(&a->r, 2 * n * rows, a->d, err));
    for (int64_t j = 0; j < a->m; j++)
        a->fused[j] = hidden[a->encoder_layers[j]];
    lay_aligner_fuse_rows(a, a->fused, first, n, a->r.data, rows * a->d);
    a->r_first = first;
    lay_profile_lap(LAY_OP_FUSE);
    return LAY_OK;
}

enum lay_status lay_aligner_states(struct lay_aligner *a, int64_t rows, int64_t i, float *keys, float *values,
                                   struct lay_err *err)
{
    const float *r = a->r.data + 2 * (i - a->r_first) * rows * a->d;
    if (a->inner)
        LAY_TRY(lay_work_reserve(&a->between, rows, a->inner_width, err));
    LAY_TRY(project(a, r, rows, keys, err));
    LAY_TRY(project(a, r + rows * a->d, rows, values, err));
    lay_profile_lap(LAY_OP_MAPPING);
    return LAY_OK;
}

/* --- loading --- */

int64_t lay_aligner_inner_width(const struct lay_aligner_structure *structure, int64_t d, int64_t H)
{
    return structure->inner[0] && !structure->narrow ? H : d;
}

void lay_aligner_gate_name(char name[80], int64_t layer, const char *end)
{
    snprintf(name, 80, "layers.%lld.self_attn.adaption_gate%s", (long long)layer, end);
}

/* A scalar gate, or weight [1, H] and bias [1] of one that reads the hidden state. */
static enum lay_status load_gate(struct lay_aligner *a, const struct lay_loader *loader, int64_t layer,
                                 struct lay_err *err)
{
    const int64_t shape[] = {1, a->H};
    const struct lay_tensor *weight;
    char name[80];
    float *gate;
    lay_aligner_gate_name(name, layer, a->gate_weight ? ".weight" : "");
    if (!lay_weights_find(loader->weights, name))
        return LAY_OK;
    if (a->gate_weight) {
        LAY_TRY(lay_weights_get(loader->weights, name, 2, shape, &weight, err));
        LAY_TRY(lay_tensor_to_f32(weight, a->gate_weight + layer * a->H, err));
        lay_aligner_gate_name(name, layer, ".bias");
    }
    LAY_TRY(lay_weights_vector(loader->weights, name, 1, &gate, err));
    a->gates[layer] = *gate;
    a->has_gate[layer] = true;
    lay_free(gate);
    return LAY_OK;
}

/* One gate per listed language layer; without a list, the layers that have a gate. */
static enum lay_status load_gates(struct lay_aligner *a, const struct lay_bridge_options *options,
                                  const struct lay_loader *loader, int64_t n_layers, struct lay_err *err)
{
    int64_t found = 0;
    for (int64_t layer = 0; layer < n_layers; layer++) {
        LAY_TRY(load_gate(a, loader, layer, err));
        if (!a->has_gate[layer])
            continue;
        if (found < LAY_BRIDGE_MAX_LAYERS)
            a->language_layers[found] = layer;
        found++;
    }
    if (options->n_language_layers >= 0) {
        a->K = options->n_language_layers;
        memcpy(a->language_layers, options->language_layers, (size_t)a->K * sizeof *a->language_layers);
    } else {
        a->K = found;
    }
    if (a->K == 0 || a->K > LAY_BRIDGE_MAX_LAYERS)
        return lay_fail(err, LAY_ERR_INPUT,
                        "the checkpoint has %lld gates (…self_attn.adaption_gate); 1 to %d expected",
                        (long long)a->K, LAY_BRIDGE_MAX_LAYERS);
    for (int64_t i = 0; i < a->K; i++) {
        const int64_t layer = a->language_layers[i];
        if (layer < 0 || layer >= n_layers || !a->has_gate[layer])
            return lay_fail(err, LAY_ERR_INPUT,
                            "language_layers lists LLM layer %lld, for which the checkpoint has no gate",
                            (long long)layer);
        for (int64_t j = 0; j < i; j++)
            if (a->language_layers[j] == layer)
                return lay_fail(err, LAY_ERR_INPUT, "language_layers lists layer %lld twice",
                                (long long)layer);
    }
    if (found != a->K)
        return lay_fail(err, LAY_ERR_INPUT,
                        "the checkpoint has gates for %lld LLM layers, language_layers lists %lld",
                        (long long)found, (long long)a->K);
    return LAY_OK;
}

static enum lay_status choose_encoder_layers(struct lay_aligner *a, const struct lay_bridge_options *options,
                                             int64_t n_hidden, struct lay_err *err)
{
    if (options->n_encoder_layers >= 0 && options->n_encoder_layers != a->m)
        return lay_fail(err, LAY_ERR_INPUT,
                        "encoder_layers lists %lld layers, but fc1 of the checkpoint fuses %lld",
                        (long long)options->n_encoder_layers, (long long)a->m);
    a->encoder_layers = lay_alloc((size_t)a->m, sizeof *a->encoder_layers);
    a->fused = lay_alloc((size_t)a->m, sizeof *a->fused);
    if (!a->encoder_layers || !a->fused)
        return lay_no_memory(err, "an aligner");
    for (int64_t j = 0; j < a->m; j++) {
        const int64_t layer = options->n_encoder_layers >= 0 ? options->encoder_layers[j] : j;
        if (layer < 0 || layer >= n_hidden)
            return lay_fail(err, LAY_ERR_INPUT,
                            "encoder_layers: the encoder has hidden states 0 to %lld, the bridge wants %lld",
                            (long long)(n_hidden - 1), (long long)layer);
        a->encoder_layers[j] = layer;
    }
    return LAY_OK;
}

/* fc1 as f32: it works between layers, not as a product over channels. */
static enum lay_status load_fc1(struct lay_aligner *a, const struct lay_loader *loader, struct lay_err *err)
{
    const struct lay_tensor *tensor;
    const int64_t shape[] = {2 * a->K, -1};
    LAY_TRY(lay_weights_get(loader->weights, LAY_PROJECTOR "fc1.weight", 2, shape, &tensor, err));
    a->m = tensor->shape[1];
    a->fc1 = lay_alloc(tensor->count, sizeof *a->fc1);
    if (!a->fc1)
        return lay_no_memory(err, "an aligner");
    LAY_TRY(lay_tensor_to_f32(tensor, a->fc1, err));
    return lay_weights_vector(loader->weights, LAY_PROJECTOR "fc1.bias", 2 * a->K, &a->fc1_bias, err);
}

static enum lay_status load_projections(struct lay_aligner *a, const struct lay_loader *loader,
                                        struct lay_err *err)
{
    const struct lay_aligner_structure *s = a->structure;
    a->inner_width = lay_aligner_inner_width(s, a->d, a->H);
    if (s->inner[0])
        LAY_TRY(lay_load_linear(loader, LAY_PROJECTOR, s->inner, a->inner_width, a->d, true, &a->inner, err));
    return lay_load_linear(loader, LAY_PROJECTOR, s->outer, a->H, a->inner_width, true, &a->outer, err);
}

static enum lay_status load(struct lay_aligner *a, const struct lay_bridge_options *options,
                            const struct lay_loader *loader, const struct lay_encoder_config *encoder,
                            const struct lay_llm_config *llm, struct lay_err *err)
{
    a->d = encoder->hidden_size;
    a->H = llm->hidden_size;
    a->gates = lay_alloc((size_t)llm->num_hidden_layers, sizeof *a->gates);
    a->has_gate = lay_alloc((size_t)llm->num_hidden_layers, sizeof *a->has_gate);
    a->language_layers = lay_alloc(LAY_BRIDGE_MAX_LAYERS, sizeof *a->language_layers);
    if (!a->gates || !a->has_gate || !a->language_layers)
        return lay_no_memory(err, "an aligner");
    if (llm->o_bias)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "the LLM has attention_bias; the official adapter would add o_proj's bias twice, which "
            "is not implemented");
    a->form = options->form;
    LAY_TRY(lay_form_resolve(&a->form, loader->weights, llm->num_hidden_layers, err));
    a->structure = &lay_aligner_structures[a->form.value[LAY_FORM_STRUCTURE]];
    if (a->form.value[LAY_FORM_GATE] == LAY_GATE_HIDDEN &&
        !(a->gate_weight = lay_alloc((size_t)(llm->num_hidden_layers * a->H), sizeof *a->gate_weight)))
        return lay_no_memory(err, "an aligner");
    a->adapter = (struct lay_llm_adapter){a->gates, a->gate_weight, a->has_gate};
    LAY_TRY(load_gates(a, options, loader, llm->num_hidden_layers, err));
    if (a->form.value[LAY_FORM_FUSION] == LAY_FUSION_LEARNED)
        LAY_TRY(load_fc1(a, loader, err));
    else
        a->m = options->n_encoder_layers >= 0 ? options->n_encoder_layers : encoder->num_hidden_layers;
    LAY_TRY(choose_encoder_layers(a, options, encoder->num_hidden_layers + 1, err));
    return load_projections(a, loader, err);
}

enum lay_status lay_aligner_load(const struct lay_bridge_options *options, const struct lay_loader *loader,
                                 const struct lay_encoder_config *encoder, const struct lay_llm_config *llm,
                                 struct lay_aligner **aligner, struct lay_err *err)
{
    *aligner = lay_alloc(1, sizeof **aligner);
    if (!*aligner)
        return lay_no_memory(err, "an aligner");
    return load(*aligner, options, loader, encoder, llm, err); /* on failure the bridge destroys it */
}

void lay_aligner_destroy(struct lay_aligner *a)
{
    if (!a)
        return;
    lay_free(a->encoder_layers);
    lay_free(a->language_layers);
    lay_free(a->fc1);
    lay_free(a->fc1_bias);
    lay_linear_destroy(a->inner);
    lay_linear_destroy(a->outer);
    lay_free(a->gates);
    lay_free(a->gate_weight);
    lay_free(a->has_gate);
    lay_free(a->fused);
    lay_work_free(&a->r);
    lay_work_free(&a->between);
    lay_free(a);
}

size_t lay_aligner_bytes(const struct lay_aligner *a)
{
    return lay_linear_bytes(a->outer) + (a->inner ? lay_linear_bytes(a->inner) : 0);
}

bool lay_aligner_wants_hidden(const struct lay_aligner *a, int64_t layer)
{
    for (int64_t j = 0; j < a->m; j++)
        if (a->encoder_layers[j] == layer)
            return true;
    return false;
}

int64_t lay_aligner_count(const struct lay_aligner *a)
{
    return a->K;
}

int64_t lay_aligner_layer(const struct lay_aligner *a, int64_t i)
{
    return a->language_layers[i];
}

const struct lay_llm_adapter *lay_aligner_adapter(const struct lay_aligner *a)
{
    return &a->adapter;
}

void lay_aligner_fusion(const struct lay_aligner *a, struct lay_fusion *fusion)
{
    *fusion = (struct lay_fusion){.n_encoder_layers = a->m,
                                  .n_language_layers = a->K,
                                  .encoder_layers = a->encoder_layers,
                                  .language_layers = a->language_layers,
                                  .weights = a->fc1,
                                  .bias = a->fc1_bias,
                                  .gates = a->gate_weight ? NULL : a->gates};
}
