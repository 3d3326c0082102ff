/* manifest.json of a training: everything that determines its result, and nothing else. */
#ifndef LAY_HARNESS_TRAIN_DESCRIBE_H
#define LAY_HARNESS_TRAIN_DESCRIBE_H

#include "engine/base/json.h"
#include "harness/train/parts.h"
#include "harness/train/samples.h"

/* Weights stand in it as a hash of names, shapes and the first bytes of every tensor: reading them all would
 * take as long as loading. Returns; free with cJSON_Delete. */
enum lay_status lay_train_describe(const struct lay_train_options *options,
                                   const struct lay_train_parts *parts, const struct lay_prompt_set *prompts,
                                   const struct lay_train_samples *samples,
                                   const struct lay_schedule *schedule, cJSON **manifest,
                                   struct lay_err *err);

#endif
