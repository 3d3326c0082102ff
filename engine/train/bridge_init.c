#include "engine/train/bridge_init.h"

#include "engine/base/mem.h"
#include "engine/shape/shapes.h"
#include "engine/train/order.h"

#include <math.h>
#include <string.h>

#define FIRST_TENSOR ((uint64_t)1 << 31) /* numbers of random streams below are the epochs' */

enum fill { ZERO, NORMAL, UNIFORM };

static const struct {
    const char *end; /* of the tensor's name */
    enum fill fill;
} fills[] = {{"adaption_gate", ZERO},
             {"adaption_gate.weight", ZERO},
             {"adaption_gate.bias", ZERO},
             {"end_boundary", ZERO},
             {"enc_eos", NORMAL},
             {".weight", UNIFORM},
             {".bias", UNIFORM}};

struct init {
    struct lay_shape_tensors shapes;
    uint64_t seed;
};

static bool ends_with(const char *name, const char *end)
{
    const size_t length = strlen(name), n = strlen(end);
    return length >= n && strcmp(name + length - n, end) == 0;
}

/* Inputs of the layer that a weight or bias belongs to: the bias goes by the weight beside it. */
static double inputs_of(const struct lay_shape_tensors *shapes, const char *name)
{
    const char *dot = strrchr(name, '.');
    const size_t stem = dot ? (size_t)(dot - name) : strlen(name);
    for (size_t i = 0; i < shapes->count; i++) {
        const struct lay_shape_tensor *other = &shapes->items[i];
        if (other->rank == 2 && strncmp(other->name, name, stem) == 0 &&
            strcmp(other->name + stem, ".weight") == 0)
            return (double)other->shape[1];
    }
    return 1;
}

static void fill_uniform(float *values, size_t count, uint64_t state, double half_width)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(half_width * (2 * lay_random_unit(&state) - 1));
}

/* Box and Muller's transform, one of its two numbers. */
static void fill_normal(float *values, size_t count, uint64_t state)
{
    for (size_t i = 0; i < count; i++) {
        const double radius = sqrt(-2 * log(1 - lay_random_unit(&state)));
        values[i] = (float)(radius * cos(6.283185307179586 * lay_random_unit(&state)));
    }
}

static void make(void *context, const struct lay_tensor *tensor)
{
    const struct init *init = context;
    float *values = (float *)(uintptr_t)tensor->data; /* zeros so far */
    for (size_t i = 0; i < init->shapes.count; i++) {
        if (strcmp(init->shapes.items[i].name, tensor->name) != 0)
            continue;
        const uint64_t state = lay_random_state(init->seed, FIRST_TENSOR + i);
        for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
            if (!ends_with(tensor->name, fills[f].end))
                continue;
            if (fills[f].fill == NORMAL)
                fill_normal(values, tensor->count, state);
            else if (fills[f].fill == UNIFORM)
                fill_uniform(values, tensor->count, state, 1 / sqrt(inputs_of(&init->shapes, tensor->name)));
            return;
        }
    }
}

static bool keeps(void *context, const struct lay_tensor *tensor)
{
    (void)context;
    (void)tensor;
    return true;
}

static void destroy(void *context)
{
    struct init *init = context;
    lay_shape_tensors_free(&init->shapes);
    lay_free(init);
}

static enum lay_status check_layers(const char *what, const int64_t *layers, int64_t count, int64_t limit,
                                    struct lay_err *err)
{
    for (int64_t i = 0; i < count; i++)
        if (layers[i] < 0 || layers[i] >= limit)
            return lay_fail(err, LAY_ERR_INPUT, "%s: there is no %lld; the model has 0 to %lld", what,
                            (long long)layers[i], (long long)limit - 1);
    return LAY_OK;
}

static enum lay_status shape_of(const struct lay_bridge_options *options,
                                const struct lay_encoder_config *encoder, const struct lay_llm_config *llm,
                                int64_t language_layers[LAY_BRIDGE_MAX_LAYERS],
                                struct lay_bridge_shape *shape, struct lay_err *err)
{
    static const enum lay_family families[LAY_METHOD_COUNT] = {[LAY_LANGBRIDGE] = LAY_FAMILY_LANGBRIDGE,
                                                               [LAY_MINDMERGER] = LAY_FAMILY_MINDMERGER,
                                                               [LAY_LAYALIGN] = LAY_FAMILY_LAYALIGN};
    if (llm->num_hidden_layers > LAY_BRIDGE_MAX_LAYERS)
        return lay_fail(err, LAY_ERR_INPUT, "the LLM has %lld layers; a bridge can have %d",
                        (long long)llm->num_hidden_layers, LAY_BRIDGE_MAX_LAYERS);
    const bool all = options->n_language_layers < 0;
    const int *form = options->form.value;
    *shape = (struct lay_bridge_shape){
        .family = families[options->method],
        .encoder_hidden = encoder->hidden_size,
        .llm_hidden = llm->hidden_size,
        .encoder_layers =
            options->n_encoder_layers < 0 ? encoder->num_hidden_layers : options->n_encoder_layers,
        .language_layers = language_layers,
        .n_language_layers = all ? llm->num_hidden_layers : options->n_language_layers,
        .mlp = form[LAY_FORM_STRUCTURE] == LAY_STRUCTURE_MLP,
        .wide = form[LAY_FORM_STRUCTURE] == LAY_STRUCTURE_WIDE,
        .average = form[LAY_FORM_FUSION] == LAY_FUSION_AVERAGE,
        .hidden_gates = form[LAY_FORM_GATE] == LAY_GATE_HIDDEN};
    for (int64_t i = 0; i < shape->n_language_layers; i++)
        language_layers[i] = all ? i : options->language_layers[i];
    LAY_TRY(check_layers("encoder_layers", options->encoder_layers, options->n_encoder_layers,
                         encoder->num_hidden_layers + 1, err));
    return check_layers("language_layers", language_layers, shape->n_language_layers, llm->num_hidden_layers,
                        err);
}

enum lay_status lay_bridge_init(const struct lay_bridge_options *options,
                                const struct lay_encoder_config *encoder, const struct lay_llm_config *llm,
                                uint64_t seed, struct lay_checkpoint **checkpoint, struct lay_err *err)
{
    int64_t layers[LAY_BRIDGE_MAX_LAYERS];
    struct lay_bridge_shape shape;
    struct lay_tensor *tensors = NULL;
    *checkpoint = NULL;
    LAY_TRY(shape_of(options, encoder, llm, layers, &shape, err));
    struct init *init = lay_alloc(1, sizeof *init);
    if (!init)
        return lay_no_memory(err, "a bridge");
    init->seed = seed;
    enum lay_status status = lay_bridge_shape_tensors(&shape, &init->shapes, err);
    if (status == LAY_OK && !(tensors = lay_alloc(init->shapes.count, sizeof *tensors)))
        status = lay_no_memory(err, "a bridge");
    for (size_t i = 0; status == LAY_OK && i < init->shapes.count; i++) {
        const struct lay_shape_tensor *from = &init->shapes.items[i];
        tensors[i] = (struct lay_tensor){.name = from->name, .dtype = LAY_F32, .rank = from->rank};
        memcpy(tensors[i].shape, from->shape, sizeof from->shape);
    }
    if (status != LAY_OK) {
        destroy(init);
        lay_free(tensors);
        return status;
    }
    const struct lay_tensor_maker maker = {.make = make, .keeps = keeps, .destroy = destroy, .context = init};
    status = lay_checkpoint_make("the new bridge", tensors, init->shapes.count, &maker, checkpoint, err);
    lay_free(tensors);
    return status;
}
