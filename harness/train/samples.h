/* Training items as token ids, cut as the official code cuts them, and how they are split. */
#ifndef LAY_HARNESS_TRAIN_SAMPLES_H
#define LAY_HARNESS_TRAIN_SAMPLES_H

#include "engine/token/tokenizer.h"
#include "engine/train/trainable.h"
#include "harness/train/parts.h"
#include "tasks/train_data.h"

struct lay_train_samples {
    struct lay_train_set set;       /* where they come from; texts are freed once they are ids */
    struct lay_train_sample *items; /* [set.count]; ids in `ids` */
    struct lay_ids ids;
    uint32_t *order; /* [set.count]: the first n_dev are the dev set, the others what an epoch goes through */
    size_t n_dev, n_train;
    int64_t cut; /* sources and prompts that were longer than the limit */
};

/* Reads and tokenises everything. A target longer than the limit is refused with its place, unless
 * options->cut_targets, and so is a token that its model does not have. Free with lay_train_samples_free,
 * also on failure. */
enum lay_status lay_train_samples_read(const struct lay_train_options *options,
                                       const struct lay_train_parts *parts,
                                       const struct lay_prompt_set *prompts,
                                       struct lay_train_samples *samples, struct lay_err *err);
void lay_train_samples_free(struct lay_train_samples *samples);

/* The training samples' indices in the order of that epoch, [n_train]. */
void lay_train_samples_order(const struct lay_train_samples *samples, uint64_t seed, int64_t epoch,
                             uint32_t *order);

#endif
