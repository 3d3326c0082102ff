/* What the gate decided, for people and for CI systems. All append to `out`; LAY_ERR_MEMORY only. */
#ifndef LAY_HARNESS_GATE_GATE_PRINT_H
#define LAY_HARNESS_GATE_GATE_PRINT_H

#include "harness/gate/gate.h"

/* A line per failed check, per check with a note, with `all` per check; then how many failed of what. */
enum lay_status lay_gate_put_terminal(struct lay_str *out, const struct lay_gate *gate, bool all,
                                      struct lay_err *err);

/* A GitHub Actions workflow command `::error …` per failed check. */
enum lay_status lay_gate_put_github(struct lay_str *out, const struct lay_gate *gate, struct lay_err *err);

/* A section of Markdown for $GITHUB_STEP_SUMMARY: what failed, and folded away a table of all checks. */
enum lay_status lay_gate_put_markdown(struct lay_str *out, const struct lay_gate *gate, struct lay_err *err);

/* JUnit XML: a case per check, failed checks with all their problems in one failure. */
enum lay_status lay_gate_put_junit(struct lay_str *out, const struct lay_gate *gate, struct lay_err *err);

#endif
