/* What a checkpoint or a run says about its training: what is accepted is written and read again unchanged,
 * and drawn without markup of its own. */
#include "engine/base/mem.h"
#include "reports/training.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void draw(const struct lay_training_stage *stage)
{
    struct lay_str out = {0};
    const struct lay_svg_frame frame = {.id = "f", .title = stage->stage, .about = stage->schedule};
    if (lay_training_draw(&out, stage, frame, NULL) != LAY_OK)
        abort();
    const char *end = strstr(lay_str_text(&out), "</svg>");
    if (!end || strcmp(end, "</svg>\n") != 0 || strstr(lay_str_text(&out), "<script"))
        abort();
    lay_str_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct lay_training training, again;
    struct lay_err err = {0};
    const enum lay_status status = lay_training_parse("f", (const char *)data, size, &training, &err);
    if (status != LAY_OK && (status != LAY_ERR_INPUT || !err.message[0] || strchr(err.message, '\n')))
        abort();
    if (status != LAY_OK)
        return 0;
    struct lay_str text = {0}, second = {0};
    lay_training_put(&text, &training);
    if (lay_training_parse("f", lay_str_text(&text), text.length, &again, &err) != LAY_OK)
        abort();
    lay_training_put(&second, &again);
    if (strcmp(lay_str_text(&text), lay_str_text(&second)) != 0)
        abort();
    for (size_t i = 0; i < training.count; i++)
        draw(&training.stages[i]);
    lay_str_free(&text);
    lay_str_free(&second);
    return 0;
}
