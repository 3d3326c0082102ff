#include "harness/output.h"

#include <stdio.h>

enum lay_status lay_output_flush(const char *remark, struct lay_err *err)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return LAY_OK;
    return lay_fail(err, LAY_ERR_IO, "standard output cannot be written%s", remark);
}

enum lay_status lay_output_put(const struct lay_str *text, struct lay_err *err)
{
    fwrite(lay_str_text(text), 1, text->length, stdout);
    return lay_output_flush("", err);
}
