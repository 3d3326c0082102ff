#include "harness/bench/subject.h"

#include "engine/base/clock.h"
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/shape/random_checkpoint.h"

#include <stdio.h>
#include <string.h>

enum { LLM, ENCODER, BRIDGE };

bool lay_shape_is_encoder(const struct lay_shape *shape)
{
    return shape->family == LAY_FAMILY_MT5 || shape->family == LAY_FAMILY_M2M100 ||
           shape->family == LAY_FAMILY_XLMR;
}

enum lay_status lay_subject_shape(const char *name, const struct lay_shape **shape, struct lay_err *err)
{
    struct lay_str names = {0};
    *shape = lay_shape_find(name);
    if (*shape)
        return LAY_OK;
    for (size_t i = 0; i < lay_shape_count(); i++)
        lay_str_printf(&names, "%s%s", i ? ", " : "", lay_shape_at(i)->name);
    const enum lay_status status =
        lay_fail(err, LAY_ERR_USAGE, "no shape is called \"%s\"; there are %s", name, lay_str_text(&names));
    lay_str_free(&names);
    return status;
}

/* --- shapes --- */

/* A shape's config.json goes through the reader that real ones go through. */
static enum lay_status shape_config(const struct lay_shape *shape, enum lay_dtype dtype,
                                    struct lay_subject_configs *parts, struct lay_err *err)
{
    struct lay_str config = {0}, generation = {0};
    enum lay_status status = lay_shape_config(shape, dtype, &config, &generation, err);
    const char *text = lay_str_text(&config);
    if (status == LAY_OK && lay_shape_is_encoder(shape))
        status = lay_encoder_config_parse(shape->name, text, config.length, &parts->encoder, err);
    else if (status == LAY_OK)
        status = lay_llm_config_parse(shape->name, text, config.length, &parts->llm, err);
    lay_str_free(&config);
    lay_str_free(&generation);
    return status;
}

static size_t table_bytes(const struct lay_checkpoint *checkpoint)
{
    size_t bytes = 0;
    for (size_t i = 0; i < lay_checkpoint_count(checkpoint); i++) {
        const struct lay_tensor *tensor = lay_checkpoint_at(checkpoint, i);
        bytes += tensor->maker->keeps(tensor->maker->context, tensor) ? tensor->bytes : 0;
    }
    return bytes;
}

static enum lay_status random_checkpoint(struct lay_subject *s, int which, const char *name, uint64_t seed,
                                         struct lay_shape_tensors *tensors, struct lay_err *err)
{
    /* f32 weights are stored as such; narrower ones as people publish them */
    const enum lay_dtype stored = s->dtype == LAY_F32 ? LAY_F32 : LAY_BF16;
    const enum lay_status status = lay_checkpoint_random(name, tensors, seed + (uint64_t)which, stored,
                                                         &s->make_seconds, &s->checkpoints[which], err);
    lay_shape_tensors_free(tensors);
    if (status == LAY_OK)
        s->table_bytes += table_bytes(s->checkpoints[which]);
    return status;
}

static enum lay_status open_shape(struct lay_subject *s, const struct lay_shape *shape, uint64_t seed,
                                  struct lay_subject_configs *parts, struct lay_err *err)
{
    struct lay_shape_tensors tensors;
    LAY_TRY(shape_config(shape, lay_precision_rows(lay_precision_of(s->dtype)), parts, err));
    LAY_TRY(lay_shape_tensors(shape, &tensors, err));
    return random_checkpoint(s, lay_shape_is_encoder(shape) ? ENCODER : LLM, shape->name, seed, &tensors,
                             err);
}

/* All layers of the encoder are fused, all layers of the LLM have a gate. */
static enum lay_status open_bridge(struct lay_subject *s, const struct lay_subject_source *source,
                                   const struct lay_subject_configs *parts, struct lay_err *err)
{
    static const enum lay_family families[LAY_METHOD_COUNT] = {[LAY_LANGBRIDGE] = LAY_FAMILY_LANGBRIDGE,
                                                               [LAY_MINDMERGER] = LAY_FAMILY_MINDMERGER,
                                                               [LAY_LAYALIGN] = LAY_FAMILY_LAYALIGN};
    int64_t layers[LAY_BRIDGE_MAX_LAYERS];
    struct lay_shape_tensors tensors;
    const int64_t n = parts->llm.num_hidden_layers;
    for (int64_t i = 0; i < n && i < LAY_BRIDGE_MAX_LAYERS; i++)
        layers[i] = i;
    const struct lay_bridge_shape shape = {
        .family = families[source->method],
        .encoder_hidden = parts->encoder.hidden_size,
        .llm_hidden = parts->llm.hidden_size,
        .encoder_layers = parts->encoder.num_hidden_layers,
        .language_layers = layers,
        .n_language_layers = n < LAY_BRIDGE_MAX_LAYERS ? n : LAY_BRIDGE_MAX_LAYERS,
    };
    LAY_TRY(lay_bridge_shape_tensors(&shape, &tensors, err));
    return random_checkpoint(s, BRIDGE, lay_method_name(source->method), source->seed, &tensors, err);
}

/* --- directories --- */

/* An encoder if its configuration says so, else an LLM. */
static enum lay_status open_model(struct lay_subject *s, const char *dir, struct lay_subject_configs *parts,
                                  struct lay_err *err)
{
    int which = ENCODER;
    if (lay_encoder_config_read(dir, &parts->encoder, NULL) != LAY_OK) {
        which = LLM;
        LAY_TRY(lay_llm_config_read(dir, &parts->llm, err));
    }
    return lay_checkpoint_open(dir, &s->checkpoints[which], err);
}

/* --- loading --- */

/* What a part is loaded from. */
struct loading {
    struct lay_subject *subject;
    const struct lay_subject_configs *parts;
    const char *cache_dir;
};

static enum lay_status load_encoder(void *context, struct lay_err *err)
{
    const struct loading *l = context;
    struct lay_subject *s = l->subject;
    return lay_encoder_load(s->dnn, &l->parts->encoder, s->weights[ENCODER], lay_precision_of(s->dtype),
                            &s->models.encoder, err);
}

static enum lay_status load_llm(void *context, struct lay_err *err)
{
    const struct loading *l = context;
    struct lay_subject *s = l->subject;
    return lay_llm_load(s->dnn, &l->parts->llm, s->weights[LLM], lay_precision_of(s->dtype), &s->models.llm,
                        err);
}

/* Random weights are in no cache: cache_dir is NULL for them. */
static enum lay_status load_part(struct loading *l, int which, struct lay_err *err)
{
    static enum lay_status (*const load[])(void *,
                                           struct lay_err *) = {[LLM] = load_llm, [ENCODER] = load_encoder};
    static const char *const names[] = {[LLM] = "llm", [ENCODER] = "encoder"};
    struct lay_subject *s = l->subject;
    const struct lay_cached_part part = {names[which], s->weights[which], lay_precision_of(s->dtype),
                                         load[which], l};
    return l->cache_dir ? lay_pack_cache_load(l->cache_dir, &part, &s->packed, &s->notes, err)
                        : part.load(l, err);
}

static enum lay_status load_bridge(struct lay_subject *s, const struct lay_subject_configs *parts,
                                   enum lay_method method, struct lay_err *err)
{
    const struct lay_bridge_options options = {
        .method = method, .n_encoder_layers = -1, .n_language_layers = -1};
    LAY_TRY(lay_weights_create(&s->weights[BRIDGE], err));
    LAY_TRY(lay_bridge_sources(s->weights[BRIDGE], method, s->checkpoints[BRIDGE], err));
    return lay_bridge_load(s->dnn, &options, s->weights[BRIDGE], &parts->encoder, &parts->llm,
                           lay_precision_of(s->dtype), &s->models.bridge, err);
}

static enum lay_status open_parts(struct lay_subject *s, const struct lay_subject_source *source,
                                  struct lay_subject_configs *parts, struct lay_err *err)
{
    if (source->model)
        return open_model(s, source->model, parts, err);
    if (source->encoder)
        LAY_TRY(open_shape(s, source->encoder, source->seed, parts, err));
    if (source->llm)
        LAY_TRY(open_shape(s, source->llm, source->seed, parts, err));
    return source->encoder && source->llm ? open_bridge(s, source, parts, err) : LAY_OK;
}

static enum lay_status load(struct lay_subject *s, const struct lay_subject_source *source,
                            struct lay_err *err)
{
    struct lay_subject_configs parts = {0};
    const enum lay_method method = source->encoder && source->llm ? source->method : LAY_PLAIN;
    LAY_TRY(lay_dnn_create(&s->dnn, err));
    LAY_TRY(open_parts(s, source, &parts, err));
    struct loading loading = {s, &parts, source->cache_dir};
    if (s->checkpoints[ENCODER]) {
        LAY_TRY(lay_weights_create(&s->weights[ENCODER], err));
        LAY_TRY(lay_encoder_sources(s->weights[ENCODER], method, s->checkpoints[ENCODER],
                                    s->checkpoints[BRIDGE], err));
        LAY_TRY(load_part(&loading, ENCODER, err));
    }
    if (s->checkpoints[BRIDGE])
        LAY_TRY(load_bridge(s, &parts, method, err));
    if (!s->checkpoints[LLM])
        return LAY_OK;
    LAY_TRY(lay_weights_create(&s->weights[LLM], err));
    LAY_TRY(lay_llm_sources(s->weights[LLM], method, s->checkpoints[LLM], s->checkpoints[BRIDGE], err));
    return load_part(&loading, LLM, err);
}

static enum lay_status load_system(struct lay_subject *s, const struct lay_subject_source *source,
                                   struct lay_err *err)
{
    const struct lay_system_options options = {.dtype = s->dtype, .cache_dir = source->cache_dir};
    LAY_TRY(lay_system_open(source->system, &options, &s->system, err));
    LAY_TRY(lay_system_load(s->system, NULL, NULL, err));
    lay_str_puts(&s->notes, lay_system_notes(s->system));
    s->models = *lay_system_models(s->system);
    return LAY_OK;
}

static void set_name(struct lay_subject *s, const struct lay_subject_source *source)
{
    if (source->system)
        snprintf(s->name, sizeof s->name, "%s", lay_system_name(s->system));
    else if (source->model)
        snprintf(s->name, sizeof s->name, "%s", lay_path_basename(source->model));
    else if (source->encoder && source->llm)
        snprintf(s->name, sizeof s->name, "%s+%s+%s", source->encoder->name, lay_method_name(source->method),
                 source->llm->name);
    else
        snprintf(s->name, sizeof s->name, "%s", (source->llm ? source->llm : source->encoder)->name);
}

enum lay_status lay_subject_open(const struct lay_subject_source *source, enum lay_dtype dtype,
                                 struct lay_subject *subject, struct lay_err *err)
{
    const double start = lay_clock_now();
    *subject = (struct lay_subject){.dtype = dtype, .models.workspace = &subject->workspace};
    const enum lay_status status =
        source->system ? load_system(subject, source, err) : load(subject, source, err);
    if (status != LAY_OK) {
        lay_subject_close(subject);
        return status;
    }
    set_name(subject, source);
    subject->load_seconds = lay_clock_now() - start - subject->make_seconds;
    return LAY_OK;
}

enum lay_status lay_subject_open_shapes(const struct lay_subject_source *source, enum lay_dtype dtype,
                                        struct lay_subject *subject, struct lay_subject_configs *configs,
                                        struct lay_err *err)
{
    *subject = (struct lay_subject){.dtype = dtype};
    *configs = (struct lay_subject_configs){0};
    const enum lay_status status = open_parts(subject, source, configs, err);
    if (status != LAY_OK)
        lay_subject_close(subject);
    else
        set_name(subject, source);
    return status;
}

void lay_subject_close(struct lay_subject *s)
{
    lay_workspace_free(&s->workspace);
    if (!s->system) {
        lay_bridge_destroy(s->models.bridge);
        lay_encoder_destroy(s->models.encoder);
        lay_llm_destroy(s->models.llm);
    }
    lay_system_close(s->system);
    lay_packed_close(s->packed);
    lay_str_free(&s->notes);
    lay_dnn_destroy(s->dnn);
    for (int i = 0; i < 3; i++) {
        lay_weights_destroy(s->weights[i]);
        lay_checkpoint_close(s->checkpoints[i]);
    }
    *s = (struct lay_subject){0};
}

size_t lay_subject_packed_bytes(const struct lay_subject *s)
{
    return (s->models.llm ? lay_llm_bytes(s->models.llm) : 0) +
           (s->models.encoder ? lay_encoder_bytes(s->models.encoder) : 0) +
           (s->models.bridge ? lay_bridge_bytes(s->models.bridge) : 0);
}
