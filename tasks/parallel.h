/* Parallel sentences: the same text in English and other languages, row by row.
 *
 *   benchmarks   the questions of one or several tasks (math: the question; X-CSQA: the stem; XNLI: the
 *                premise), whose rows are translations of each other
 *   JSON lines   {"en": "…", "bn": "…", …}, one object a line; keys are languages, but "id" is none
 *   FLORES       DIR/eng_Latn.dev, DIR/dev/eng_Latn.dev (FLORES-200), DIR/eng.dev (FLORES-101) or
 *                DIR/en.dev; one sentence a line
 *
 * Languages are those of the language table, by ISO code, name or NLLB code; others are taken as they are
 * called, which is their NLLB code if it looks like one. Files are hostile: what is wrong in one is
 * LAY_ERR_INPUT with file, line and reason. */
#ifndef LAY_TASKS_PARALLEL_H
#define LAY_TASKS_PARALLEL_H

#include "engine/base/hash.h"
#include "engine/base/str.h"
#include "tasks/task.h"

#define LAY_PARALLEL_LANGUAGES_MAX 64

struct lay_parallel_language {
    char code[24]; /* ISO code, or what the data call it */
    char name[40];
    char nllb[16]; /* "" if unknown */
    bool right_to_left;
    char **texts; /* [count] */
    size_t count, capacity;
};

struct lay_parallel {
    struct lay_parallel_language *languages; /* English first, then in the order of the data */
    size_t n_languages;
    size_t count;            /* sentences, the same in every language */
    struct lay_str about;    /* "mgsm (tsv)", "flores dev", "pairs.jsonl" */
    char hash[LAY_HASH_HEX]; /* of languages and texts */
};

/* What to read. One of data_dir, json, flores; strings borrowed. */
struct lay_parallel_options {
    const char *data_dir, *layout; /* layout NULL: detected */
    const char *const *tasks;      /* names; none: those with a folder in data_dir */
    size_t n_tasks;
    const char *json;             /* a file */
    const char *flores, *split;   /* a directory; "dev", "devtest" */
    const char *const *languages; /* wanted beside English; none: all there are */
    size_t n_languages;
    size_t limit; /* sentences at most, per task; 0: all */
};

/* Needs the language table (lay_languages_load). Refuses data without English, with one language only, or
 * with languages of different length. Release with lay_parallel_free, also after a failure. */
enum lay_status lay_parallel_read(const struct lay_parallel_options *options, struct lay_parallel *parallel,
                                  struct lay_err *err);
void lay_parallel_free(struct lay_parallel *parallel);

/* Whether that language is meant by any of its names. */
bool lay_parallel_is(const struct lay_parallel_language *language, const char *name);
/* The position of a language by any of its names; n_languages when it is not there. */
size_t lay_parallel_find(const struct lay_parallel *parallel, const char *name);

/* --- for the readers (parallel_*.c) --- */

/* Adds a language without texts, called by any of its names; it is parallel->languages[n_languages − 1].
 * `where` stands in front of complaints. */
enum lay_status lay_parallel_add_language(struct lay_parallel *parallel, const char *name, const char *where,
                                          struct lay_err *err);
/* Adds a copy of a text. */
enum lay_status lay_parallel_add_text(struct lay_parallel_language *language, const char *text, size_t length,
                                      struct lay_err *err);
/* Removes the language added last. */
void lay_parallel_drop_language(struct lay_parallel *parallel);

enum lay_status lay_parallel_read_tasks(const struct lay_parallel_options *options,
                                        struct lay_parallel *parallel, struct lay_err *err);
enum lay_status lay_parallel_read_json(const struct lay_parallel_options *options,
                                       struct lay_parallel *parallel, struct lay_err *err);
enum lay_status lay_parallel_read_flores(const struct lay_parallel_options *options,
                                         struct lay_parallel *parallel, struct lay_err *err);

#endif
