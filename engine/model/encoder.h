/* Multilingual encoders: mT5 family, M2M100/NLLB, XLM-R. One table row per family in encoder.c. */
#ifndef LAY_MODEL_ENCODER_H
#define LAY_MODEL_ENCODER_H

#include "engine/dnn/linear.h"
#include "engine/model/config.h"
#include "engine/model/precision.h"
#include "engine/store/weights.h"

struct lay_encoder;

/* Packs the weights (names as inside the encoder: "block.0.layer.0.SelfAttention.q.weight", …).
 * Borrows dnn, and the checkpoints behind `weights` for the life of the encoder (embeddings stay mapped). */
enum lay_status lay_encoder_load(struct lay_dnn *dnn, const struct lay_encoder_config *config,
                                 struct lay_weights *weights, struct lay_precision precision,
                                 struct lay_encoder **encoder, struct lay_err *err);
void lay_encoder_destroy(struct lay_encoder *encoder); /* accepts NULL */
/* Elements of the matrices of its blocks, for a plan of memory. */
double lay_encoder_elements(const struct lay_encoder_config *config);
const struct lay_encoder_config *lay_encoder_config(const struct lay_encoder *encoder);
size_t lay_encoder_bytes(const struct lay_encoder *encoder); /* packed weights */

/* Several sequences one after the other. */
struct lay_encoder_batch {
    const int32_t *ids;     /* [rows] */
    const int64_t *lengths; /* [n_seqs], their sum is rows */
    const int64_t
        *valid; /* [n_seqs] keys that count in each, the rest being pads (--official-batch); NULL: all */
    int64_t n_seqs;
};

/* hidden[i], i = 0 … num_hidden_layers: [rows, hidden_size] f32 buffers of the caller, NULL where a state is
 * not wanted. hidden[0] is the embedding output, hidden[i] the input of block i, hidden[last] the output
 * after the final norm. */
enum lay_status lay_encoder_forward(struct lay_encoder *encoder, const struct lay_encoder_batch *batch,
                                    float *const *hidden, struct lay_err *err);

#endif
