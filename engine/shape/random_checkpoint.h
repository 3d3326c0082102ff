/* Named shapes as checkpoints without files: the random numbers that make-model would write, made when a
 * tensor is read. So a benchmark loads them on the path that real weights take. */
#ifndef LAY_SHAPE_RANDOM_CHECKPOINT_H
#define LAY_SHAPE_RANDOM_CHECKPOINT_H

#include "engine/shape/shapes.h"
#include "engine/store/checkpoint.h"

/* Borrows nothing; free with lay_checkpoint_close. *make_seconds (may be NULL, else lives as long as the
 * checkpoint) grows by the time it takes to make numbers, which is no part of loading. Embedding tables stay
 * in memory, as they would in their file; all other tensors go once they are packed. */
enum lay_status lay_checkpoint_random(const char *name, const struct lay_shape_tensors *tensors,
                                      uint64_t seed, enum lay_dtype dtype, double *make_seconds,
                                      struct lay_checkpoint **checkpoint, struct lay_err *err);

#endif
