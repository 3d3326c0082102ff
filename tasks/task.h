/* Benchmarks: what they are called, which languages they have, how their files are read.
 *
 * One file per benchmark with one `struct lay_task` in it, one row in the table of task.c. The languages are
 * in data/languages.json, the prompts in data/prompts/, the scorers in score.h go by `kind`. */
#ifndef LAY_TASKS_TASK_H
#define LAY_TASKS_TASK_H

#include "engine/base/err.h"
#include "engine/base/hash.h"
#include "engine/base/json.h"
#include "engine/base/str.h"
#include "tasks/language.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One item of a data set. All strings owned by the dataset. */
struct lay_sample {
    int64_t id;       /* position among the language's items, from 0 */
    size_t n_choices; /* LAY_TASK_CHOICE */
    char *question;   /* math: the question; choice: the stem; label: the premise (sentence1) */
    char *second;     /* label: the hypothesis (sentence2); else NULL */
    char **choices;   /* choice: texts by position; else NULL */
    char *target;     /* the gold string as the data file gives it (label word or letter, number text) */
    cJSON *doc;       /* the item as read, for samples files */
};

struct lay_dataset {
    const struct lay_task *task;
    const struct lay_language *language;
    struct lay_sample *samples;
    size_t count;
    size_t total; /* items in the file before --limit */
    char *file;   /* path read; for joined layouts the first */
    const char *layout;
    int64_t first_line; /* where the language's first item stands in `file`, from 1: sorts languages by order
                           of appearance when one file holds them all */
    char hash[LAY_HASH_HEX]; /* of the file read; of several: of their hashes, in hex, one after the other */
};

enum lay_task_kind {
    LAY_TASK_MATH,   /* the answer is a number */
    LAY_TASK_CHOICE, /* the answer is an option letter */
    LAY_TASK_LABEL   /* the answer is one of a few words */
};

struct lay_layout; /* how one file layout is detected and read; see dataset.h */

struct lay_task {
    const char *name;  /* "mgsm" */
    const char *title; /* "MGSM" */
    int version;
    enum lay_task_kind kind;
    const struct lay_layout *layouts;
    size_t n_layouts;
    const char *download; /* where the data can be had */
    const char *unusable; /* pattern of files that look like the data but cannot be scored; NULL: none */
    const char *unusable_why;
    size_t max_choices;        /* choice: option letters run from A to this many */
    const char *const *labels; /* label: the words of the data files, in lower case */
    size_t n_labels;
};

size_t lay_task_count(void);
const struct lay_task *lay_task_at(size_t index);
/* LAY_ERR_USAGE with the list of names when unknown. */
enum lay_status lay_task_find(const char *name, const struct lay_task **task, struct lay_err *err);

struct lay_data_options {
    const char *dir;    /* --data: DIR/<task> if that exists, else DIR */
    const char *layout; /* NULL: detected; two layouts in one folder are refused then */
    int64_t limit;      /* negative: all; else the first N per language */
    bool optional;      /* a language without a file, or without items in it, is no error: *dataset is NULL */
};

/* Returns; free with lay_dataset_free. Any fault in a file is LAY_ERR_INPUT with file, line and reason; a
 * missing file says what was looked for and where the data can be had; an unknown layout name is
 * LAY_ERR_USAGE. The whole file is read and checked whatever the limit is. */
enum lay_status lay_dataset_load(const struct lay_task *task, const struct lay_language *language,
                                 const struct lay_data_options *options, struct lay_dataset **dataset,
                                 struct lay_err *err);
void lay_dataset_free(struct lay_dataset *dataset); /* accepts NULL */

#endif
