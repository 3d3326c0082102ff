#include "reports/results_json.h"

#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "reports/accuracy.h"
#include "reports/emit.h"
#include "reports/samples.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What one member of a section is about: a language of a task, or one of its averages. */
struct subject {
    const struct lay_system_result *system;
    const struct lay_task_result *task;
    const struct lay_cell *cell;       /* NULL for an average */
    const struct lay_average *average; /* NULL for a language */
    enum lay_set set;
    const char *prefix; /* of every name */
    const char *name;
    struct lay_err *fault; /* gets what went wrong with a language */
};

static const cJSON *member_of(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* The element of manifest[list] whose member `key` is `value`. */
static const cJSON *element_of(const cJSON *object, const char *list, const char *key, const char *value)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, member_of(object, list))
    {
        const char *text = cJSON_GetStringValue(member_of(item, key));
        if (text && strcmp(text, value) == 0)
            return item;
    }
    return NULL;
}

static const cJSON *data_of(const struct subject *subject)
{
    const cJSON *task = element_of(subject->system->manifest, "tasks", "task", subject->task->task);
    return element_of(task, "languages", "language", subject->cell->language);
}

static void put_stderr(struct lay_emit *emit, const char *key, double value)
{
    if (isnan(value))
        lay_emit_string(emit, key, "N/A");
    else
        lay_emit_double(emit, key, value);
}

static void put_metrics(struct lay_emit *emit, const struct subject *subject)
{
    double paper, strict, paper_error, strict_error;
    char alias[64];
    if (subject->cell) {
        const struct lay_counts c = lay_cell_counts(subject->cell);
        paper = c.n ? (double)c.correct_paper / (double)c.n : NAN;
        strict = c.n ? (double)c.correct_strict / (double)c.n : NAN;
        paper_error = lay_standard_error(c.correct_paper, c.n);
        strict_error = lay_standard_error(c.correct_strict, c.n);
        snprintf(alias, sizeof alias, " - %s_%s", subject->task->task, subject->cell->language);
    } else {
        paper = subject->average->paper_fraction.mean;
        strict = subject->average->strict_fraction.mean;
        paper_error = subject->average->paper_fraction.standard_error;
        strict_error = subject->average->strict_fraction.standard_error;
        snprintf(alias, sizeof alias, "%s", subject->name + strlen(subject->prefix));
    }
    lay_emit_open(emit, subject->name, '{');
    lay_emit_string(emit, "alias", alias);
    lay_emit_double(emit, "acc,paper", paper);
    put_stderr(emit, "acc_stderr,paper", paper_error);
    lay_emit_double(emit, "acc,strict", strict);
    put_stderr(emit, "acc_stderr,strict", strict_error);
    lay_emit_close(emit, '}');
}

static void put_subtasks(struct lay_emit *emit, const struct subject *subject)
{
    char name[512];
    lay_emit_open(emit, subject->name, '[');
    for (size_t i = 0; i < subject->task->count; i++) {
        if (!lay_set_has(subject->set, &subject->task->cells[i]))
            continue;
        snprintf(name, sizeof name, "%s%s_%s", subject->prefix, subject->task->task,
                 subject->task->cells[i].language);
        lay_emit_string(emit, NULL, name);
    }
    lay_emit_close(emit, ']');
}

static void put_metric_list(struct lay_emit *emit)
{
    static const char *const filters[] = {"paper", "strict"};
    lay_emit_open(emit, "metric_list", '[');
    lay_emit_open(emit, NULL, '{');
    lay_emit_string(emit, "metric", "acc");
    lay_emit_string(emit, "aggregation", "mean");
    lay_emit_bool(emit, "higher_is_better", true);
    lay_emit_close(emit, '}');
    lay_emit_close(emit, ']');
    lay_emit_open(emit, "filter_list", '[');
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        lay_emit_open(emit, NULL, '{');
        lay_emit_string(emit, "name", filters[i]);
        lay_emit_close(emit, '}');
    }
    lay_emit_close(emit, ']');
}

static void put_config(struct lay_emit *emit, const struct subject *subject)
{
    const cJSON *manifest = subject->system->manifest, *data = data_of(subject);
    lay_emit_open(emit, subject->name, '{');
    lay_emit_string(emit, "task", subject->name);
    lay_emit_string(emit, "tag", subject->task->task);
    lay_emit_string(emit, "dataset_path", cJSON_GetStringValue(member_of(data, "file")));
    lay_emit_string(emit, "dataset_name", subject->cell->language_name);
    lay_emit_string(emit, "output_type", "generate_until");
    lay_emit_int(emit, "num_fewshot", 0);
    lay_emit_int(emit, "repeats", 1);
    lay_emit_bool(emit, "should_decontaminate", false);
    lay_generation_put(emit, "generation_kwargs", member_of(manifest, "generation"));
    put_metric_list(emit);
    lay_emit_open(emit, "metadata", '{');
    lay_emit_int(emit, "version", subject->task->version);
    lay_emit_tree(emit, "prompt_set", member_of(manifest, "prompt_set"));
    lay_emit_tree(emit, "data", data);
    lay_emit_close(emit, '}');
    lay_emit_close(emit, '}');
}

static void put_version(struct lay_emit *emit, const struct subject *subject)
{
    lay_emit_int(emit, subject->name, subject->task->version);
}

static void put_shots(struct lay_emit *emit, const struct subject *subject)
{
    lay_emit_int(emit, subject->name, 0);
}

static void put_higher(struct lay_emit *emit, const struct subject *subject)
{
    lay_emit_open(emit, subject->name, '{');
    lay_emit_bool(emit, "acc", true);
    lay_emit_close(emit, '}');
}

static void put_sizes(struct lay_emit *emit, const struct subject *subject)
{
    const cJSON *total = member_of(data_of(subject), "total");
    const int64_t n = (int64_t)subject->cell->count;
    lay_emit_open(emit, subject->name, '{');
    lay_emit_int(emit, "original", cJSON_IsNumber(total) ? (int64_t)total->valuedouble : n);
    lay_emit_int(emit, "effective", n);
    lay_emit_close(emit, '}');
}

/* As lm-evaluation-harness does it: a hash over the sample hashes, one after the other. */
static void put_task_hash(struct lay_emit *emit, const struct subject *subject)
{
    struct lay_str all = {0};
    struct lay_sample_hashes hashes;
    char hex[LAY_HASH_HEX];
    for (size_t i = 0; i < subject->cell->count && !all.failed; i++) {
        if (lay_sample_hash(&subject->cell->records[i], &hashes, subject->fault) != LAY_OK)
            break;
        lay_str_printf(&all, "%s%s%s", hashes.doc, hashes.prompt, hashes.target);
    }
    lay_hash_hex(lay_hash_bytes(lay_str_text(&all), all.length), hex);
    emit->out->failed |= all.failed;
    lay_str_free(&all);
    lay_emit_string(emit, subject->name, hex);
}

static void put_interval(struct lay_emit *emit, const char *key, struct lay_interval interval)
{
    lay_emit_open(emit, key, '[');
    lay_emit_double(emit, NULL, interval.low);
    lay_emit_double(emit, NULL, interval.high);
    lay_emit_close(emit, ']');
}

static void put_counts(struct lay_emit *emit, const struct lay_counts *c)
{
    lay_emit_int(emit, "n", c->n);
    lay_emit_int(emit, "error", c->error);
    lay_emit_int(emit, "correct_paper", c->correct_paper);
    lay_emit_int(emit, "wrong_paper", c->wrong_paper);
    lay_emit_int(emit, "correct_strict", c->correct_strict);
    lay_emit_int(emit, "wrong_strict", c->wrong_strict);
    lay_emit_int(emit, "unparsed", c->unparsed);
    lay_emit_int(emit, "disagree", c->disagree);
    lay_emit_open(emit, "ended", '{');
    lay_emit_int(emit, "eos", c->ended_eos);
    lay_emit_int(emit, "length", c->ended_length);
    lay_emit_int(emit, "stop", c->ended_stop);
    lay_emit_int(emit, "unknown", c->ended_unknown);
    lay_emit_close(emit, '}');
    lay_emit_int(emit, "truncated", c->truncated);
}

static void put_accounting(struct lay_emit *emit, const struct subject *subject)
{
    const struct lay_counts c = lay_cell_counts(subject->cell);
    const cJSON *data = data_of(subject);
    static const char *const groups[] = {NULL, "lrl", "hrl"};
    lay_emit_open(emit, subject->name, '{');
    lay_emit_string(emit, "language", subject->cell->language);
    lay_emit_string(emit, "group", groups[subject->cell->group]);
    put_counts(emit, &c);
    lay_emit_double(emit, "accuracy_paper", lay_accuracy(c.correct_paper, c.n));
    lay_emit_double(emit, "accuracy_strict", lay_accuracy(c.correct_strict, c.n));
    put_interval(emit, "wilson_paper", lay_wilson(c.correct_paper, c.n));
    put_interval(emit, "wilson_strict", lay_wilson(c.correct_strict, c.n));
    lay_emit_tree(emit, "data_hash", member_of(data, "hash"));
    lay_emit_close(emit, '}');
}

static void put_average(struct lay_emit *emit, const struct subject *subject)
{
    const struct lay_average *average = subject->average;
    lay_emit_open(emit, subject->name, '{');
    lay_emit_open(emit, "languages", '[');
    for (size_t i = 0; i < subject->task->count; i++)
        if (lay_set_has(subject->set, &subject->task->cells[i]))
            lay_emit_string(emit, NULL, subject->task->cells[i].language);
    lay_emit_close(emit, ']');
    lay_emit_int(emit, "expected_languages", (int64_t)average->expected);
    lay_emit_bool(emit, "complete", average->languages == average->expected);
    put_counts(emit, &average->counts);
    lay_emit_double(emit, "accuracy_paper", average->paper);
    lay_emit_double(emit, "accuracy_strict", average->strict);
    put_interval(emit, "stratified_paper", average->paper_fraction.interval);
    put_interval(emit, "stratified_strict", average->strict_fraction.interval);
    lay_emit_close(emit, '}');
}

/* A section is one object with a member per average and per language; either may be left out. */
struct section {
    const char *key;
    void (*average)(struct lay_emit *, const struct subject *);
    void (*language)(struct lay_emit *, const struct subject *);
};

static const struct section sections[] = {
    {"results", put_metrics, put_metrics},        {"groups", put_metrics, NULL},
    {"group_subtasks", put_subtasks, NULL},       {"configs", NULL, put_config},
    {"versions", put_version, put_version},       {"n-shot", NULL, put_shots},
    {"higher_is_better", put_higher, put_higher}, {"n-samples", NULL, put_sizes},
};
static const struct section hashes_section = {"task_hashes", NULL, put_task_hash};
static const struct section accounting_section = {"tasks", NULL, put_accounting};
static const struct section averages_section = {"averages", put_average, NULL};

static const enum lay_set set_order[LAY_SET_COUNT] = {LAY_SET_AVG, LAY_SET_LRL, LAY_SET_HRL};

static enum lay_status put_task(struct lay_emit *emit, const struct section *section, struct subject subject,
                                struct lay_err *err)
{
    char name[512];
    struct lay_average average;
    struct lay_err fault = {0};
    subject.name = name;
    subject.fault = &fault;
    for (int i = 0; section->average && i < LAY_SET_COUNT; i++) {
        subject.set = set_order[i];
        LAY_TRY(lay_task_average(subject.task, subject.set, &average, err));
        if (average.languages == 0 || average.expected == 0)
            continue;
        subject.average = &average;
        snprintf(name, sizeof name, "%s%s%s%s", subject.prefix, subject.task->task, i ? "_" : "",
                 i ? lay_set_name(subject.set) : "");
        section->average(emit, &subject);
    }
    subject.average = NULL;
    for (size_t i = 0; section->language && i < subject.task->count; i++) {
        subject.cell = &subject.task->cells[i];
        snprintf(name, sizeof name, "%s%s_%s", subject.prefix, subject.task->task, subject.cell->language);
        section->language(emit, &subject);
        if (fault.status != LAY_OK)
            return lay_fail(err, fault.status, "%s", fault.message);
    }
    return LAY_OK;
}

static enum lay_status put_section(struct lay_emit *emit, const struct section *section,
                                   const struct lay_system_result *systems, size_t count, bool combined,
                                   struct lay_err *err)
{
    char prefix[256] = "";
    lay_emit_open(emit, section->key, '{');
    for (size_t i = 0; i < count; i++) {
        if (combined)
            snprintf(prefix, sizeof prefix, "%s/", systems[i].name);
        for (size_t j = 0; j < systems[i].count; j++) {
            const struct subject subject = {
                .system = &systems[i], .task = &systems[i].tasks[j], .prefix = prefix};
            LAY_TRY(put_task(emit, section, subject, err));
        }
    }
    lay_emit_close(emit, '}');
    return LAY_OK;
}

static void put_run_config(struct lay_emit *emit, const struct lay_system_result *systems, size_t count)
{
    static const char *const absent[] = {"batch_size", "use_cache",  "random_seed",
                                         "numpy_seed", "torch_seed", "fewshot_seed"};
    const cJSON *manifest = count == 1 ? systems[0].manifest : NULL;
    lay_emit_open(emit, "config", '{');
    lay_emit_string(emit, "model", "layeval");
    if (count == 1) {
        lay_emit_tree(emit, "model_args", member_of(manifest, "system"));
        lay_emit_tree(emit, "model_dtype", member_of(manifest, "dtype"));
        lay_emit_tree(emit, "limit", member_of(manifest, "limit"));
        lay_generation_put(emit, "gen_kwargs", member_of(manifest, "generation"));
    }
    lay_emit_string(emit, "device", "cpu");
    lay_emit_int(emit, "bootstrap_iters", 0);
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        lay_emit_tree(emit, absent[i], NULL);
    lay_emit_close(emit, '}');
}

/* One system's share of "layeval". */
static enum lay_status put_ours(struct lay_emit *emit, const struct lay_system_result *system, bool combined,
                                struct lay_err *err)
{
    static const char *const carried[] = {
        "prompt_set", "dtype",          "quantised",       "weights_fingerprint",    "onednn",
        "isa",        "official_batch", "batch_invariant", "batch_invariant_reason", "generations",
        "shard",
    };
    lay_emit_open(emit, system->name, '{');
    lay_emit_string(emit, "method", system->method);
    lay_emit_string(emit, "match", system->match);
    lay_emit_int(emit, "strict_version", system->strict_version);
    for (size_t i = 0; i < sizeof carried / sizeof *carried; i++) {
        const cJSON *item = member_of(system->manifest, carried[i]);
        if (item)
            lay_emit_tree(emit, carried[i], item);
    }
    LAY_TRY(put_section(emit, &accounting_section, system, 1, combined, err));
    LAY_TRY(put_section(emit, &averages_section, system, 1, combined, err));
    lay_emit_close(emit, '}');
    return LAY_OK;
}

enum lay_status lay_results_json_put(struct lay_str *out, const struct lay_system_result *systems,
                                     size_t count, bool combined, struct lay_err *err)
{
    struct lay_emit emit = {.out = out, .indent = 2};
    lay_emit_open(&emit, NULL, '{');
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        LAY_TRY(put_section(&emit, &sections[i], systems, count, combined, err));
    put_run_config(&emit, systems, count);
    LAY_TRY(put_section(&emit, &hashes_section, systems, count, combined, err));
    lay_emit_string(&emit, "model_source", "layeval");
    if (count == 1) {
        lay_emit_string(&emit, "model_name", systems[0].name);
        lay_emit_string(&emit, "model_name_sanitized", systems[0].name);
    }
    lay_emit_open(&emit, "layeval", '{');
    lay_emit_string(&emit, "version", LAYEVAL_VERSION);
    lay_emit_open(&emit, "systems", '{');
    for (size_t i = 0; i < count; i++)
        LAY_TRY(put_ours(&emit, &systems[i], combined, err));
    lay_emit_close(&emit, '}');
    lay_emit_close(&emit, '}');
    lay_emit_close(&emit, '}');
    lay_str_putc(out, '\n');
    return lay_str_check(out, err);
}
