#include "engine/bridge/method.h"

#include "engine/base/mem.h"
#include "engine/base/profile.h"

#include <string.h>

static const struct lay_bridge_method plain = {"plain", NULL};
static const struct lay_bridge_method *const methods[LAY_METHOD_COUNT] = {
    [LAY_PLAIN] = &plain,
    [LAY_LANGBRIDGE] = &lay_bridge_langbridge,
    [LAY_MINDMERGER] = &lay_bridge_mindmerger,
    [LAY_LAYALIGN] = &lay_bridge_layalign,
};

/* Methods of the papers that have a name but no code. */
static const char *const not_implemented[] = {"translate", "mindmerger-hard"};

const char *lay_method_name(enum lay_method method)
{
    return method < LAY_METHOD_COUNT ? methods[method]->name : "?";
}

enum lay_status lay_method_by_name(const char *name, const char *where, enum lay_method *method,
                                   struct lay_err *err)
{
    for (int i = 0; i < LAY_METHOD_COUNT; i++)
        if (strcmp(methods[i]->name, name) == 0) {
            *method = (enum lay_method)i;
            return LAY_OK;
        }
    for (size_t i = 0; i < sizeof not_implemented / sizeof *not_implemented; i++)
        if (strcmp(not_implemented[i], name) == 0)
            return lay_fail(err, LAY_ERR_INPUT, "%s: method \"%s\" is not implemented", where, name);
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: unknown method \"%s\"; there are plain, langbridge, mindmerger, layalign", where,
                    name);
}

enum lay_status lay_bridge_load(struct lay_dnn *dnn, const struct lay_bridge_options *options,
                                struct lay_weights *weights, const struct lay_encoder_config *encoder,
                                const struct lay_llm_config *llm, struct lay_precision precision,
                                struct lay_bridge **bridge, struct lay_err *err)
{
    const struct lay_loader loader = {dnn, weights, lay_precision_within(precision, "bridge")};
    *bridge = NULL;
    if (options->method >= LAY_METHOD_COUNT || !methods[options->method]->load)
        return lay_fail(err, LAY_ERR_INPUT, "method \"%s\" has no bridge", lay_method_name(options->method));
    struct lay_bridge *b = lay_alloc(1, sizeof *b);
    if (!b)
        return lay_no_memory(err, "a bridge");
    b->method = methods[options->method];
    b->d = encoder->hidden_size;
    b->H = llm->hidden_size;
    b->last = encoder->num_hidden_layers;
    const enum lay_status status = b->method->load(b, options, &loader, encoder, llm, err);
    if (status != LAY_OK) {
        lay_bridge_destroy(b);
        return lay_err_context(err, status, "%s bridge", lay_method_name(options->method));
    }
    *bridge = b;
    return LAY_OK;
}

void lay_bridge_destroy(struct lay_bridge *bridge)
{
    if (!bridge)
        return;
    lay_linear_destroy(bridge->linear1);
    lay_linear_destroy(bridge->linear2);
    lay_free(bridge->boundary);
    lay_aligner_destroy(bridge->aligner);
    lay_work_free(&bridge->inner);
    lay_free(bridge);
}

double lay_bridge_elements(const struct lay_bridge_options *options, int64_t encoder_width, int64_t llm_width)
{
    const double d = (double)encoder_width, H = (double)llm_width, mapping = 2 * d * d + 2 * d * H;
    const double inner[] = {
        [LAY_STRUCTURE_LINEAR] = 0, [LAY_STRUCTURE_MLP] = H * H, [LAY_STRUCTURE_WIDE] = d * d};
    switch (options->method) {
    case LAY_LANGBRIDGE:
        return d * H;
    case LAY_MINDMERGER:
        return mapping;
    case LAY_LAYALIGN:
        return mapping + (options->no_adapter ? 0 : d * H + inner[options->form.value[LAY_FORM_STRUCTURE]]);
    default:
        return 0;
    }
}

size_t lay_bridge_bytes(const struct lay_bridge *bridge)
{
    size_t bytes = lay_linear_bytes(bridge->linear1);
    if (bridge->linear2)
        bytes += lay_linear_bytes(bridge->linear2);
    return bytes + (bridge->aligner ? lay_aligner_bytes(bridge->aligner) : 0);
}

bool lay_bridge_wants_hidden(const struct lay_bridge *bridge, int64_t layer)
{
    return layer == bridge->last || (bridge->aligner && lay_aligner_wants_hidden(bridge->aligner, layer));
}

/* out = A E, or W_2 act(W_1 E + b_1) + b_2. */
enum lay_status lay_bridge_soft_prompt(struct lay_bridge *b, float *const *hidden, int64_t rows, float *out,
                                       struct lay_err *err)
{
    const float *encoded = hidden[b->last];
    if (!b->linear2) {
        LAY_TRY(lay_linear_forward(b->linear1, encoded, out, rows, false, err));
        lay_profile_lap(LAY_OP_MAPPING);
        return LAY_OK;
    }
    const int64_t inner = lay_linear_out(b->linear1);
    LAY_TRY(lay_work_reserve(&b->inner, rows, inner, err));
    LAY_TRY(lay_linear_forward(b->linear1, encoded, b->inner.data, rows, false, err));
    lay_activate(b->activation, b->inner.data, rows, inner);
    LAY_TRY(lay_linear_forward(b->linear2, b->inner.data, out, rows, false, err));
    lay_profile_lap(LAY_OP_MAPPING);
    return LAY_OK;
}

const float *lay_bridge_boundary(const struct lay_bridge *bridge)
{
    return bridge->boundary;
}

int64_t lay_bridge_adapter_count(const struct lay_bridge *bridge)
{
    return bridge->aligner ? lay_aligner_count(bridge->aligner) : 0;
}

int64_t lay_bridge_adapter_layer(const struct lay_bridge *bridge, int64_t i)
{
    return lay_aligner_layer(bridge->aligner, i);
}

enum lay_status lay_bridge_adapter_fuse(struct lay_bridge *bridge, float *const *hidden, int64_t rows,
                                        int64_t first, int64_t n, struct lay_err *err)
{
    return lay_aligner_fuse(bridge->aligner, hidden, rows, first, n, err);
}

enum lay_status lay_bridge_adapter_states(struct lay_bridge *bridge, int64_t rows, int64_t i, float *keys,
                                          float *values, struct lay_err *err)
{
    return lay_aligner_states(bridge->aligner, rows, i, keys, values, err);
}

const struct lay_llm_adapter *lay_bridge_adapter(const struct lay_bridge *bridge)
{
    return bridge->aligner ? lay_aligner_adapter(bridge->aligner) : NULL;
}

bool lay_bridge_fusion(const struct lay_bridge *bridge, struct lay_fusion *fusion)
{
    if (bridge->aligner)
        lay_aligner_fusion(bridge->aligner, fusion);
    return bridge->aligner != NULL;
}

enum lay_status lay_bridge_rows(const struct lay_loader *loader, const char *name, int64_t *rows,
                                struct lay_err *err)
{
    const struct lay_tensor *tensor = lay_weights_find(loader->weights, name);
    if (!tensor)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "the checkpoint has no tensor \"%s\"; is it a bridge of this method? (`layeval inspect` "
            "shows what it holds)",
            name);
    if (tensor->rank != 2 || tensor->shape[0] < 1)
        return lay_fail(err, LAY_ERR_INPUT, "%s: %s must be a matrix", tensor->file, tensor->name);
    *rows = tensor->shape[0];
    return LAY_OK;
}

enum lay_status lay_boundary_load(struct lay_bridge *bridge, const struct lay_loader *loader,
                                  const char *name, struct lay_err *err)
{
    const struct lay_tensor *tensor = lay_weights_find(loader->weights, name);
    int64_t shape[LAY_TENSOR_MAX_RANK];
    const int rank = tensor && tensor->rank >= 1 && tensor->rank <= 3 ? tensor->rank : 1;
    for (int i = 0; i < rank; i++)
        shape[i] = i == rank - 1 ? bridge->H : 1;
    LAY_TRY(lay_weights_get(loader->weights, name, rank, shape, &tensor, err));
    bridge->boundary = lay_alloc((size_t)bridge->H, sizeof *bridge->boundary);
    if (!bridge->boundary)
        return lay_no_memory(err, "a boundary embedding");
    return lay_tensor_to_f32(tensor, bridge->boundary, err);
}
