#include "harness/verify/verify.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* What a tensor of that name may differ by. The longest matching start decides. The figures are those of the
 * golden cases: 5 to 10 times what fp32 and float64 runs of the official code differ by. */
static const struct {
    const char *start;
    double limit; /* 0: equal */
} limits[] = {
    {"encoder.hidden", 2e-5}, {"soft_prompt", 3e-5},    {"adapter", 3e-5},     {"llm.inputs_embeds", 3e-5},
    {"llm.layer", 3e-4},      {"prefill_logits", 3e-4}, {"step_logits", 3e-4}, {"logits", 3e-4},
    {"loss", 3e-5},           {"grad.", 2e-4},          {"generated_ids", 0},  {"llm.attention_mask", 0},
    {"llm.position_ids", 0},  {"decode1", 0},
};

/* What no result is made for, and why. */
static const struct {
    const char *start, *reason;
} reasons[] = {
    {"grad.", "no such parameter is trained"},
    {"enc_ids", "input"},
    {"enc_mask", "input"},
    {"prompt_ids", "input"},
    {"prompt_mask", "input"},
    {"label_ids", "input"},
    {"label_mask", "input"},
    {"input_ids", "input"},
    {"input_mask", "input"},
    {"labels", "input"},
    {"generated_ids_eos", "case.json names no eos_variant_id"},
};

/* Not judged below f32: a token that falls the other way is the end of what can be compared. */
static const char *const chosen[] = {"generated_ids", "step_logits", "grad.", "loss"};

static const char int8_gradients[] = "int8 does not train";
static const char other_form[] = "belongs to another storage form";
static const char langbridge_pads[] = "LangBridge counts masked pads as positions; padded rows cannot agree";

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static double limit_of(const struct lay_verify_case *c, const char *name)
{
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(c->json, "limits"), *item;
    double limit = 0;
    size_t longest = 0;
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (starts_with(name, limits[i].start) && strlen(limits[i].start) >= longest) {
            longest = strlen(limits[i].start);
            limit = limits[i].limit;
        }
    longest = 0;
    cJSON_ArrayForEach(item, own)
    {
        if (cJSON_IsNumber(item) && item->valuedouble >= 0 && starts_with(name, item->string) &&
            strlen(item->string) >= longest) {
            longest = strlen(item->string);
            limit = item->valuedouble;
        }
    }
    return limit;
}

static const char *reason_of(const char *name)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (starts_with(name, reasons[i].start))
            return reasons[i].reason;
    return "unknown name; `layeval verify --help` lists those it knows";
}

/* "llm.layer3.out" → "llm.layer*.out"; all gradients are one family. */
static void family_name(const char *name, char family[LAY_VERIFY_NAME])
{
    size_t length = 0;
    if (starts_with(name, "grad.")) {
        strcpy(family, "grad.*");
        return;
    }
    for (const char *at = name; *at && length + 1 < LAY_VERIFY_NAME; at++) {
        const bool number = isdigit((unsigned char)*at) && length > 0 &&
                            (family[length - 1] == '.' || family[length - 1] == '*' ||
                             (length >= 5 && memcmp(family + length - 5, "layer", 5) == 0));
        if (number && family[length - 1] == '*')
            continue;
        family[length++] = number ? '*' : *at;
    }
    family[length] = '\0';
}

static struct lay_verify_family *find_family(struct lay_verify_report *report, const char *name,
                                             struct lay_err *err)
{
    char family[LAY_VERIFY_NAME];
    family_name(name, family);
    for (size_t i = 0; i < report->n; i++)
        if (strcmp(report->families[i].name, family) == 0)
            return &report->families[i];
    if (report->n == LAY_VERIFY_FAMILIES) {
        lay_fail(err, LAY_ERR_INPUT, "more than %d families of tensors", LAY_VERIFY_FAMILIES);
        return NULL;
    }
    struct lay_verify_family *f = &report->families[report->n++];
    *f = (struct lay_verify_family){0};
    strcpy(f->name, family);
    return f;
}

static void fail(struct lay_verify_report *report, struct lay_verify_family *f, const char *name)
{
    f->failed = report->failed = true;
    snprintf(f->worst, sizeof f->worst, "%s", name);
}

/* [B, T, width], [B, T] or [1]; position_ids may have one row for all. */
static bool same_shape(const struct lay_tensor *t, const struct lay_verify_result *r, bool *broadcast)
{
    const int64_t B = t->rank >= 2 ? t->shape[0] : 1;
    const int64_t T = t->rank >= 2 ? t->shape[1] : t->rank == 1 ? t->shape[0] : 1;
    const int64_t width = t->rank == 3 ? t->shape[2] : 1;
    *broadcast = B == 1 && r->B > 1 && strstr(r->name, "position_ids");
    return t->rank <= 3 && !t->transposed && T == r->T && width == r->width && (B == r->B || *broadcast);
}

double lay_verify_relative_limit(enum lay_dtype dtype)
{
    return dtype == LAY_BF16 ? 0.025 : dtype == LAY_I8 ? 0.12 : 0;
}

double lay_verify_relative_error(const struct lay_verify_family *family)
{
    return family->error_squares > 0 ? sqrt(family->error_squares / family->size_squares) : 0;
}

static bool is_judged(const struct lay_verify_report *report, const char *name)
{
    for (size_t i = 0; i < sizeof chosen / sizeof *chosen; i++)
        if (report->dtype != LAY_F32 && starts_with(name, chosen[i]))
            return false;
    return true;
}

static void judge(struct lay_verify_report *report, struct lay_verify_family *f)
{
    const double limit = f->limit > 0 ? lay_verify_relative_limit(report->dtype) : 0;
    const bool good = limit > 0 ? lay_verify_relative_error(f) <= limit : f->largest <= f->limit;
    if (f->judged && !(good && isfinite(f->largest)))
        f->failed = report->failed = true;
}

/* One row of a tensor and what was computed for it. */
static void compare_row(struct lay_verify_family *f, const struct lay_tensor *t, size_t at, const float *row,
                        int64_t width)
{
    int64_t best = 0, expected_best = 0;
    for (int64_t i = 0; i < width; i++) {
        const double expected = lay_verify_element(t, at + (size_t)i),
                     difference = fabs((double)row[i] - expected);
        best = row[i] > row[best] ? i : best;
        expected_best = expected > lay_verify_element(t, at + (size_t)expected_best) ? i : expected_best;
        f->error_squares += difference * difference;
        f->size_squares += expected * expected;
        if (difference <= f->largest)
            continue;
        f->largest = isnan(difference) ? INFINITY : difference; /* NaN is a failure, too */
        snprintf(f->worst, sizeof f->worst, "%s", t->name);
    }
    f->rows++;
    f->agreed += best == expected_best;
}

static void compare(struct lay_verify_report *report, struct lay_verify_family *f, const struct lay_tensor *t,
                    const struct lay_verify_result *r)
{
    bool broadcast;
    int64_t places = 0;
    if (!same_shape(t, r, &broadcast)) {
        f->compared++;
        f->largest = INFINITY;
        if (f->judged)
            fail(report, f, t->name);
        return;
    }
    for (int64_t b = 0; b < r->B; b++)
        for (int64_t p = 0; p < r->T; p++) {
            const int64_t row = r->rows[b * r->T + p];
            if (row < 0)
                continue;
            places++;
            const size_t at = (size_t)(((broadcast ? 0 : b) * r->T + p) * r->width);
            compare_row(f, t, at, r->data + row * r->width, r->width);
        }
    if (places == 0) {
        f->skipped++;
        f->reason = langbridge_pads;
        return;
    }
    f->compared++;
    f->partly += places < r->B * r->T;
    judge(report, f);
}

enum lay_status lay_verify_compare(const struct lay_verify_case *c, const char *keys, const char *prefix,
                                   const struct lay_verify_result *results, struct lay_verify_report *report,
                                   struct lay_err *err)
{
    char start[2 * LAY_VERIFY_NAME];
    snprintf(start, sizeof start, "%s%s", keys, prefix);
    for (size_t i = 0; i < lay_checkpoint_count(c->expected); i++) {
        const struct lay_tensor *t = lay_checkpoint_at(c->expected, i);
        if (!starts_with(t->name, start))
            continue;
        const char *name = t->name + strlen(start);
        const struct lay_verify_result *r = results;
        while (r && strcmp(r->name, name) != 0)
            r = r->next;
        struct lay_verify_family *f = find_family(report, name, err);
        if (!f)
            return err ? err->status : LAY_ERR_INPUT;
        f->limit = limit_of(c, name);
        f->judged = is_judged(report, name);
        if (r) {
            compare(report, f, t, r);
        } else {
            f->skipped++;
            f->reason =
                report->dtype == LAY_I8 && starts_with(name, "grad.") ? int8_gradients : reason_of(name);
        }
    }
    return LAY_OK;
}

static bool is_claimed(const struct lay_verify_case *c, const char *keys, const char *name)
{
    char prefix[LAY_VERIFY_NAME];
    size_t at = 0;
    if (!starts_with(name, keys))
        return false;
    while (lay_verify_next_prefix(c->expected, &at, prefix))
        if (starts_with(name + strlen(keys), prefix))
            return true;
    return false;
}

enum lay_status lay_verify_leftovers(const struct lay_verify_case *c, const char *keys,
                                     struct lay_verify_report *report, struct lay_err *err)
{
    for (size_t i = 0; i < lay_checkpoint_count(c->expected); i++) {
        const char *name = lay_checkpoint_at(c->expected, i)->name;
        if (is_claimed(c, keys, name))
            continue;
        const char *dot = strchr(name, '.');
        const bool form = keys[0] || (dot && dot - name > 4 && strncmp(dot - 4, "ckpt", 4) == 0);
        struct lay_verify_family *f = find_family(report, form ? "(other forms)" : name, err);
        if (!f)
            return err ? err->status : LAY_ERR_INPUT;
        f->skipped++;
        f->reason = form ? other_form : "no enc_ids or prompt_ids of that prefix";
    }
    return LAY_OK;
}
