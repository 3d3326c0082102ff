/* What reports are made of: one record per answered sample, grouped by system, task and language.
 * Plain data, filled in by the harness; reports know no tasks and no engine. Strings are owned by the table.
 */
#ifndef LAY_REPORTS_RECORD_H
#define LAY_REPORTS_RECORD_H

#include "engine/base/err.h"
#include "engine/base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct lay_record {
    int64_t doc_id;
    char *doc;             /* the item as the data file has it, JSON text on one line; NULL if unknown */
    char *question;        /* what the official result files call question (math); else NULL */
    char *source;          /* text the encoder read; NULL if none */
    char *prompt;          /* the LLM's text prompt; NULL if none */
    char *target;          /* gold string */
    char *output;          /* generated text */
    char *paper_extracted; /* what each scorer read */
    char *strict_extracted;
    double paper_number, paper_target_number; /* math */
    bool paper_correct, strict_correct, unparsed, error;
    char *error_message; /* NULL unless error */
    char ended[8];       /* "eos", "length", "stop", "error"; "unknown" for texts from another engine */
    bool truncated;
    int64_t source_tokens, prompt_tokens, output_tokens;
};

struct lay_training;

enum lay_group { LAY_GROUP_NONE, LAY_GROUP_LRL, LAY_GROUP_HRL };

/* The averages the papers print: low-resource, high-resource, all. */
enum lay_set { LAY_SET_LRL, LAY_SET_HRL, LAY_SET_AVG, LAY_SET_COUNT };

/* One language of one task of one system. */
struct lay_cell {
    char language[8];       /* ISO */
    char language_name[32]; /* "Bengali" */
    enum lay_group group;
    bool in_average; /* belongs to the papers' average (Telugu does not) */
    bool right_to_left;
    int official_order;         /* place in paper/ files */
    struct lay_record *records; /* by doc_id */
    size_t count;
};

struct lay_task_result {
    char task[16];  /* "mgsm" */
    char title[32]; /* "MGSM" */
    bool math;      /* paper/ layout */
    int version;
    struct lay_cell *cells; /* in the papers' printed order */
    size_t count;
    size_t set_size[LAY_SET_COUNT]; /* languages the papers' averages are over; 0: no such average. A run with
                                       fewer of them has another average, and reports say so */
};

struct lay_system_result {
    char *name;
    char *method;
    struct lay_task_result *tasks;
    size_t count;
    const char *match;             /* "tolerance" or "float-eq": how paper scoring compared numbers */
    int strict_version;            /* of the strict scorer */
    const cJSON *manifest;         /* borrowed: configs and hashes; may be NULL */
    struct lay_training *training; /* how the bridge was trained (training.h); NULL: unknown */
};

/* Cells of all tasks of all systems. */
size_t lay_results_cells(const struct lay_system_result *systems, size_t count);

/* Frees everything below. */
void lay_system_result_free(struct lay_system_result *result);

#endif
