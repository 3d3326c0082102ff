/* What deserves attention beside the scores of a system on a task: sentences, the same in every report. */
#ifndef LAY_REPORTS_REMARKS_H
#define LAY_REPORTS_REMARKS_H

#include "engine/base/str.h"
#include "reports/accuracy.h"

/* The counts of all languages together. */
struct lay_counts lay_task_counts(const struct lay_task_result *task);

/* Appends one line per remark, none when all is well: answers the scorers disagree about, unparsed, cut off,
 * truncated, failed; averages over fewer languages than the papers'; labels that are probably spelt
 * otherwise. Control characters of `name` are shown as question marks. LAY_ERR_MEMORY only. */
enum lay_status lay_remarks_put(struct lay_str *out, const char *name, const struct lay_task_result *task,
                                struct lay_err *err);

#endif
