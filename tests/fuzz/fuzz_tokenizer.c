/* SentencePiece model files from outside: parsed, rewritten for the library, applied to a text. */
#include "engine/base/mem.h"
#include "engine/token/charsmap.h"
#include "engine/token/sp.h"
#include "engine/token/sp_model.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ignore(void *context, int32_t piece)
{
    (void)context;
    (void)piece;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char text[] = "▁Ab c\u0301 ১২ ﬁ 中文 <s>";
    struct lay_sp_model model;
    struct lay_charsmap map;
    if (lay_sp_model_parse("fuzz", data, size, &model, NULL) != LAY_OK)
        return 0;
    struct lay_str proto = {0}, normalized = {0};
    struct lay_sp *sp = NULL;
    if (lay_charsmap_open("fuzz", model.charsmap, model.charsmap_size, &map, NULL) == LAY_OK)
        lay_charsmap_apply(&map, text, sizeof text, &normalized);
    for (int plain = 0; plain < 2; plain++) {
        lay_str_clear(&proto);
        if (lay_sp_model_write(&model, plain, &proto, NULL) == LAY_OK &&
            lay_sp_open("fuzz", proto.data, proto.length, &sp, NULL) == LAY_OK) {
            lay_sp_encode(sp, text, strlen(text), ignore, NULL, NULL);
            lay_sp_encode(sp, lay_str_text(&normalized), normalized.length, ignore, NULL, NULL);
        }
        lay_sp_close(sp);
        sp = NULL;
    }
    lay_str_free(&proto);
    lay_str_free(&normalized);
    lay_sp_model_free(&model);
    return 0;
}
