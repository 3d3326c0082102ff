/* JUnit XML, as CI systems read it (Jenkins, GitLab, GitHub actions, Azure): one suite per system and task,
 * classname "layeval.<system>.<task>", one case per language. No times and no dates: equal results give equal
 * files. */
#ifndef LAY_REPORTS_JUNIT_H
#define LAY_REPORTS_JUNIT_H

#include "engine/base/str.h"
#include "reports/record.h"

struct lay_junit_case {
    const char *system, *task, *name;
    const char *failure; /* one line; NULL: passed */
    const char *type;    /* of the failure: "regression" */
    const char *skipped; /* why there is nothing to pass or fail; NULL: not skipped */
    const char *output;  /* system-out; may be NULL */
};

/* Cases of one system and task stand together. Texts may hold anything: control characters
 * other than tab and line breaks, U+FFFE, U+FFFF and bytes that are not UTF-8 are left out. LAY_ERR_MEMORY
 * only. */
enum lay_status lay_junit_put(struct lay_str *out, const struct lay_junit_case *cases, size_t count,
                              struct lay_err *err);

/* A run's results as cases: one fails if samples ended in an error, and is skipped if it has none. */
enum lay_status lay_junit_put_results(struct lay_str *out, const struct lay_system_result *systems,
                                      size_t count, struct lay_err *err);

#endif
