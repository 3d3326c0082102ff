/* What a command says on standard output, and whether it got there. */
#ifndef LAY_HARNESS_OUTPUT_H
#define LAY_HARNESS_OUTPUT_H

#include "engine/base/str.h"

/* LAY_ERR_IO when something printed since the start was lost. `remark` follows the message: "" or, when the
 * command's files are there all the same, "; the files are complete". */
enum lay_status lay_output_flush(const char *remark, struct lay_err *err);
/* Prints the text and flushes. */
enum lay_status lay_output_put(const struct lay_str *text, struct lay_err *err);

#endif
