/* What a system is made of: shared by the parts of engine/system.h, system*.c. */
#ifndef LAY_ENGINE_SYSTEM_STATE_H
#define LAY_ENGINE_SYSTEM_STATE_H

#include "engine/dnn/invariance.h"
#include "engine/generate/workspace.h"
#include "engine/memory_plan.h"
#include "engine/system.h"
#include "engine/system_file.h"

enum lay_part_kind { LAY_PART_OF_ENCODER, LAY_PART_OF_BRIDGE, LAY_PART_OF_LLM, LAY_PART_KINDS };

struct lay_system {
    struct lay_system_file file;
    struct lay_system_options options;
    struct lay_llm_config llm_config;
    struct lay_encoder_config encoder_config;
    struct lay_tokenizer *llm_tokenizer, *encoder_tokenizer;
    struct lay_checkpoint *llm_checkpoint, *encoder_checkpoint, *bridge_checkpoint;
    struct lay_precision precision;
    size_t memory; /* for weights and pages together */
    /* after load */
    struct lay_dnn *dnn;
    struct lay_weights *weights[LAY_PART_KINDS]; /* NULL where there is no such part */
    struct lay_packed *packed[LAY_PART_KINDS];   /* what layers from the packed cache stand on */
    struct lay_str notes;
    struct lay_models models;
    struct lay_workspace workspace; /* of the models */
    struct lay_invariance invariance;
    struct lay_generate_stats stats;
};

static inline bool lay_system_is_plain(const struct lay_system *system)
{
    return system->file.bridge.method == LAY_PLAIN;
}

/* Sequences in flight at most. */
int64_t lay_system_batch_size(const struct lay_system *system);
struct lay_memory_needs lay_system_memory_needs(const struct lay_system *system);

#endif
