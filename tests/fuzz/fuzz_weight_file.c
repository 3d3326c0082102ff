/* Weight files of every form: whatever the bytes are, the parser refuses them or gives tensors whose every
 * byte can be read. */
#include "engine/store/parse.h"
#include "engine/store/scan.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct lay_tensor_list list = {0};
    const char *format;
    if (lay_weight_file_parse("fuzz", data, size, &format, &list, NULL) == LAY_OK)
        for (size_t i = 0; i < list.count; i++) {
            struct lay_hash hash;
            char text[256];
            if (list.items[i].bytes > size) /* tensors may share a storage, none is larger than the file */
                abort();
            (void)lay_tensor_scan(&list.items[i], true, &hash, NULL);
            if (strlen(lay_tensor_shape_text(&list.items[i], text, sizeof text)) < 2)
                abort();
        }
    lay_tensor_list_free(&list);
    return 0;
}
