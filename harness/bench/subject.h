/* What is measured: an LLM, an encoder, or a whole system, loaded on the engine's usual path. Weights come
 * from files or are made in memory from named shapes. */
#ifndef LAY_HARNESS_BENCH_SUBJECT_H
#define LAY_HARNESS_BENCH_SUBJECT_H

#include "engine/generate/generate.h"
#include "engine/generate/workspace.h"
#include "engine/pack_cache.h"
#include "engine/shape/shapes.h"
#include "engine/system.h"

/* Which one. Strings are borrowed. Either system, or model, or shapes. */
struct lay_subject_source {
    const char *system;                    /* a system file */
    const char *model;                     /* a directory of an LLM or an encoder */
    const struct lay_shape *llm, *encoder; /* one of them, or both with a bridge */
    enum lay_method method;                /* of both */
    uint64_t seed;
    const char
        *cache_dir; /* of system or model: packed weights are kept there and mapped from there; or NULL */
};

struct lay_subject {
    char name[160]; /* "tinyllama-1.1b", "mt5-small + layalign + tinyllama-1.1b" */
    enum lay_dtype dtype;
    struct lay_models models; /* llm NULL: an encoder alone */
    double load_seconds;      /* packing, without the making of random numbers */
    size_t table_bytes;       /* random embedding tables, which a model directory would leave in its file */
    struct lay_workspace workspace;
    /* what the models stand on */
    struct lay_dnn *dnn;
    struct lay_system *system;
    struct lay_checkpoint *checkpoints[3];
    struct lay_weights *weights[3];
    struct lay_packed *packed; /* of a model directory, when the cache has it */
    struct lay_str notes;      /* lines for the user about the packed cache */
    double make_seconds;
};

/* A shape by name; LAY_ERR_USAGE with the list of names when there is none. */
enum lay_status lay_subject_shape(const char *name, const struct lay_shape **shape, struct lay_err *err);
bool lay_shape_is_encoder(const struct lay_shape *shape);

/* Configurations of what a source names; those of parts it has not are zero. */
struct lay_subject_configs {
    struct lay_llm_config llm;
    struct lay_encoder_config encoder;
};
/* The checkpoints [LLM, encoder, bridge] and configurations of a source of shapes, nothing loaded: what
 * training starts from. *subject is complete or {0}; lay_subject_close accepts {0}. */
enum lay_status lay_subject_open_shapes(const struct lay_subject_source *source, enum lay_dtype dtype,
                                        struct lay_subject *subject, struct lay_subject_configs *configs,
                                        struct lay_err *err);

/* Loads it. *subject is complete or {0}; lay_subject_close accepts {0}. */
enum lay_status lay_subject_open(const struct lay_subject_source *source, enum lay_dtype dtype,
                                 struct lay_subject *subject, struct lay_err *err);
void lay_subject_close(struct lay_subject *subject);

size_t lay_subject_packed_bytes(const struct lay_subject *subject);

#endif
