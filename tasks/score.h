/* Scoring one answer: `paper` as the official evaluation code does bit for bit, `strict` as we think it
 * should be (README, How results are defined). Pure functions; no locale is consulted. */
#ifndef LAY_TASKS_SCORE_H
#define LAY_TASKS_SCORE_H

#include "tasks/task.h"

#define LAY_STRICT_VERSION 1

enum lay_match {
    LAY_MATCH_TOLERANCE /* |a − b| < 1e-3, LayAlign */,
    LAY_MATCH_FLOAT_EQ /* MindMerger, LangBridge */
};

enum lay_strict { LAY_STRICT_WRONG, LAY_STRICT_CORRECT, LAY_STRICT_UNPARSED };

struct lay_score {
    bool paper_correct;
    enum lay_strict strict;
    double paper_number;        /* math: what extract_last_num read from the answer; 0.0 when nothing */
    double paper_target_number; /* math: the same function on the gold answer */
};

/* Official extract_last_num(text): one pass removes the comma of every digit-comma-digit, then the last match
 * of \d+(\.\d+)? as Python's float(); 0.0 without one, inf when too large. \d is any Unicode decimal digit.
 */
enum lay_status lay_extract_last_num(const char *text, size_t length, double *number, struct lay_err *err);

/* `paper_extracted` and `strict_extracted` (each may be NULL) get what each scorer read, as text (numbers as
 * Python's str(float)); strict "" when unparsed. `target` is the gold string after lay_prompt_target. Label
 * words are the data files' (case does not matter) and the target itself. */
enum lay_status lay_score_answer(const struct lay_task *task, const struct lay_language *language,
                                 const char *target, const char *output, size_t length, enum lay_match match,
                                 struct lay_score *score, struct lay_str *paper_extracted,
                                 struct lay_str *strict_extracted, struct lay_err *err);

/* The same with the label words that the prompt set asks for (lay_prompt_labels). Differs from the above only
 * where a set renames labels: a wrong one of its words is then wrong, not unparsed. */
enum lay_status lay_score_labelled(const struct lay_task *task, const struct lay_language *language,
                                   const char *const *labels, size_t n_labels, const char *target,
                                   const char *output, size_t length, enum lay_match match,
                                   struct lay_score *score, struct lay_str *paper_extracted,
                                   struct lay_str *strict_extracted, struct lay_err *err);

#endif
