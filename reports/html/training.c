/* How the systems' bridges were trained: the losses, drawn from their numbers (reports/training.h). */
#include "reports/html/part.h"
#include "reports/training.h"

#include <stdio.h>

bool lay_html_have_training(const struct lay_report *report)
{
    bool have = false;
    for (size_t s = 0; s < report->count; s++)
        have |= report->systems[s].training != NULL;
    return have;
}

/* What there is to see, in words. */
static void describe(struct lay_str *out, const struct lay_training_stage *stage)
{
    const struct lay_training_curve *train = &stage->train, *dev = &stage->dev;
    size_t best = 0;
    lay_str_puts(out, "The loss per target token over the steps of the training");
    if (train->count)
        lay_str_printf(out, ": %.3g at step %.0f, %.3g at step %.0f", train->loss[0], train->step[0],
                       train->loss[train->count - 1], train->step[train->count - 1]);
    for (size_t i = 1; i < dev->count; i++)
        best = dev->loss[i] < dev->loss[best] ? i : best;
    if (dev->count)
        lay_str_printf(out, "; the lowest dev loss is %.3g, at step %.0f", dev->loss[best], dev->step[best]);
    lay_str_putc(out, '.');
}

static void put_caption(struct lay_str *out, const struct lay_training_stage *stage, const char *title)
{
    lay_str_puts(out, "<figcaption>");
    lay_markup_text(out, title);
    lay_str_printf(out, ": %lld steps", (long long)stage->steps);
    if (stage->steps < stage->planned)
        lay_str_printf(out, " (the checkpoint's, of %lld)", (long long)stage->planned);
    lay_str_printf(out, " of %lld samples, learning rate at most %g, schedule ", (long long)stage->batch,
                   stage->learning_rate);
    lay_markup_text(out, stage->schedule);
    lay_str_puts(out, ".</figcaption>\n");
}

static enum lay_status put_stage(struct lay_str *out, const struct lay_report *report, size_t system,
                                 size_t index, struct lay_err *err)
{
    const struct lay_training *training = report->systems[system].training;
    const struct lay_training_stage *stage = &training->stages[index];
    char id[64];
    struct lay_str title = {0}, about = {0};
    snprintf(id, sizeof id, "training-%zu-%zu", system, index);
    lay_str_printf(&title, "%s, ", report->systems[system].name);
    if (training->count > 1)
        lay_str_printf(&title, "stage %zu of %zu, ", index + 1, training->count);
    lay_str_puts(&title, stage->stage);
    describe(&about, stage);
    enum lay_status status = lay_str_check(&title, err);
    if (status == LAY_OK)
        status = lay_str_check(&about, err);
    lay_str_puts(out, "<figure>\n");
    lay_html_scroll_open(out, lay_str_text(&title));
    if (status == LAY_OK)
        status = lay_training_draw(
            out, stage,
            (struct lay_svg_frame){.id = id, .title = lay_str_text(&title), .about = lay_str_text(&about)},
            err);
    lay_html_scroll_close(out);
    put_caption(out, stage, lay_str_text(&title));
    lay_str_puts(out, "</figure>\n");
    lay_str_free(&title);
    lay_str_free(&about);
    return status;
}

enum lay_status lay_html_training_put(struct lay_str *out, const struct lay_report *report,
                                      struct lay_err *err)
{
    lay_html_section_open(out, "training", "Training");
    for (size_t s = 0; s < report->count; s++)
        for (size_t i = 0; report->systems[s].training && i < report->systems[s].training->count; i++)
            LAY_TRY(put_stage(out, report, s, i, err));
    lay_html_section_close(out);
    return LAY_OK;
}
