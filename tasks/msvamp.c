/* MSVAMP: 1000 one-step word problems in 10 languages. Questions repeat: the position is the id. */
#include "tasks/dataset.h"

static enum lay_status read_lines(struct lay_source *source, struct lay_err *err)
{
    static const struct lay_math_keys keys = {"m_query", "response"};
    return lay_source_read_math(source, &keys, err);
}

#define ABOUT "JSON lines {\"m_query\", \"response\", \"query\", \"equation\"} (MathOctopus)"

static const struct lay_layout layouts[] = {
    {"json", "test_{Name}.json", ABOUT, read_lines},
    {"jsonl", "test_{Name}.jsonl", ABOUT, read_lines},
};

const struct lay_task lay_task_msvamp = {
    .name = "msvamp",
    .title = "MSVAMP",
    .version = 1,
    .kind = LAY_TASK_MATH,
    .layouts = layouts,
    .n_layouts = sizeof layouts / sizeof *layouts,
    .download = "https://github.com/microsoft/MathOctopus (step1_supervised_finetuning/data/msvamp, MIT)",
};
