/* The language table, read from data/languages.json, and where the data directory is.
 *
 * The table is read once and lives until exit; everything handed out is borrowed. Reading is not thread-safe,
 * looking up is. */
#ifndef LAY_TASKS_LANGUAGE_H
#define LAY_TASKS_LANGUAGE_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define LAY_LANGUAGE_MAX_TASKS 16
#define LAY_LANGUAGE_MAX_WORDS 8 /* answer markers of a language */

/* The directory with languages.json, prompts/ and samples/. In this order: $LAYEVAL_DATA, ../share/layeval
 * beside the running binary, the source tree it was built from, the installation prefix. Borrowed. */
const char *lay_data_dir(void);

enum lay_resource { LAY_RESOURCE_NONE, LAY_RESOURCE_LOW, LAY_RESOURCE_HIGH };

/* A language's place in one task. */
struct lay_language_task {
    char task[16];
    int printed;  /* place in the papers' printed order, from 0; -1: not in it (off by default) */
    int official; /* place in the official code's order; -1: order of appearance in the file */
    enum lay_resource resource;
};

struct lay_language {
    char iso[8];   /* "bn" */
    char name[32]; /* "Bengali" */
    char nllb[16]; /* "ben_Beng" */
    char alias[8]; /* another spelling of iso in data files ("jap"), or "" */
    bool right_to_left;
    bool dot_thousands; /* "1.234" is one thousand two hundred and thirty-four */
    const char *answer_markers[LAY_LANGUAGE_MAX_WORDS]; /* "Die Antwort ist"; owned by the table */
    size_t n_answer_markers;
    struct lay_language_task tasks[LAY_LANGUAGE_MAX_TASKS];
    size_t n_tasks;
};

/* Reads DATA_DIR/languages.json (NULL: lay_data_dir()) once; later calls do nothing. A file with unknown keys
 * or orders that name unknown languages is LAY_ERR_INPUT. */
enum lay_status lay_languages_load(const char *data_dir, struct lay_err *err);
size_t lay_language_count(void);
const struct lay_language *lay_language_at(size_t index);
/* By ISO code, alias or English name, case-insensitively; NULL when unknown. */
const struct lay_language *lay_language_find(const char *name);
/* NULL when the language does not belong to the task. */
const struct lay_language_task *lay_language_in(const struct lay_language *language, const char *task);
/* The languages of a task in printed order; those that are off by default only with `all` (they come last).
 * Fills at most `max`, returns how many there are. */
size_t lay_languages_of(const char *task, bool all, const struct lay_language **list, size_t max);

#endif
