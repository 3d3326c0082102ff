/* What a stopped training run goes on from: DIR/state.safetensors with the f32 values and both moments of
 * every trainable tensor, the log and the best dev loss so far. With the order of samples being a function of
 * seed and epoch, nothing else is needed to go on to the bit. */
#ifndef LAY_HARNESS_TRAIN_STATE_H
#define LAY_HARNESS_TRAIN_STATE_H

#include "engine/train/trainable.h"
#include "harness/train/log.h"

struct lay_train_state {
    struct lay_trainable *trainable; /* borrowed: its values are part of the state */
    float **first, **second;         /* [count of parameters] moments, zeros at first */
    struct lay_train_log log;        /* as many rows as steps are done */
    double best;                     /* lowest dev loss; infinity: none yet */
    int64_t saved;                   /* step of the state on the disk; −1: none */
};

/* All zeros, with memory for the moments. Free with lay_train_state_free, also on failure. */
enum lay_status lay_train_state_begin(struct lay_trainable *trainable, struct lay_train_state *state,
                                      struct lay_err *err);
/* Takes over what DIR holds; nothing when it holds no state. A damaged state is LAY_ERR_INPUT. The trainable
 * must be refreshed afterwards. */
enum lay_status lay_train_state_load(struct lay_train_state *state, const char *dir, struct lay_err *err);
bool lay_train_state_exists(const char *dir);
enum lay_status lay_train_state_save(struct lay_train_state *state, const char *dir, struct lay_err *err);
void lay_train_state_free(struct lay_train_state *state);

#endif
