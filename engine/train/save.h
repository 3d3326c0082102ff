/* Checkpoints of a training run, in the files that `layeval run` and the official code read.
 *
 *   DIR/bridge/model.safetensors     the bridge, under its official names
 *   DIR/bridge/pytorch_model.bin     instead, as torch.save writes it: LayAlign and LangBridge the whole
 * module (encoder, LLM, bridge), MindMerger {"model_state_dict": mapping} DIR/bridge/config.json LangBridge
 *   DIR/llm/, DIR/encoder/           trained ones: a Hugging Face directory with configuration and tokenizer,
 *                                    its tensors called as in the one they came from; what is no part of the
 *                                    encoder (a decoder, heads) stays as it was
 *
 * Every file is complete before it has its name. */
#ifndef LAY_TRAIN_SAVE_H
#define LAY_TRAIN_SAVE_H

#include "engine/train/trainable.h"

struct lay_train_save {
    const struct lay_trainable *trainable;
    enum lay_method method;
    /* Tensors that are not trained; encoder and bridge NULL for plain. Of the bridge those that an ablation
     * leaves out of the training, so that the checkpoint is whole. */
    const struct lay_checkpoint *llm, *encoder, *bridge;
    const char *llm_dir, *encoder_dir; /* whose other files go with trained models */
    enum lay_dtype dtype;              /* of trained tensors: f32, f16, bf16 */
    bool bin;                          /* pytorch_model.bin for the bridge */
};

enum lay_status lay_train_save(const struct lay_train_save *save, const char *dir, struct lay_err *err);

#endif
