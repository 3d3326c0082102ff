/* JUnit XML of a report: reports/junit.h with one case a language. */
#include "reports/junit.h"
#include "reports/report/part.h"

enum lay_status lay_report_put_junit(struct lay_str *out, const struct lay_report *report,
                                     struct lay_err *err)
{
    return lay_junit_put_results(out, report->systems, report->count, err);
}
