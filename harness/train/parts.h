/* The models that learn: configurations, tokenizers and checkpoints that a system file names. */
#ifndef LAY_HARNESS_TRAIN_PARTS_H
#define LAY_HARNESS_TRAIN_PARTS_H

#include "engine/system_file.h"
#include "engine/token/tokenizer.h"
#include "engine/train/save.h"
#include "harness/train/train.h"

struct lay_train_parts {
    struct lay_system_file file;
    struct lay_llm_config llm_config;
    struct lay_encoder_config encoder_config;
    struct lay_tokenizer *llm_tokenizer, *encoder_tokenizer; /* encoder NULL: plain */
    struct lay_checkpoint *llm, *encoder, *bridge;           /* encoder and bridge NULL: plain */
    int32_t eos;                                             /* what targets end with */
    bool train_bridge, train_llm, train_encoder, train_head; /* as asked for, else what the method trains */
    bool text_prompt; /* the LLM reads one: options, system file and stage together */
};

/* Opens everything and checks that options and method fit; of weights it loads, for a try, those of --init.
 * The bridge is --init's, else new. Close with lay_train_parts_close, also on failure. */
enum lay_status lay_train_parts_open(const struct lay_train_options *options, struct lay_train_parts *parts,
                                     struct lay_err *err);
void lay_train_parts_close(struct lay_train_parts *parts);

/* The same as the engine's training takes them. Borrows parts. */
struct lay_trainable_parts lay_train_parts_of(const struct lay_train_parts *parts);
struct lay_trainable_options lay_train_parts_options(const struct lay_train_parts *parts,
                                                     const struct lay_train_options *options);
struct lay_train_save lay_train_parts_save(const struct lay_train_parts *parts,
                                           const struct lay_train_options *options,
                                           const struct lay_trainable *trainable);

#endif
