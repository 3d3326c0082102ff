/* The pickle machine: it stops, within its limits, on any bytes. */
#include "engine/store/pickle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lay_pickle pickle;
    size_t used;
    const enum lay_status status = lay_pickle_run("fuzz", data, size, &pickle, &used, NULL);
    if (used > size || (status == LAY_OK && pickle.root >= pickle.n_values))
        abort();
    lay_pickle_free(&pickle);
    return 0;
}
