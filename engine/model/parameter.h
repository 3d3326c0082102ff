/* Trainable tensors by name. */
#ifndef LAY_MODEL_PARAMETER_H
#define LAY_MODEL_PARAMETER_H

#include "engine/base/err.h"

#include <stddef.h>
#include <stdint.h>

enum lay_module { LAY_MODULE_BRIDGE, LAY_MODULE_LLM, LAY_MODULE_ENCODER };

/* One trainable tensor: a view of memory that the model's learner owns. */
struct lay_parameter {
    enum lay_module module;
    /* Bridge: as in the official whole-module checkpoint ("mapping.mlp.linear1.weight",
     * "mapping.end_boundary" [1, 1, H], "model_llm.model.model.layers.3.self_attn.adaption_gate" [1],
     * "lb.alignment.enc_eos" [H]). LLM and encoder: as in their Hugging Face directory
     * ("model.layers.0.self_attn.q_proj.weight", "lm_head.weight";
     * "encoder.block.0.layer.0.SelfAttention.q.weight", "shared.weight"; "model.encoder.layers.0.fc1.bias";
     * "roberta.encoder.layer.0.output.dense.weight"), though a directory may have other prefixes. */
    char name[104];
    int rank;
    int64_t shape[4];
    size_t count;
    float *value;    /* [count] f32, row-major: the master; write to it freely, then lay_trainable_refresh */
    float *gradient; /* [count] f32, to be read between collect and refresh */
};

struct lay_parameters {
    struct lay_parameter *items;
    size_t count, capacity;
};

/* prefix + name; rank 1 to 4. */
enum lay_status lay_parameter_add(struct lay_parameters *list, enum lay_module module, const char *prefix,
                                  const char *name, int rank, const int64_t *shape, float *value,
                                  float *gradient, struct lay_err *err);
void lay_parameters_free(struct lay_parameters *list);

#endif
