/* The language table, read from data/languages.json. */
#ifndef LAY_TASKS_LANGUAGE_H
#define LAY_TASKS_LANGUAGE_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define LAY_LANGUAGE_MAX_TASKS 16

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
    bool right_to_left;
    struct lay_language_task tasks[LAY_LANGUAGE_MAX_TASKS];
    size_t n_tasks;
};

/* Finds the data directory (LAYEVAL_DATA, the source tree's, the installed one) and reads the table once.
 * Returns borrowed; lives until exit. */
enum lay_status lay_languages_load(const char *data_dir, struct lay_err *err);
size_t lay_language_count(void);
const struct lay_language *lay_language_at(size_t index);
/* By ISO code or English name, case-insensitively; NULL when unknown. */
const struct lay_language *lay_language_find(const char *name);
/* NULL when the language does not belong to the task. */
const struct lay_language_task *lay_language_in(const struct lay_language *language, const char *task);
/* The languages of a task in printed order; those that are off by default only with `all` (they come last).
 * Fills at most `max`, returns how many there are. */
size_t lay_languages_of(const char *task, bool all, const struct lay_language **list, size_t max);

#endif
