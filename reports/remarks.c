#include "reports/remarks.h"

#include "reports/text.h"

struct lay_counts lay_task_counts(const struct lay_task_result *task)
{
    struct lay_counts total = {0};
    for (size_t i = 0; i < task->count; i++) {
        const struct lay_counts counts = lay_cell_counts(&task->cells[i]);
        lay_counts_add(&total, &counts);
    }
    return total;
}

/* "layalign: 2 of 40 answers scored differently by paper and strict; 1 unparsed; …" when there is anything.
 */
static void put_counts(struct lay_str *out, const char *name, const struct lay_counts *c)
{
    const struct {
        int64_t count;
        const char *what;
    } remarks[] = {
        {c->disagree, "scored differently by paper and strict"}, {c->unparsed, "unparsed by strict"},
        {c->ended_length, "cut off at the token limit"},         {c->truncated, "with truncated input"},
        {c->error, "failed with an error (counted as wrong)"},
    };
    bool any = false;
    for (size_t i = 0; i < sizeof remarks / sizeof *remarks; i++) {
        if (!remarks[i].count)
            continue;
        if (!any) {
            lay_text_put(out, name, 0);
            lay_str_printf(out, ", of %lld answers: ", (long long)c->n);
        }
        lay_str_printf(out, "%s%lld %s", any ? "; " : "", (long long)remarks[i].count, remarks[i].what);
        any = true;
    }
    if (any)
        lay_str_putc(out, '\n');
}

/* An exact-match score of nearly nothing beside a good strict one means the answers use other words. */
static void put_label_note(struct lay_str *out, const char *name, const struct lay_task_result *task,
                           const struct lay_counts *c)
{
    if (task->math || c->n == 0 || c->correct_paper * 50 > c->n || c->correct_strict * 10 < c->n)
        return;
    lay_text_put(out, name, 0);
    lay_str_puts(out, ": the paper score is near zero while the strict one is not; the answers are probably "
                      "spelt otherwise than the gold labels: see label_words of the prompt set\n");
}

static enum lay_status put_average_note(struct lay_str *out, const char *name,
                                        const struct lay_task_result *task, struct lay_err *err)
{
    struct lay_average average;
    LAY_TRY(lay_task_average(task, LAY_SET_AVG, &average, err));
    if (average.languages == 0 || average.languages == average.expected)
        return LAY_OK;
    lay_text_put(out, name, 0);
    lay_str_printf(out, ": averages over %zu of %zu languages, not comparable with those over all\n",
                   average.languages, average.expected);
    return LAY_OK;
}

enum lay_status lay_remarks_put(struct lay_str *out, const char *name, const struct lay_task_result *task,
                                struct lay_err *err)
{
    const struct lay_counts counts = lay_task_counts(task);
    put_counts(out, name, &counts);
    LAY_TRY(put_average_note(out, name, task, err));
    put_label_note(out, name, task, &counts);
    return lay_str_check(out, err);
}
