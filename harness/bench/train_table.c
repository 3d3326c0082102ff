#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "harness/bench/train.h"

#include <stdio.h>

/* The figures of a row in the order of the columns. */
enum { FIGURES = 15 };
static const char *const keys[FIGURES] = {
    "threads",
    "batch",
    "prompt",
    "target",
    "source",
    "rows",
    "step_seconds",
    "rows_per_second",
    "bound_rows_per_second",
    "fraction_of_bound",
    "planned_bytes",
    "peak_bytes",
    "kept_layers",
    "layers",
    "steadiness",
};

static void figures(const struct lay_train_row *r, double out[FIGURES])
{
    const double rate = r->seconds > 0 ? (double)r->rows / r->seconds : 0;
    const double bound = r->bound > 0 ? (double)r->rows / r->bound : 0;
    const double all[FIGURES] = {(double)r->cell.threads,
                                 (double)r->cell.batch,
                                 (double)r->cell.prompt,
                                 (double)r->cell.target,
                                 (double)r->cell.source,
                                 (double)r->rows,
                                 r->seconds,
                                 rate,
                                 bound,
                                 bound > 0 ? rate / bound : 0,
                                 (double)r->planned,
                                 (double)r->peak,
                                 (double)r->kept_layers,
                                 (double)r->layers,
                                 r->steadiness};
    for (int i = 0; i < FIGURES; i++)
        out[i] = all[i];
}

static void put_markdown(struct lay_str *out, const struct lay_train_row *rows, size_t count)
{
    lay_str_puts(out, "| model | dtype | threads | batch | rows | tokens/s | bound | fraction | steady | "
                      "memory planned, GB "
                      "| seen | layers kept |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    bool steady = true;
    for (size_t i = 0; i < count; i++) {
        double f[FIGURES];
        figures(&rows[i], f);
        lay_str_printf(out, "| %s | %s | %.0f | %.0f | %.0f | %.1f | ", rows[i].name,
                       lay_precision_name(rows[i].dtype), f[0], f[1], f[5], f[7]);
        if (f[8] > 0)
            lay_str_printf(out, "%.1f | %.0f %% | %.0f %%", f[8], 100 * f[9], 100 * f[14]);
        else
            lay_str_puts(out, "- | - | -");
        steady &= f[8] == 0 || f[14] >= LAY_BOUNDS_STEADY;
        lay_str_printf(out, " | %.2f | %.2f | %.0f of %.0f |\n", 1e-9 * f[10], 1e-9 * f[11], f[12], f[13]);
    }
    lay_bench_put_steadiness(out, steady);
}

static void put_csv(struct lay_str *out, const struct lay_train_row *rows, size_t count)
{
    lay_str_puts(out, "model,dtype");
    for (int k = 0; k < FIGURES; k++)
        lay_str_printf(out, ",%s", keys[k]);
    lay_str_puts(out, "\n");
    for (size_t i = 0; i < count; i++) {
        double f[FIGURES];
        figures(&rows[i], f);
        lay_str_printf(out, "%s,%s", rows[i].name, lay_precision_name(rows[i].dtype));
        for (int k = 0; k < FIGURES; k++)
            lay_str_printf(out, ",%.12g", f[k]);
        lay_str_puts(out, "\n");
    }
}

static void put_json(struct lay_str *out, const struct lay_train_row *rows, size_t count)
{
    lay_mem_watch_cjson();
    cJSON *list = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        double f[FIGURES];
        cJSON *row = cJSON_CreateObject();
        figures(&rows[i], f);
        if (!lay_json_add(list, NULL, row))
            break;
        cJSON_AddStringToObject(row, "model", rows[i].name);
        cJSON_AddStringToObject(row, "dtype", lay_precision_name(rows[i].dtype));
        for (int k = 0; k < FIGURES; k++)
            cJSON_AddNumberToObject(row, keys[k], f[k]);
    }
    lay_json_put(out, list, 2);
    out->failed |= lay_mem_cjson_failed();
    lay_str_puts(out, "\n");
    cJSON_Delete(list);
}

void lay_train_put(struct lay_str *out, enum lay_bench_format format, const struct lay_train_row *rows,
                   size_t count)
{
    static void (*const put[LAY_BENCH_FORMATS])(struct lay_str *, const struct lay_train_row *, size_t) = {
        [LAY_BENCH_MD] = put_markdown, [LAY_BENCH_CSV] = put_csv, [LAY_BENCH_JSON] = put_json};
    if (count > 0)
        put[format](out, rows, count);
}
