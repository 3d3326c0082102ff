/* layeval train: from a system file and training data to checkpoints.
 *
 *   options.c (cmd_train.c)  the command line and presets
 *   samples.c   training items as token ids
 *   parts.c     the models that learn, from the system file
 *   state.c     what a stopped run goes on from
 *   history.c   the losses of all stages, for reports
 *   log.c       one row per step: log.csv, log.json, loss.svg
 *   train.c     the loop */
#ifndef LAY_HARNESS_TRAIN_H
#define LAY_HARNESS_TRAIN_H

#include "engine/base/dtype.h"
#include "engine/train/optimizer.h"
#include "engine/train/schedule.h"
#include "harness/options.h"

struct lay_train_options {
    const char *system;  /* system file */
    bool translation;    /* stage: source to English target, else a task */
    const char *data;    /* folder, or a file of JSON lines */
    const char *out;     /* run directory */
    const char *init;    /* bridge to start from; NULL: a new one */
    const char *prompts; /* prompt set; NULL: the system file's */
    struct lay_option_list tasks, languages;
    int64_t limit;                      /* items a language; 0: all */
    int64_t dev;                        /* samples held out; 0: none */
    bool text_prompt, text_prompt_said; /* the LLM reads one; not said: unless the system file says no */
    bool train_bridge, train_llm, train_encoder, train_head;

    int64_t epochs, steps; /* steps 0: epochs of the data */
    int64_t batch;         /* samples of an optimiser step */
    int64_t official_micro_batch;
    struct lay_schedule schedule; /* kind and rate; the rest follows from the data */
    double warm_up;               /* share of the steps */
    struct lay_adamw adamw;
    double clip;
    double dropout; /* of what the bridge gives the LLM */
    int64_t seed;
    int64_t source_length, prompt_length, target_length; /* tokens, special ones included */
    bool cut_targets;

    enum lay_dtype compute, save_dtype;
    bool bin;
    int64_t save_every, dev_every; /* steps; 0: every epoch */
    size_t memory;
    int64_t pass_rows;
    bool dry_run, quiet;
};

enum lay_status lay_train(const struct lay_train_options *options, struct lay_err *err);

#endif
