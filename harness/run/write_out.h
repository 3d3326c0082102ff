/* --write-out: the exact texts and token ids that a system is given. */
#ifndef LAY_HARNESS_WRITE_OUT_H
#define LAY_HARNESS_WRITE_OUT_H

#include "engine/system.h"
#include "harness/run/workload.h"
#include "tasks/prompt.h"

#include <stdio.h>

/* Prints the first `samples` of every language of every task. Needs no weights. */
enum lay_status lay_write_out(struct lay_system *system, const struct lay_prompt_set *prompts,
                              const struct lay_workload *workload, size_t samples, FILE *stream,
                              struct lay_err *err);

#endif
