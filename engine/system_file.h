/* The system file: which models make up a system (models.md, Systems; README, "System files").
 *
 *   {"name": "layalign-metamath", "method": "layalign",
 *    "llm":     {"path": "MetaMath-7B-V1.0", "tokenizer": "…"},
 *    "encoder": {"path": "mt5-xl", "tokenizer": "…"},
 *    "bridge":  {"path": "layalign/pytorch_model.bin", "encoder_layers": [0, 1], "language_layers": [0],
 *                "structure": "Linear", "fusion": "learned", "gate": "scalar"},
 *    "prompt_set": "mindmerger", "max_new_tokens": 512, "dtype": "int8", "keep_bf16": "down_proj,lm_head",
 *    "soft_prompt": true, "text_prompt": true, "adapter_attention": true}
 *
 * Paths are relative to the file. The last three are the paper's ablations; unknown keys are refused. */
#ifndef LAY_ENGINE_SYSTEM_FILE_H
#define LAY_ENGINE_SYSTEM_FILE_H

#include "engine/base/dtype.h"
#include "engine/base/json.h"
#include "engine/bridge/bridge.h"

struct lay_system_file {
    char *name;
    char *llm_path,
        *llm_tokenizer; /* joined with the file's directory; tokenizer defaults to the model's path */
    char *encoder_path, *encoder_tokenizer;
    char *bridge_path;
    char *prompt_set;                 /* "" when not named */
    struct lay_bridge_options bridge; /* method, layers, form, no_adapter */
    bool soft_prompt, text_prompt;
    int64_t max_new_tokens; /* 0: not said */
    enum lay_dtype dtype;   /* LAY_DTYPE_COUNT: not said */
    uint32_t keep_bf16;     /* bits of precision.h */
};

enum lay_status lay_system_file_read(const char *path, struct lay_system_file *file, struct lay_err *err);
void lay_system_file_free(struct lay_system_file *file);

#endif
