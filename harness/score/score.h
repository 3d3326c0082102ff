/* layeval score: stored answers scored again, without a model. A run directory (or one of several runs) in
 * score_directory.c, texts of any engine in score_generations.c, what goes to standard output in
 * score_print.c. */
#ifndef LAY_HARNESS_SCORE_H
#define LAY_HARNESS_SCORE_H

#include "harness/run/journal.h"
#include "reports/record.h"

#include <stdbool.h>

/* The command line; strings are borrowed, NULL where not given. */
struct lay_score_arguments {
    const char *task, *language, *generations, *out, *match, *prompt_set, *name;
    bool print_extracted, json, no_samples;
};

/* Scores `dir` and writes the report files into arguments->out, by default into `dir` itself. */
enum lay_status lay_score_directory(const struct lay_score_arguments *arguments, const char *dir,
                                    struct lay_err *err);

/* Scores the texts of arguments->generations. */
enum lay_status lay_score_generations(const struct lay_score_arguments *arguments, struct lay_err *err);

/* The table, or results.json with --json; the table goes to stderr beside --print-extracted. `combined`:
 * names carry their system. */
enum lay_status lay_score_print(const struct lay_score_arguments *arguments,
                                const struct lay_system_result *results, size_t count, bool combined,
                                struct lay_err *err);
/* One JSON line per line of the generations file, in its order. */
enum lay_status lay_score_print_extracted(const struct lay_journal *journal,
                                          const struct lay_system_result *result, struct lay_err *err);

#endif
