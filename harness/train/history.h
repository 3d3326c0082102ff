/* The stages that the bridge of a training went through, this one last: what is left beside its checkpoints
 * for reports (reports/training.h). */
#ifndef LAY_HARNESS_TRAIN_HISTORY_H
#define LAY_HARNESS_TRAIN_HISTORY_H

#include "harness/train/log.h"
#include "harness/train/train.h"
#include "reports/training.h"

/* Earlier stages from beside --init, if they are there. Returns; free with lay_free. LAY_ERR_INPUT when what
 * is there is damaged. */
enum lay_status lay_train_history_open(const struct lay_train_options *options,
                                       const struct lay_schedule *schedule, struct lay_training **history,
                                       struct lay_err *err);
/* Writes it into checkpoint/bridge, with this stage as the log has it. */
enum lay_status lay_train_history_save(struct lay_training *history, const struct lay_train_log *log,
                                       const char *checkpoint, struct lay_err *err);

#endif
