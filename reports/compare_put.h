/* A comparison in the forms `layeval compare` prints it. */
#ifndef LAY_REPORTS_COMPARE_PUT_H
#define LAY_REPORTS_COMPARE_PUT_H

#include "engine/base/str.h"
#include "reports/compare.h"

struct lay_compare_put_options {
    struct lay_compare_options compare; /* what the comparisons were made with */
    size_t flips;                       /* terminal, md: flipped samples a language, both outputs whole */
};

/* All take comparisons with one A; append to `out`; LAY_ERR_MEMORY only. */
struct lay_compare_format {
    const char *name;
    bool for_people; /* options.flips counts */
    enum lay_status (*put)(struct lay_str *out, const struct lay_comparison *comparisons, size_t count,
                           const struct lay_compare_put_options *options, struct lay_err *err);
};
extern const struct lay_compare_format lay_compare_formats[];
extern const size_t lay_compare_format_count;

/* A table per pair and task, then what deserves attention. Columns: n, both accuracies, their difference with
 * its interval (percentage points), samples only one got right, p, and p after Holm's correction, marked *
 * below 0.05. */
enum lay_status lay_compare_put_terminal(struct lay_str *out, const struct lay_comparison *comparisons,
                                         size_t count, const struct lay_compare_put_options *options,
                                         struct lay_err *err);
enum lay_status lay_compare_put_markdown(struct lay_str *out, const struct lay_comparison *comparisons,
                                         size_t count, const struct lay_compare_put_options *options,
                                         struct lay_err *err);

/* One row per pair, task and language or pool: a,b,score,task,language,n,acc_a,acc_b,difference,ci_low,
 * ci_high,only_a,only_b,both,errors_a,errors_b,p,p_holm. Percent and percentage points; a figure that does
 * not exist is empty. */
enum lay_status lay_compare_put_csv(struct lay_str *out, const struct lay_comparison *comparisons,
                                    size_t count, const struct lay_compare_put_options *options,
                                    struct lay_err *err);

/* {"score", "seed", "resamples", "comparisons": [{"a", "b", "tasks": [{"task", "rows": […]}]}]}; rows have
 * the columns of the CSV, and of languages the doc_ids "gained" and "lost". */
enum lay_status lay_compare_put_json(struct lay_str *out, const struct lay_comparison *comparisons,
                                     size_t count, const struct lay_compare_put_options *options,
                                     struct lay_err *err);

/* Every flipped sample as a JSON line: a, b, score, task, language, doc_id, change ("gained", "lost"),
 * target, extracted_a, extracted_b, output_a, output_b, doc. */
enum lay_status lay_compare_put_flips(struct lay_str *out, const struct lay_comparison *comparisons,
                                      size_t count, struct lay_err *err);

#endif
