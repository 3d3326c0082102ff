/* A bridge before training, as a checkpoint without a file: linear layers as PyTorch makes them (weights and
 * biases uniform within ±1/√inputs), gates and end_boundary 0, LangBridge's enc_eos normal. */
#ifndef LAY_TRAIN_BRIDGE_INIT_H
#define LAY_TRAIN_BRIDGE_INIT_H

#include "engine/bridge/bridge.h"

/* Layers that `options` does not name: all of the encoder's blocks' inputs (0 … layers − 1), all of the
 * LLM's. LAY_ERR_INPUT for layers that the models do not have. The numbers depend on seed, tensor and sizes
 * alone. Returns; free with lay_checkpoint_close. */
enum lay_status lay_bridge_init(const struct lay_bridge_options *options,
                                const struct lay_encoder_config *encoder, const struct lay_llm_config *llm,
                                uint64_t seed, struct lay_checkpoint **checkpoint, struct lay_err *err);

#endif
