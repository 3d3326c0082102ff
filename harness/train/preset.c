#include "harness/train/preset.h"

#include "engine/base/str.h"

#include <string.h>

#define MATH_LANGUAGES "bn,th,sw,ja,zh,de,fr,ru,es"
#define CSQA_LANGUAGES "ur,hi,sw,ja,vi,pl,zh,nl,ru,it,de,pt,fr,es,ar"
#define XNLI_LANGUAGES "sw,ur,hi,th,ar,tr,el,vi,zh,ru,bg,de,fr,es"

/* Batch 128, 3 epochs, cosine with 5 % warm-up and AdamW as released are the defaults of the command. */
static const struct lay_train_preset presets[] = {
    {"layalign-math-stage1", "translation", NULL, MATH_LANGUAGES, 4e-5, 100000, 200},
    {"layalign-math-stage2", "task", "mgsm", MATH_LANGUAGES, 3e-5, 30000, 512},
    {"layalign-x-csqa-stage1", "translation", NULL, CSQA_LANGUAGES, 4e-5, 100000, 200},
    {"layalign-x-csqa-stage2", "task", "x-csqa", NULL, 3e-5, 0, 200},
    {"layalign-xnli-stage1", "translation", NULL, XNLI_LANGUAGES, 4e-5, 100000, 200},
    {"layalign-xnli-stage2", "task", "xnli", NULL, 3e-5, 0, 200},
};
enum { N_PRESETS = sizeof presets / sizeof *presets };

size_t lay_train_preset_count(void)
{
    return N_PRESETS;
}

const struct lay_train_preset *lay_train_preset_at(size_t index)
{
    return index < N_PRESETS ? &presets[index] : NULL;
}

enum lay_status lay_train_preset_find(const char *name, const struct lay_train_preset **preset,
                                      struct lay_err *err)
{
    struct lay_str names = {0};
    for (int i = 0; i < N_PRESETS; i++) {
        if (strcmp(presets[i].name, name) == 0) {
            *preset = &presets[i];
            lay_str_free(&names);
            return LAY_OK;
        }
        lay_str_printf(&names, "%s%s", i ? ", " : "", presets[i].name);
    }
    const enum lay_status status =
        lay_fail(err, LAY_ERR_USAGE, "--preset: \"%s\" is unknown; there are %s", name, lay_str_text(&names));
    lay_str_free(&names);
    return status;
}
