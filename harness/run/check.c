#include "harness/run/check.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/next_tokens.h"

#include <math.h>
#include <string.h>

/* --- which run --- */

static char *directory_of(const struct lay_run_options *options, const char *system, struct lay_err *err)
{
    bool itself;
    if (lay_loaded_is_run(options->check_against, &itself, err) != LAY_OK)
        return NULL;
    char *dir = itself ? lay_strdup(options->check_against) : lay_path_join(options->check_against, system);
    if (!dir)
        (void)lay_no_memory(err, "a path");
    return dir;
}

/* Everything but precision must be the same. */
static enum lay_status compare_keys(const struct lay_check *check, const cJSON *ours, struct lay_err *err)
{
    static const char *const keys[] = {"system", "prompt_set", "tasks", "generation",
                                       "limit",  "shard",      "match", "official_batch"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const cJSON *a = cJSON_GetObjectItemCaseSensitive(ours, keys[i]);
        const cJSON *b = cJSON_GetObjectItemCaseSensitive(check->against.manifest, keys[i]);
        if ((a || b) && !cJSON_Compare(a, b, true))
            return lay_fail(
                err, LAY_ERR_INPUT,
                "--check-against %s: was run with another \"%s\" (%s in its manifest); only the dtype "
                "may differ",
                check->against.dir, keys[i], keys[i]);
    }
    return LAY_OK;
}

static enum lay_status read_dtypes(struct lay_check *check, const cJSON *ours, struct lay_err *err)
{
    const char *dtype = NULL, *against = NULL;
    LAY_TRY(lay_json_get_string(ours, LAY_MANIFEST_FILE, "dtype", &dtype, err));
    LAY_TRY(lay_json_get_string(check->against.manifest, check->against.dir, "dtype", &against, err));
    if (!against || lay_precision_dtype(against) == LAY_DTYPE_COUNT)
        return lay_fail(err, LAY_ERR_INPUT,
                        "--check-against %s: its manifest names no dtype that can be loaded",
                        check->against.dir);
    snprintf(check->dtype, sizeof check->dtype, "%s", dtype ? dtype : "");
    snprintf(check->dtype_against, sizeof check->dtype_against, "%s", against);
    return LAY_OK;
}

enum lay_status lay_check_open(const struct lay_run_system *run, const struct lay_run_options *options,
                               const struct lay_workload *workload, struct lay_check *check,
                               struct lay_err *err)
{
    cJSON *ours = NULL;
    *check = (struct lay_check){.system = lay_system_name(run->system)};
    char *dir = directory_of(options, check->system, err);
    if (!dir)
        return err ? err->status : LAY_ERR_MEMORY;
    enum lay_status status = lay_loaded_open(dir, NULL, &check->against, err);
    lay_free(dir);
    if (status != LAY_OK)
        return lay_err_context(err, status, "--check-against");
    if (check->against.promised > (int64_t)check->against.journal.count)
        return lay_fail(err, LAY_ERR_INPUT,
                        "--check-against %s: %zu of %lld samples are answered; finish that run first",
                        check->against.dir, check->against.journal.count, (long long)check->against.promised);
    LAY_TRY(lay_run_system_manifest(run, options, workload, &ours, err));
    status = compare_keys(check, ours, err);
    if (status == LAY_OK)
        status = read_dtypes(check, ours, err);
    cJSON_Delete(ours);
    return status;
}

void lay_check_close(struct lay_check *check)
{
    lay_loaded_free(&check->against);
    *check = (struct lay_check){0};
}

/* --- answers --- */

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static void compare_record(struct lay_agreement *agreement, const struct lay_record *a,
                           const struct lay_record *b)
{
    agreement->samples++;
    agreement->same_output += a->error == b->error && same_text(a->output, b->output);
    agreement->same_answer += a->error == b->error && same_text(a->paper_extracted, b->paper_extracted);
    agreement->correct += a->paper_correct;
    agreement->correct_against += b->paper_correct;
}

struct lay_agreement lay_agreement_of(const struct lay_system_result *result,
                                      const struct lay_system_result *against)
{
    struct lay_agreement agreement = {0};
    for (size_t t = 0; t < result->count && t < against->count; t++)
        for (size_t c = 0; c < result->tasks[t].count && c < against->tasks[t].count; c++) {
            const struct lay_cell *a = &result->tasks[t].cells[c], *b = &against->tasks[t].cells[c];
            for (size_t i = 0; i < a->count && i < b->count; i++)
                compare_record(&agreement, &a->records[i], &b->records[i]);
        }
    return agreement;
}

/* --- distributions --- */

static struct lay_divergence divergence_of(const struct lay_next_tokens *against,
                                           const struct lay_next_tokens *ours)
{
    struct lay_divergence d = {.prompts = against->prompts};
    for (int64_t i = 0; i < against->prompts; i++) {
        bool same_top;
        const double kl = lay_next_tokens_kl(against, ours, i, &same_top);
        d.mean_kl += kl / (double)against->prompts;
        d.max_kl = kl > d.max_kl || isnan(kl) ? kl : d.max_kl;
        d.same_top += same_top;
    }
    return d;
}

static void no_progress(void *context, double fraction)
{
    (void)context, (void)fraction;
}

/* The same weights must have been there: neither run may have read others. */
static enum lay_status check_fingerprint(const struct lay_check *check, const struct lay_run_system *run,
                                         struct lay_err *err)
{
    const cJSON *a = cJSON_GetObjectItemCaseSensitive(run->manifest, "weights_fingerprint");
    const cJSON *b = cJSON_GetObjectItemCaseSensitive(check->against.manifest, "weights_fingerprint");
    return cJSON_Compare(a, b, true)
               ? LAY_OK
               : lay_fail(
                     err, LAY_ERR_INPUT,
                     "--check-against %s: was run with other weights (%s, not %s); results are written, the "
                     "check is not",
                     check->against.dir, cJSON_GetStringValue(b), cJSON_GetStringValue(a));
}

static struct lay_system_options options_against(const struct lay_check *check,
                                                 const struct lay_run_options *options)
{
    struct lay_system_options system = options->system;
    const cJSON *quantised = cJSON_GetObjectItemCaseSensitive(check->against.manifest, "quantised");
    const char *kept = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(quantised, "kept_in_bf16"));
    system.dtype = lay_precision_dtype(check->dtype_against);
    system.keep_bf16 = system.dtype == LAY_I8 ? (kept ? kept : "") : NULL;
    return system;
}

static enum lay_status next_tokens_against(const struct lay_check *check, const char *path,
                                           const struct lay_run_options *options,
                                           const struct lay_items *items, size_t cells,
                                           struct lay_next_tokens *tokens, struct lay_err *err)
{
    const struct lay_system_options how = options_against(check, options);
    struct lay_system *system = NULL;
    enum lay_status status = lay_system_open(path, &how, &system, err);
    if (status == LAY_OK)
        status = lay_system_load(system, no_progress, NULL, err);
    if (status == LAY_OK)
        status = lay_next_tokens_get(system, items, cells, options->check_prompts, tokens, err);
    lay_system_close(system);
    return status == LAY_OK ? LAY_OK
                            : lay_err_context(err, status, "--check-against, in %s", check->dtype_against);
}

static enum lay_status diverge(struct lay_check *check, struct lay_run_system *run, const char *path,
                               const struct lay_run_options *options, const struct lay_items *items,
                               size_t cells, struct lay_err *err)
{
    struct lay_next_tokens ours = {0}, against = {0};
    enum lay_status status = LAY_OK;
    if (!lay_system_is_loaded(run->system))
        status = lay_system_load(run->system, no_progress, NULL, err);
    if (status == LAY_OK)
        status = lay_next_tokens_get(run->system, items, cells, options->check_prompts, &ours, err);
    lay_system_close(run->system); /* makes room for the other precision */
    run->system = NULL;
    if (status == LAY_OK)
        status = next_tokens_against(check, path, options, items, cells, &against, err);
    if (status == LAY_OK)
        check->divergence = divergence_of(&against, &ours);
    lay_next_tokens_free(&ours);
    lay_next_tokens_free(&against);
    return status;
}

/* --- what comes of it --- */

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static cJSON *describe(const struct lay_check *check, const struct lay_run_system *run)
{
    const struct lay_agreement *a = &check->agreement;
    const struct lay_divergence *d = &check->divergence;
    const cJSON *fingerprint = cJSON_GetObjectItemCaseSensitive(run->manifest, "weights_fingerprint");
    cJSON *root = cJSON_CreateObject();
    cJSON_AddStringToObject(root, "dtype", check->dtype);
    cJSON_AddStringToObject(root, "against", check->dtype_against);
    cJSON_AddStringToObject(root, "against_manifest", check->against.manifest_hash);
    lay_json_add(root, "weights_fingerprint", cJSON_Duplicate(fingerprint, true));
    cJSON_AddNumberToObject(root, "samples", (double)a->samples);
    cJSON_AddNumberToObject(root, "same_output", (double)a->same_output);
    cJSON_AddNumberToObject(root, "same_answer", (double)a->same_answer);
    cJSON_AddNumberToObject(root, "accuracy", percent(a->correct, a->samples));
    cJSON_AddNumberToObject(root, "accuracy_against", percent(a->correct_against, a->samples));
    cJSON_AddNumberToObject(root, "accuracy_difference",
                            percent(a->correct - a->correct_against, a->samples));
    cJSON_AddNumberToObject(root, "prompts", (double)d->prompts);
    cJSON_AddNumberToObject(root, "mean_kl_nats", d->mean_kl);
    cJSON_AddNumberToObject(root, "max_kl_nats", d->max_kl);
    cJSON_AddNumberToObject(root, "same_top_token", (double)d->same_top);
    if (cJSON_GetArraySize(root) == 14)
        return root;
    cJSON_Delete(root);
    return NULL;
}

static enum lay_status write_file(const struct lay_check *check, const struct lay_run_system *run,
                                  struct lay_err *err)
{
    struct lay_str text = {0};
    cJSON *root = describe(check, run);
    enum lay_status status = root ? LAY_OK : lay_no_memory(err, "the check");
    if (status == LAY_OK) {
        lay_json_put(&text, root, 2);
        lay_str_putc(&text, '\n');
        status = lay_file_write_in(run->dir, LAY_CHECK_FILE, &text, err);
    }
    lay_str_free(&text);
    cJSON_Delete(root);
    return status;
}

enum lay_status lay_check_run(struct lay_check *check, struct lay_run_system *run, const char *path,
                              const struct lay_run_options *options, const struct lay_workload *workload,
                              struct lay_err *err)
{
    const struct lay_items_options how = lay_run_system_items(run, workload);
    struct lay_items items;
    LAY_TRY(check_fingerprint(check, run, err));
    check->system = check->against.result.name; /* the same, and outlives run->system */
    check->agreement = lay_agreement_of(&run->result, &check->against.result);
    LAY_TRY(lay_items_create(&how, &items, err));
    enum lay_status status = diverge(check, run, path, options, &items, workload->count, err);
    lay_items_free(&items);
    return status == LAY_OK ? write_file(check, run, err) : status;
}

void lay_check_print(const struct lay_check *check, FILE *stream)
{
    const struct lay_agreement *a = &check->agreement;
    const struct lay_divergence *d = &check->divergence;
    fprintf(
        stream,
        "%s, %s against %s: %lld of %lld outputs and %lld answers are the same, accuracy %.1f against %.1f "
        "(%+.1f); next token of %lld prompts: mean KL %.3g nats, largest %.3g, top token the same in %lld\n",
        check->system, check->dtype, check->dtype_against, (long long)a->same_output, (long long)a->samples,
        (long long)a->same_answer, percent(a->correct, a->samples), percent(a->correct_against, a->samples),
        percent(a->correct - a->correct_against, a->samples), (long long)d->prompts, d->mean_kl, d->max_kl,
        (long long)d->same_top);
}
