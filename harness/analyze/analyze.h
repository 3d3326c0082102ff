/* `layeval analyze` without its command line: parallel sentences through systems, and what is left behind. */
#ifndef LAY_HARNESS_ANALYZE_H
#define LAY_HARNESS_ANALYZE_H

#include "engine/system.h"
#include "harness/options.h"
#include "reports/analysis/analysis_pictures.h"
#include "tasks/parallel.h"

struct lay_analyze_options {
    const struct lay_option_list *systems; /* files */
    struct lay_parallel_options data;
    struct lay_system_options system;
    const char *out_dir;
    const char *pair; /* language of the tokens figure; NULL: the first beside English */
    int64_t sentence; /* of the tokens figure */
    int64_t points;   /* sentences of the components figure */
    bool with_text;   /* the LLM reads the sentence as text too, behind the soft prompt */
    bool wanted[LAY_FIGURE_COUNT];
    bool quiet;
};

/* One system, DIR; several, DIR/<system> each and pictures of all in DIR. Progress and remarks on stderr, the
 * figures that were made on stdout. */
enum lay_status lay_analyze(const struct lay_analyze_options *options, struct lay_err *err);

/* Runs the sentences through one opened system; *analysis is complete. */
enum lay_status lay_analyze_system(const struct lay_analyze_options *options,
                                   const struct lay_parallel *parallel,
                                   const struct lay_analysis_language *languages, struct lay_system *system,
                                   struct lay_analysis **analysis, struct lay_err *err);

/* Writes analysis.json, the CSV files and the pictures of one system into a directory that exists, in place
 * of what an earlier analysis left there. */
enum lay_status lay_analyze_write(const struct lay_analyze_options *options,
                                  const struct lay_parallel *parallel, const struct lay_system *system,
                                  const struct lay_analysis *analysis, const char *dir, struct lay_err *err);
/* Writes analysis.html. */
enum lay_status lay_analyze_write_page(const struct lay_analysed *systems, size_t count, const char *dir,
                                       struct lay_err *err);

#endif
