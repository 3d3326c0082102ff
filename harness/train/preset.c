#include "harness/train/preset.h"

#include "engine/base/str.h"

#include <string.h>

#define MATH_LANGUAGES "bn,th,sw,ja,zh,de,fr,ru,es"
#define CSQA_LANGUAGES "ur,hi,sw,ja,vi,pl,zh,nl,ru,it,de,pt,fr,es,ar"
#define XNLI_LANGUAGES "sw,ur,hi,th,ar,tr,el,vi,zh,ru,bg,de,fr,es"

/* Batch 128, 3 epochs and AdamW with β 0.8/0.999, ε 1e-8, weight decay 3e-7 are the same in both papers' code
 * and the defaults of the command.
 *
 * LayAlign: models.md, Training. MindMerger: github.com/CONE-MT/MindMerger,
 * scripts/training_{math,x_csqa,xnli}.sh (6f3f4af), what they leave open from run_training.py (323e6b2: lr,
 * dev_size, languages) and mindmerger_tools/deepspeed_config.py (3848918: no scheduler, gradient_clipping).
 * Its --train_num 30000 reaches the reader of arithmetic alone. */
static const struct lay_train_recipe layalign = {"cosine", 0.05, 0, 0}, mindmerger = {"constant", 0, 1, 3000};

static const struct lay_train_preset presets[] = {
    {"layalign-math-stage1", &layalign, "translation", NULL, MATH_LANGUAGES, 4e-5, 100000, 200},
    {"layalign-math-stage2", &layalign, "task", "mgsm", MATH_LANGUAGES, 3e-5, 30000, 512},
    {"layalign-x-csqa-stage1", &layalign, "translation", NULL, CSQA_LANGUAGES, 4e-5, 100000, 200},
    {"layalign-x-csqa-stage2", &layalign, "task", "x-csqa", NULL, 3e-5, 0, 200},
    {"layalign-xnli-stage1", &layalign, "translation", NULL, XNLI_LANGUAGES, 4e-5, 100000, 200},
    {"layalign-xnli-stage2", &layalign, "task", "xnli", NULL, 3e-5, 0, 200},
    {"mindmerger-math-stage1", &mindmerger, "translation", NULL, MATH_LANGUAGES, 2e-5, 100000, 200},
    {"mindmerger-math-stage2", &mindmerger, "task", "mgsm", NULL, 2e-5, 30000, 512},
    {"mindmerger-x-csqa-stage1", &mindmerger, "translation", NULL, CSQA_LANGUAGES, 2e-5, 100000, 200},
    {"mindmerger-x-csqa-stage2", &mindmerger, "task", "x-csqa", NULL, 2e-5, 0, 200},
    {"mindmerger-xnli-stage1", &mindmerger, "translation", NULL, XNLI_LANGUAGES, 2e-5, 100000, 200},
    {"mindmerger-xnli-stage2", &mindmerger, "task", "xnli", NULL, 2e-5, 0, 200},
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
