/* paper/<task>/: the files the official LayAlign evaluation leaves (run_evaluation.py, evaluation.py), byte
 * for byte: scores.tsv with `Language\tacc` lines in the official order of languages, and per language the
 * json.dump(results, ensure_ascii=False, indent=2) of its result records. */
#ifndef LAY_REPORTS_PAPER_H
#define LAY_REPORTS_PAPER_H

#include "engine/base/str.h"
#include "reports/record.h"

/* Append the content of one file. A language without samples has no line in scores.tsv. */
enum lay_status lay_paper_scores_put(struct lay_str *out, const struct lay_task_result *task,
                                     struct lay_err *err);
enum lay_status lay_paper_language_put(struct lay_str *out, const struct lay_task_result *task,
                                       const struct lay_cell *cell, struct lay_err *err);

/* Python's str(float): repr, "inf" where JSON has Infinity. */
void lay_paper_number(struct lay_str *out, double value);

/* Writes both kinds of files into DIR/paper/<task>, which is created. */
enum lay_status lay_paper_write(const char *dir, const struct lay_task_result *task, struct lay_err *err);

#endif
