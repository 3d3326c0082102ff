/* --dtype of the commands that load a system. */
#ifndef LAY_HARNESS_DTYPE_OPTION_H
#define LAY_HARNESS_DTYPE_OPTION_H

#include "engine/base/dtype.h"
#include "engine/base/err.h"

/* NULL and "auto" are LAY_DTYPE_COUNT: what the system file says. LAY_ERR_USAGE for an unknown name. */
enum lay_status lay_dtype_option(const char *text, enum lay_dtype *dtype, struct lay_err *err);

#endif
