#include "harness/dtype_option.h"

#include "engine/system.h"

#include <string.h>

enum lay_status lay_dtype_option(const char *text, enum lay_dtype *dtype, struct lay_err *err)
{
    *dtype = LAY_DTYPE_COUNT;
    if (!text || strcmp(text, "auto") == 0)
        return LAY_OK;
    *dtype = lay_precision_dtype(text);
    return *dtype != LAY_DTYPE_COUNT
               ? LAY_OK
               : lay_fail(err, LAY_ERR_USAGE, "--dtype: \"%s\" is none of f32, bf16, int8, auto", text);
}
