#include "harness/train/log.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"

#include <math.h>
#include <string.h>

static const char *const names[LAY_TRAIN_COLUMNS] = {
    "step", "epoch", "samples", "target_tokens", "loss", "learning_rate", "gradient_norm", "dev_loss"};

enum lay_status lay_train_log_add(struct lay_train_log *log, const struct lay_train_row *row,
                                  struct lay_err *err)
{
    if (!lay_grow((void **)&log->rows, &log->capacity, log->count + 1, sizeof *log->rows))
        return lay_no_memory(err, "the log");
    log->rows[log->count++] = *row;
    return LAY_OK;
}

void lay_train_log_free(struct lay_train_log *log)
{
    lay_free(log->rows);
    *log = (struct lay_train_log){0};
}

/* A column by its number; the last one, behind those of the row, is the perplexity. */
static double column(const struct lay_train_row *row, int i)
{
    double values[LAY_TRAIN_COLUMNS];
    memcpy(values, row, sizeof values);
    return i < LAY_TRAIN_COLUMNS ? values[i] : exp(row->dev_loss);
}

static void put_number(struct lay_str *out, double value, const char *nothing)
{
    if (isnan(value))
        lay_str_puts(out, nothing);
    else if (value == floor(value) && fabs(value) < 1e15)
        lay_str_printf(out, "%.0f", value);
    else
        lay_json_put_double(out, value);
}

static void put_csv(struct lay_str *out, const struct lay_train_log *log)
{
    for (int i = 0; i < LAY_TRAIN_COLUMNS; i++)
        lay_str_printf(out, "%s,", names[i]);
    lay_str_puts(out, "dev_perplexity\n");
    for (size_t r = 0; r < log->count; r++)
        for (int i = 0; i <= LAY_TRAIN_COLUMNS; i++) {
            put_number(out, column(&log->rows[r], i), "");
            lay_str_putc(out, i < LAY_TRAIN_COLUMNS ? ',' : '\n');
        }
}

static void put_json(struct lay_str *out, const struct lay_train_log *log)
{
    for (size_t r = 0; r < log->count; r++) {
        lay_str_puts(out, r ? ",\n  {" : "[\n  {");
        for (int i = 0; i < LAY_TRAIN_COLUMNS; i++) {
            lay_str_printf(out, "%s\"%s\": ", i ? ", " : "", names[i]);
            put_number(out, column(&log->rows[r], i), "null");
        }
        lay_str_putc(out, '}');
    }
    lay_str_puts(out, log->count ? "\n]\n" : "[]\n");
}

enum lay_status lay_train_log_curves(const struct lay_train_log *log, struct lay_training_stage *stage,
                                     struct lay_err *err)
{
    size_t n = 0;
    double *steps = lay_alloc(2 * log->count, sizeof *steps);
    if (!steps)
        return lay_no_memory(err, "the loss curve");
    double *losses = steps + log->count;
    for (size_t r = 0; r < log->count; r++) {
        steps[r] = log->rows[r].step;
        losses[r] = log->rows[r].loss;
    }
    lay_training_curve_set(&stage->train, steps, losses, log->count);
    for (size_t r = 0; r < log->count; r++)
        if (!isnan(log->rows[r].dev_loss)) {
            steps[n] = log->rows[r].step;
            losses[n++] = log->rows[r].dev_loss;
        }
    lay_training_curve_set(&stage->dev, steps, losses, n);
    lay_free(steps);
    return LAY_OK;
}

static enum lay_status put_curve(struct lay_str *out, const struct lay_train_log *log, const char *title,
                                 struct lay_err *err)
{
    struct lay_training_stage stage;
    LAY_TRY(lay_train_log_curves(log, &stage, err));
    return lay_training_draw(
        out, &stage,
        (struct lay_svg_frame){.id = "loss",
                               .title = title,
                               .about = "The loss per target token over the steps of the training.",
                               .alone = true},
        err);
}

enum lay_status lay_train_log_write(const struct lay_train_log *log, const char *dir, const char *title,
                                    struct lay_err *err)
{
    static const char *const files[] = {"log.csv", "log.json", "loss.svg"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct lay_str text = {0};
        enum lay_status status = LAY_OK;
        if (i == 0)
            put_csv(&text, log);
        else if (i == 1)
            put_json(&text, log);
        else if (log->count)
            status = put_curve(&text, log, title, err);
        if (status == LAY_OK)
            status = lay_str_check(&text, err);
        if (status == LAY_OK && text.length)
            status = lay_file_write_in(dir, files[i], &text, err);
        lay_str_free(&text);
        LAY_TRY(status);
    }
    return LAY_OK;
}
