/* What must succeed, or the test fails with the message. Behind cmocka.h. */
#ifndef LAY_TESTS_UNIT_OK_H
#define LAY_TESTS_UNIT_OK_H

#include "engine/base/err.h"

/* ok(lay_dnn_create(&dnn, err)) */
#define ok(expression)                                                                                       \
    do {                                                                                                     \
        struct lay_err err_ = {0}, *err = &err_;                                                             \
        if ((expression) != LAY_OK)                                                                          \
            fail_msg("%s", err_.message);                                                                    \
    } while (0)

#endif
