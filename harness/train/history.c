#include "harness/train/history.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <stdio.h>

enum lay_status lay_train_history_open(const struct lay_train_options *options,
                                       const struct lay_schedule *schedule, struct lay_training **history,
                                       struct lay_err *err)
{
    *history = NULL;
    if (options->init)
        LAY_TRY(lay_training_read_beside(options->init, history, err));
    if (!*history && !(*history = lay_alloc(1, sizeof **history)))
        return lay_no_memory(err, "the training's history");
    struct lay_training_stage *stage = lay_training_add(*history);
    snprintf(stage->stage, sizeof stage->stage, "%s", options->translation ? "translation" : "task");
    snprintf(stage->schedule, sizeof stage->schedule, "%s", lay_schedule_name(schedule->kind));
    stage->planned = schedule->steps;
    stage->batch = options->batch;
    stage->learning_rate = schedule->learning_rate;
    return LAY_OK;
}

enum lay_status lay_train_history_save(struct lay_training *history, const struct lay_train_log *log,
                                       const char *checkpoint, struct lay_err *err)
{
    struct lay_training_stage *stage = &history->stages[history->count - 1];
    stage->steps = (int64_t)log->count;
    LAY_TRY(lay_train_log_curves(log, stage, err));
    char *dir = lay_path_join(checkpoint, "bridge");
    const enum lay_status status = dir ? lay_training_write(history, dir, err) : lay_no_memory(err, "a path");
    lay_free(dir);
    return status;
}
