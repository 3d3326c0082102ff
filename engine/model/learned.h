/* Linear layers under training, frozen or trainable: what the learners of LLM, encoder and bridge share.
 *
 * A trainable layer has an f32 master of its weights, from which the packed forms for y = x Wᵀ and dx = dy W
 * are made anew when it has changed. A frozen layer's dx = dy W is made from its packed weights: kept, or
 * made each time it is needed, in one room per shape. */
#ifndef LAY_MODEL_LEARNED_H
#define LAY_MODEL_LEARNED_H

#include "engine/dnn/gradient.h"
#include "engine/model/load.h"
#include "engine/model/parameter.h"

#define LAY_LEARNED_ROOMS 16

/* Shared by all layers of a trainable. */
struct lay_learning {
    struct lay_dnn *dnn; /* borrowed */
    enum lay_dtype compute;
    bool keep_transposed;                        /* of frozen layers; else made when needed */
    struct lay_linear *rooms[LAY_LEARNED_ROOMS]; /* transposed layers made when needed, one per shape */
    int n_rooms;
    struct lay_parameters parameters;
};
void lay_learning_free(struct lay_learning *learning);

struct lay_learned {
    struct lay_linear *forward; /* borrowed from the model */
    struct lay_linear *back;    /* of Wᵀ; NULL: made when needed */
    int64_t out, in;
    float *weight, *weight_gradient; /* [out, in]; NULL: frozen */
    float *bias, *bias_gradient;     /* [out]; NULL: frozen or none */
};

/* Reads the masters of prefix + part + ".weight" (and ".bias"), each part [out, in], one below the other. To
 * be called before the model is loaded: a checkpoint may give its data back once they are packed. */
enum lay_status lay_learned_read(struct lay_learned *learned, const struct lay_loader *loader,
                                 const char *prefix, const char *const *parts, int64_t out, int64_t in,
                                 bool bias, struct lay_err *err);
/* The packed layer of the loaded model. */
enum lay_status lay_learned_attach(struct lay_learned *learned, struct lay_learning *learning,
                                   struct lay_linear *forward, struct lay_err *err);
/* Lists the parts of a trainable layer as official + prefix + part + ".weight", ".bias". */
enum lay_status lay_learned_list(struct lay_learned *learned, struct lay_learning *learning,
                                 enum lay_module module, const char *official, const char *prefix,
                                 const char *const *parts, struct lay_err *err);
/* Packs the masters anew; nothing for a frozen layer. */
enum lay_status lay_learned_refresh(struct lay_learned *learned, struct lay_err *err);
void lay_learned_free(struct lay_learned *learned);

/* Rows of an activation, cut into the pieces whose part of a weight's gradient is one product. */
struct lay_pieces {
    struct lay_segment *items;
    size_t count, capacity;
};
#define LAY_PIECE_ROWS 256
/* Sequences one after the other, none longer than piece_rows per piece. Replaces what was there. */
enum lay_status lay_pieces_cut(struct lay_pieces *pieces, const int64_t *lengths, int64_t n,
                               int64_t piece_rows, struct lay_err *err);
void lay_pieces_free(struct lay_pieces *pieces);

/* dW += dyᵀ x and db += Σ dy of a trainable layer, piece by piece; nothing for a frozen one. */
enum lay_status lay_learned_weights(const struct lay_learned *learned, struct lay_learning *learning,
                                    const float *x, const float *dy, const struct lay_segment *pieces,
                                    size_t n, struct lay_err *err);
/* dx [rows, in] = dy W, or += with accumulate. */
enum lay_status lay_learned_inputs(const struct lay_learned *learned, struct lay_learning *learning,
                                   const float *dy, float *dx, int64_t rows, bool accumulate,
                                   struct lay_err *err);

#endif
