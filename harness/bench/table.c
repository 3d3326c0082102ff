#include "harness/bench/table.h"

#include "engine/base/json.h"

#include <stdio.h>
#include <string.h>

enum { FIELDS_MAX = 80 };

/* A key and its value: text, or a number that prints with `digits` significant digits (0: a whole number). */
struct field {
    char key[48];
    const char *text;
    double number;
    int digits;
};

struct fields {
    struct field items[FIELDS_MAX];
    size_t count;
};

enum lay_bench_format lay_bench_format_by_name(const char *name)
{
    static const char *const names[] = {"md", "csv", "json"};
    for (int i = 0; i < LAY_BENCH_FORMATS; i++)
        if (strcmp(names[i], name) == 0)
            return (enum lay_bench_format)i;
    return LAY_BENCH_FORMATS;
}

/* --- one row as keys and values --- */

static void add(struct fields *f, const char *key, double number, int digits)
{
    struct field *field = &f->items[f->count++];
    snprintf(field->key, sizeof field->key, "%s", key);
    field->text = NULL;
    field->number = number;
    field->digits = digits;
}

static void add_text(struct fields *f, const char *key, const char *text)
{
    add(f, key, 0, 0);
    f->items[f->count - 1].text = text;
}

static void add_spread(struct fields *f, const char *key, const struct lay_spread *spread)
{
    char name[48];
    add(f, key, spread->median, 6);
    snprintf(name, sizeof name, "%s_min", key);
    add(f, name, spread->min, 6);
    snprintf(name, sizeof name, "%s_max", key);
    add(f, name, spread->max, 6);
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : 0;
}

static double attention_seconds(const struct lay_profile *p)
{
    double sum = 0;
    for (int phase = 0; phase < LAY_PHASE_COUNT; phase++)
        sum += p->seconds[phase][LAY_OP_ATTENTION] + p->seconds[phase][LAY_OP_ADAPTER_ATTENTION];
    return sum;
}

static double profile_seconds(const struct lay_profile *p)
{
    double sum = 0;
    for (int phase = 0; phase < LAY_PHASE_COUNT; phase++)
        sum += lay_profile_phase_seconds(p, (enum lay_phase)phase);
    return sum;
}

/* NAME_seconds, NAME_fraction_of_bound of every part. */
static void add_parts(struct fields *f, const struct lay_measurement *m)
{
    for (int i = 0; i < LAY_PART_COUNT; i++) {
        char name[48];
        snprintf(name, sizeof name, "%s_seconds", lay_part_name((enum lay_part)i));
        add(f, name, m->seconds[i], 6);
        snprintf(name, sizeof name, "%s_fraction_of_bound", lay_part_name((enum lay_part)i));
        add(f, name, ratio(m->bound_seconds[i], m->seconds[i]), 6);
    }
    add(f, "attention_seconds", attention_seconds(&m->profile), 6);
    add(f, "attention_share", ratio(attention_seconds(&m->profile), profile_seconds(&m->profile)), 6);
}

static void add_rates(struct fields *f, const struct lay_measurement *m)
{
    add_spread(f, "prefill_tps", &m->prefill);
    add_spread(f, "decode_tps", &m->decode);
    add_spread(f, "total_tps", &m->total);
    add_spread(f, "encoder_tps", &m->encoder);
    add_spread(f, "wall_seconds", &m->wall);
    add(f, "bound_tps", m->bound_total, 6);
    add(f, "fraction_of_bound", ratio(m->total.median, m->bound_total), 6);
    add(f, "steadiness", m->steadiness, 6);
    add(f, "prefill_bound_tps", m->bound_prefill, 6);
    add(f, "decode_bound_tps", m->bound_decode, 6);
    add(f, "decode_tps_fraction_of_bound", ratio(m->decode.median, m->bound_decode), 6);
    add(f, "encoder_bound_tps", m->bound_encoder, 6);
}

static void add_machine(struct fields *f, const struct lay_measurement *m)
{
    add(f, "read_bytes_per_second", m->read_bytes, 6);
    add(f, "copy_bytes_per_second", m->copy_bytes, 6);
    add_text(f, "layeval", LAYEVAL_VERSION);
    add_text(f, "onednn", lay_dnn_version());
    add_text(f, "isa", lay_dnn_isa());
    add_text(f, "bf16", lay_dnn_bf16_support());
}

static void make_fields(const struct lay_bench_row *row, struct fields *f)
{
    const struct lay_measurement *m = &row->measured;
    const struct lay_cell *c = &row->cell;
    f->count = 0;
    add_text(f, "shape", row->shape);
    add_text(f, "dtype", lay_precision_name(row->dtype));
    add(f, "threads", c->threads, 0);
    add(f, "prompt", (double)c->prompt, 0);
    add(f, "new", (double)c->new_tokens, 0);
    add(f, "source", (double)c->source, 0);
    add(f, "batch", (double)c->batch, 0);
    add(f, "warm_up", (double)c->warm_up, 0);
    add(f, "repetitions", (double)c->repetitions, 0);
    add_rates(f, m);
    add_parts(f, m);
    add(f, "peak_rss_bytes",
        (double)(m->peak_bytes > row->load_peak_bytes ? m->peak_bytes : row->load_peak_bytes), 0);
    add(f, "load_peak_rss_bytes", (double)row->load_peak_bytes, 0);
    add(f, "weight_bytes", (double)row->weight_bytes, 0);
    add(f, "table_bytes", (double)row->table_bytes, 0);
    add(f, "kv_bytes", (double)m->kv_bytes, 0);
    add(f, "load_seconds", row->load_seconds, 6);
    add(f, "lengths", (double)c->n_lengths, 0);
    add(f, "lengths_tokens", m->lengths_tokens, 0);
    add(f, "lengths_wall_seconds", m->lengths_wall, 6);
    add(f, "lengths_over_bench_rate", ratio(m->lengths_wall, ratio(m->lengths_tokens, m->total.median)), 6);
    add_machine(f, m);
}

/* --- operations --- */

struct op_row {
    enum lay_phase phase;
    enum lay_op op;
    double seconds, share, flops; /* flops a second; 0: no product */
    int64_t calls;
};

/* Rows that a phase's products saw. */
static double phase_rows(const struct lay_measurement *m, enum lay_phase phase)
{
    const struct lay_generate_stats *s = &m->stats;
    switch (phase) {
    case LAY_PHASE_PREFILL:
        return (double)(s->prefill_tokens + s->decode_tokens - s->pure_decode_tokens);
    case LAY_PHASE_DECODE:
        return (double)s->pure_decode_tokens;
    default:
        return (double)s->encoder_tokens;
    }
}

static double op_flops(const struct lay_bench_row *row, enum lay_phase phase, enum lay_op op)
{
    const struct lay_product_list *list = &row->products[phase];
    double flops = 0;
    for (int i = 0; i < list->count; i++)
        if (strcmp(list->items[i].name, lay_op_name(op)) == 0)
            flops +=
                2.0 * (double)list->items[i].in * (double)list->items[i].out * (double)list->items[i].count;
    return flops * phase_rows(&row->measured, phase);
}

static size_t make_ops(const struct lay_bench_row *row, struct op_row ops[LAY_PHASE_COUNT * LAY_OP_COUNT])
{
    const struct lay_profile *p = &row->measured.profile;
    const double all = profile_seconds(p);
    size_t n = 0;
    for (int phase = 0; phase < LAY_PHASE_COUNT; phase++)
        for (int op = 0; op < LAY_OP_COUNT; op++) {
            const double seconds = p->seconds[phase][op];
            if (p->calls[phase][op] == 0)
                continue;
            const double flops = op_flops(row, (enum lay_phase)phase, (enum lay_op)op);
            ops[n++] = (struct op_row){(enum lay_phase)phase, (enum lay_op)op,       seconds,
                                       ratio(seconds, all),   ratio(flops, seconds), p->calls[phase][op]};
        }
    return n;
}

/* --- formats --- */

static void put_value(struct lay_str *out, const struct field *field)
{
    if (field->digits)
        lay_str_printf(out, "%.*g", field->digits, field->number);
    else
        lay_str_printf(out, "%.0f", field->number);
}

static void put_csv_text(struct lay_str *out, const char *text)
{
    lay_str_putc(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            lay_str_putc(out, '"');
        lay_str_putc(out, *text);
    }
    lay_str_putc(out, '"');
}

static void put_csv(struct lay_str *out, const struct lay_bench_row *rows, size_t count)
{
    struct fields f;
    for (size_t r = 0; r < count; r++) {
        make_fields(&rows[r], &f);
        for (size_t i = 0; i < f.count && r == 0; i++)
            lay_str_printf(out, "%s%s", f.items[i].key, i + 1 < f.count ? "," : "\n");
        for (size_t i = 0; i < f.count; i++) {
            if (f.items[i].text)
                put_csv_text(out, f.items[i].text);
            else
                put_value(out, &f.items[i]);
            lay_str_putc(out, i + 1 < f.count ? ',' : '\n');
        }
    }
}

static void put_json_ops(struct lay_str *out, const struct lay_bench_row *row)
{
    struct op_row ops[LAY_PHASE_COUNT * LAY_OP_COUNT];
    const size_t n = make_ops(row, ops);
    lay_str_puts(out, ",\n    \"profile\": [");
    for (size_t i = 0; i < n; i++)
        lay_str_printf(out,
                       "%s\n      {\"phase\": \"%s\", \"op\": \"%s\", \"seconds\": %.6g, \"share\": %.6g, "
                       "\"calls\": %lld, \"flops_per_second\": %.6g}",
                       i ? "," : "", lay_phase_name(ops[i].phase), lay_op_name(ops[i].op), ops[i].seconds,
                       ops[i].share, (long long)ops[i].calls, ops[i].flops);
    lay_str_puts(out, "\n    ]");
}

static void put_json(struct lay_str *out, const struct lay_bench_row *rows, size_t count, bool profile)
{
    struct fields f;
    lay_str_putc(out, '[');
    for (size_t r = 0; r < count; r++) {
        make_fields(&rows[r], &f);
        lay_str_puts(out, r ? ",\n  {" : "\n  {");
        for (size_t i = 0; i < f.count; i++) {
            lay_str_printf(out, "%s\n    \"%s\": ", i ? "," : "", f.items[i].key);
            if (f.items[i].text)
                lay_json_put_string(out, f.items[i].text, strlen(f.items[i].text));
            else
                put_value(out, &f.items[i]);
        }
        if (profile)
            put_json_ops(out, &rows[r]);
        lay_str_puts(out, "\n  }");
    }
    lay_str_puts(out, "\n]\n");
}

static void put_percent(struct lay_str *out, double part, double whole)
{
    if (whole > 0)
        lay_str_printf(out, " %.0f %% |", 100 * part / whole);
    else
        lay_str_puts(out, " – |");
}

static void put_md_row(struct lay_str *out, const struct lay_bench_row *row)
{
    const struct lay_measurement *m = &row->measured;
    const size_t peak = m->peak_bytes > row->load_peak_bytes ? m->peak_bytes : row->load_peak_bytes;
    lay_str_printf(out, "| %s | %s | %d | %lld | %lld | %lld | %.1f | %.1f | %.1f | %.1f–%.1f | %.1f |",
                   row->shape, lay_precision_name(row->dtype), row->cell.threads, (long long)row->cell.prompt,
                   (long long)row->cell.new_tokens, (long long)row->cell.batch, m->prefill.median,
                   m->decode.median, m->total.median, m->total.min, m->total.max, m->bound_total);
    put_percent(out, m->total.median, m->bound_total);
    put_percent(out, m->steadiness, m->steadiness > 0 ? 1 : 0);
    for (int i = 0; i < LAY_PART_COUNT; i++)
        put_percent(out, m->bound_seconds[i], m->bound_seconds[i] > 0 ? m->seconds[i] : 0);
    lay_str_printf(out, " %.0f %% | %.2f | %.1f |\n",
                   100 * ratio(attention_seconds(&m->profile), profile_seconds(&m->profile)),
                   1e-9 * (double)peak, row->load_seconds);
}

static void put_md_ops(struct lay_str *out, const struct lay_bench_row *row)
{
    struct op_row ops[LAY_PHASE_COUNT * LAY_OP_COUNT];
    const size_t n = make_ops(row, ops);
    lay_str_printf(out,
                   "\n%s %s, %d threads, %lld + %lld, batch %lld: where %.3f s go\n\n"
                   "| phase | operation | ms | share | calls | GFLOP/s |\n|---|---|---:|---:|---:|---:|\n",
                   row->shape, lay_precision_name(row->dtype), row->cell.threads, (long long)row->cell.prompt,
                   (long long)row->cell.new_tokens, (long long)row->cell.batch,
                   profile_seconds(&row->measured.profile));
    for (size_t i = 0; i < n; i++) {
        lay_str_printf(out, "| %s | %s | %.2f | %.1f %% | %lld |", lay_phase_name(ops[i].phase),
                       lay_op_name(ops[i].op), 1e3 * ops[i].seconds, 100 * ops[i].share,
                       (long long)ops[i].calls);
        if (ops[i].flops > 0)
            lay_str_printf(out, " %.0f |\n", 1e-9 * ops[i].flops);
        else
            lay_str_puts(out, " |\n");
    }
}

void lay_bench_put_steadiness(struct lay_str *out, bool steady)
{
    if (!steady)
        lay_str_printf(
            out,
            "\nsteady below %.0f %%: other work took part of the machine while the bound was measured; "
            "do not trust the fractions of these rows\n",
            100 * LAY_BOUNDS_STEADY);
}

static void put_md(struct lay_str *out, const struct lay_bench_row *rows, size_t count, bool profile)
{
    const struct lay_measurement *first = &rows[0].measured;
    lay_str_printf(out, "oneDNN %s, %s, bf16 %s", lay_dnn_version(), lay_dnn_isa(), lay_dnn_bf16_support());
    if (first->read_bytes > 0)
        lay_str_printf(out, "; memory with %d threads: read %.1f GB/s, copy %.1f GB/s", rows[0].cell.threads,
                       1e-9 * first->read_bytes, 1e-9 * first->copy_bytes);
    lay_str_puts(
        out,
        "\n\n| shape | dtype | threads | PP | TG | B | S_PP t/s | S_TG t/s | S t/s | min–max | "
        "bound t/s | of bound | steady | encoder | aligner | prefill | decode | head | attention share | "
        "peak GB | load s |\n|---|---|");
    for (int i = 2; i < 21; i++)
        lay_str_puts(out, "---:|");
    lay_str_putc(out, '\n');
    for (size_t r = 0; r < count; r++)
        put_md_row(out, &rows[r]);
    bool steady = true;
    for (size_t r = 0; r < count; r++)
        steady &= rows[r].measured.steadiness == 0 || rows[r].measured.steadiness >= LAY_BOUNDS_STEADY;
    lay_bench_put_steadiness(out, steady);
    for (size_t r = 0; r < count; r++)
        if (rows[r].cell.n_lengths > 0) {
            const struct lay_measurement *m = &rows[r].measured;
            lay_str_printf(
                out,
                "\n%zu answers of given lengths: %.0f tokens in %.2f s, %.3f × what they take at %.1f t/s\n",
                rows[r].cell.n_lengths, m->lengths_tokens, m->lengths_wall,
                ratio(m->lengths_wall * m->total.median, m->lengths_tokens), m->total.median);
        }
    for (size_t r = 0; r < count && profile; r++)
        put_md_ops(out, &rows[r]);
}

void lay_bench_put(struct lay_str *out, enum lay_bench_format format, const struct lay_bench_row *rows,
                   size_t count, bool profile)
{
    if (format == LAY_BENCH_CSV)
        put_csv(out, rows, count);
    else if (format == LAY_BENCH_JSON)
        put_json(out, rows, count, profile);
    else if (count > 0)
        put_md(out, rows, count, profile);
}
