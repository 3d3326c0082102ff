/* Named settings: the released hyper-parameters of the papers; preset.c says where each was read. */
#ifndef LAY_HARNESS_TRAIN_PRESET_H
#define LAY_HARNESS_TRAIN_PRESET_H

#include "harness/train/train.h"

/* What all presets of a paper share. */
struct lay_train_recipe {
    const char *schedule;
    double warm_up; /* share of the steps */
    double clip;    /* largest norm of the gradients; 0: no limit */
    int64_t dev;    /* samples held out */
};

/* What a preset sets; options given beside it win. */
struct lay_train_preset {
    const char *name;
    const struct lay_train_recipe *recipe;
    const char *stage;
    const char *tasks, *languages; /* lists separated by commas; NULL: not said */
    double learning_rate;
    int64_t limit;  /* items a language */
    int64_t length; /* tokens of source, prompt and target */
};

size_t lay_train_preset_count(void);
const struct lay_train_preset *lay_train_preset_at(size_t index);
/* LAY_ERR_USAGE with the names when unknown. */
enum lay_status lay_train_preset_find(const char *name, const struct lay_train_preset **preset,
                                      struct lay_err *err);

#endif
