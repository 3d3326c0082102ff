#include "harness/run/manifest.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/dnn/linear.h"

#include <string.h>

const char *lay_match_name(enum lay_match match)
{
    return match == LAY_MATCH_FLOAT_EQ ? "float-eq" : "tolerance";
}

/* --- building: cJSON's adders answer NULL when memory runs out; one check at the end of each function
 * suffices because a lost member shows in `ok` --- */

/* One that need not be there. */
static bool move_item(cJSON *object, const char *key, cJSON *item)
{
    return !item || lay_json_add(object, key, item);
}

static bool add_number(cJSON *object, const char *key, int64_t number)
{
    return cJSON_AddNumberToObject(object, key, (double)number) != NULL;
}

static bool add_string(cJSON *object, const char *key, const char *text)
{
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static bool holds_string(const cJSON *array, const char *text)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array) if (strcmp(item->valuestring, text) == 0) return true;
    return false;
}

static bool add_stops(cJSON *array, const struct lay_prompt_set *prompts,
                      const struct lay_workload_cell *cell)
{
    size_t count;
    const char *const *stops = lay_prompt_stops(prompts, cell->task, cell->language, &count);
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++)
        if (!holds_string(array, stops[i]))
            ok = lay_json_add(array, NULL, cJSON_CreateString(stops[i]));
    return ok;
}

static bool add_language(cJSON *languages, const struct lay_workload_cell *cell)
{
    cJSON *language = cJSON_CreateObject();
    return lay_json_add(languages, NULL, language) && add_string(language, "language", cell->language->iso) &&
           add_string(language, "file", cell->file) && add_string(language, "layout", cell->data->layout) &&
           add_string(language, "hash", cell->data->hash) &&
           add_number(language, "n", (int64_t)cell->wanted) &&
           add_number(language, "total", (int64_t)cell->data->total) &&
           add_number(language, "first_line", cell->data->first_line);
}

/* What the labels of the data files are called in answers: scoring again must not need the prompt set. */
static bool add_label_words(cJSON *object, const struct lay_prompt_set *prompts, const struct lay_task *task)
{
    cJSON *words = task->n_labels ? cJSON_AddObjectToObject(object, "label_words") : NULL;
    bool ok = words || !task->n_labels;
    for (size_t i = 0; i < task->n_labels && ok; i++)
        ok = add_string(words, task->labels[i], lay_prompt_target(prompts, task, task->labels[i]));
    return ok;
}

static bool add_tasks(cJSON *manifest, const struct lay_workload *workload,
                      const struct lay_prompt_set *prompts)
{
    cJSON *tasks = cJSON_AddArrayToObject(manifest, "tasks");
    cJSON *languages = NULL;
    bool ok = tasks != NULL;
    for (size_t i = 0; i < workload->count && ok; i++) {
        const struct lay_workload_cell *cell = &workload->cells[i];
        if (i == 0 || workload->cells[i - 1].task != cell->task) {
            cJSON *task = cJSON_CreateObject();
            ok = lay_json_add(tasks, NULL, task) && add_string(task, "task", cell->task->name) &&
                 add_number(task, "version", cell->task->version) &&
                 add_label_words(task, prompts, cell->task) &&
                 (languages = cJSON_AddArrayToObject(task, "languages")) != NULL;
        }
        ok = ok && add_language(languages, cell);
    }
    return ok;
}

static bool add_prompt_set(cJSON *manifest, const struct lay_prompt_set *prompts)
{
    cJSON *set = cJSON_AddObjectToObject(manifest, "prompt_set");
    return set && add_string(set, "name", lay_prompt_set_name(prompts)) &&
           add_number(set, "version", lay_prompt_set_version(prompts)) &&
           add_string(set, "hash", lay_prompt_set_hash(prompts));
}

static bool add_generation(cJSON *manifest, const struct lay_manifest_inputs *inputs)
{
    cJSON *generation = cJSON_AddObjectToObject(manifest, "generation");
    if (!generation || !cJSON_AddBoolToObject(generation, "greedy", true) ||
        !add_number(generation, "num_fewshot", 0) ||
        !add_number(generation, "max_new_tokens", inputs->max_new_tokens))
        return false;
    cJSON *stops = cJSON_AddArrayToObject(generation, "stops");
    bool ok = stops != NULL;
    for (size_t i = 0; i < inputs->workload->count && ok; i++)
        ok = add_stops(stops, inputs->prompts, &inputs->workload->cells[i]);
    return ok;
}

static bool add_optional(cJSON *manifest, const char *key, int64_t number, bool given)
{
    return given ? add_number(manifest, key, number) : cJSON_AddNullToObject(manifest, key) != NULL;
}

/* The numbers of samples under "tasks" stay those of the whole run. */
static bool add_shard(cJSON *manifest, const struct lay_manifest_inputs *in)
{
    if (in->shard.count == 0)
        return cJSON_AddNullToObject(manifest, "shard") != NULL;
    cJSON *shard = cJSON_AddObjectToObject(manifest, "shard");
    return shard && add_number(shard, "index", in->shard.index) &&
           add_number(shard, "count", in->shard.count) &&
           add_number(shard, "samples", (int64_t)in->workload->samples);
}

/* Known when the weights are loaded, unless the run asks for batches that influence each other. */
static bool add_invariance(cJSON *manifest, const struct lay_manifest_inputs *in, bool loaded)
{
    struct lay_str reason = {0};
    bool invariant = false;
    if (in->official_batch > 0)
        lay_str_printf(
            &reason,
            "--official-batch %lld reproduces the official code, whose padding lets the samples of "
            "a batch influence each other",
            (long long)in->official_batch);
    else if (loaded)
        invariant = lay_system_is_invariant(in->system, &reason);
    else
        return true;
    const bool ok = cJSON_AddBoolToObject(manifest, "batch_invariant", invariant) &&
                    add_string(manifest, "batch_invariant_reason", lay_str_text(&reason));
    lay_str_free(&reason);
    return ok;
}

/* The fingerprint and what is quantised move from the system to the top, where formats.md has them. */
static bool add_system(cJSON *manifest, const struct lay_system *system, cJSON **fingerprint,
                       cJSON **quantised)
{
    cJSON *description = lay_system_describe(system);
    if (!description)
        return false;
    *fingerprint = cJSON_DetachItemFromObjectCaseSensitive(description, "weights_fingerprint");
    *quantised = cJSON_DetachItemFromObjectCaseSensitive(description, "quantised");
    return lay_json_add(manifest, "system", description);
}

static bool fill(cJSON *manifest, const struct lay_manifest_inputs *in)
{
    cJSON *fingerprint = NULL, *quantised = NULL;
    const bool bf16 = lay_system_dtype(in->system) == LAY_BF16;
    const bool ok =
        add_string(manifest, "layeval", LAYEVAL_VERSION) &&
        add_system(manifest, in->system, &fingerprint, &quantised) && add_prompt_set(manifest, in->prompts) &&
        add_tasks(manifest, in->workload, in->prompts) && add_generation(manifest, in) &&
        add_optional(manifest, "official_batch", in->official_batch, in->official_batch > 0) &&
        add_optional(manifest, "limit", in->limit, in->limit >= 0) && add_shard(manifest, in) &&
        add_string(manifest, "match", lay_match_name(in->match)) &&
        add_number(manifest, "strict_version", LAY_STRICT_VERSION) &&
        add_string(manifest, "dtype", lay_precision_name(lay_system_dtype(in->system))) &&
        (!bf16 || add_string(manifest, "bf16", lay_dnn_bf16_support())) &&
        add_string(manifest, "onednn", lay_dnn_version()) && add_string(manifest, "isa", lay_dnn_isa()) &&
        add_invariance(manifest, in, fingerprint != NULL);
    /* both are always consumed */
    const bool moved = move_item(manifest, "quantised", quantised);
    return move_item(manifest, "weights_fingerprint", fingerprint) && moved && ok;
}

enum lay_status lay_manifest_build(const struct lay_manifest_inputs *inputs, cJSON **manifest,
                                   struct lay_err *err)
{
    *manifest = cJSON_CreateObject();
    if (*manifest && fill(*manifest, inputs))
        return LAY_OK;
    cJSON_Delete(*manifest);
    *manifest = NULL;
    return lay_no_memory(err, "the manifest");
}

/* --- the file --- */

enum lay_status lay_manifest_write(const char *dir, const cJSON *manifest, char hash[LAY_HASH_HEX],
                                   struct lay_err *err)
{
    struct lay_str text = {0};
    lay_json_put(&text, manifest, 2);
    lay_str_putc(&text, '\n');
    const enum lay_status status = lay_file_write_in(dir, LAY_MANIFEST_FILE, &text, err);
    if (status == LAY_OK)
        lay_hash_hex(lay_hash_bytes(text.data, text.length), hash);
    lay_str_free(&text);
    return status;
}

enum lay_status lay_manifest_read(const char *dir, cJSON **manifest, char hash[LAY_HASH_HEX],
                                  struct lay_err *err)
{
    struct lay_str text = {0};
    char *path = lay_path_join(dir, LAY_MANIFEST_FILE);
    *manifest = NULL;
    if (!path)
        return lay_no_memory(err, "a path");
    enum lay_status status = lay_file_read(path, LAY_JSON_FILE_MAX, &text, err);
    if (status == LAY_OK)
        status = lay_json_parse(path, lay_str_text(&text), text.length, manifest, err);
    if (status == LAY_OK)
        lay_hash_hex(lay_hash_bytes(text.data, text.length), hash);
    lay_str_free(&text);
    lay_free(path);
    return status;
}

int64_t lay_manifest_samples(const cJSON *manifest)
{
    const cJSON *task, *language;
    struct lay_shard shard;
    int64_t samples = 0;
    if (lay_shard_read(manifest, &shard, &samples))
        return samples;
    cJSON_ArrayForEach(task, cJSON_GetObjectItemCaseSensitive(manifest, "tasks"))
    {
        cJSON_ArrayForEach(language, cJSON_GetObjectItemCaseSensitive(task, "languages"))
        {
            int64_t n = 0;
            if (lay_json_get_int(language, "", "n", &n, NULL) == LAY_OK && n > 0 && n < INT32_MAX)
                samples += n;
        }
    }
    return samples;
}

/* --- comparing --- */

enum { SHOWN_DIFFERENCES = 6, VALUE_SHOWN = 36 };

struct comparison {
    bool before_load;
    const char *stored_name, *wanted_name;
    struct lay_str *text;
    size_t count;
};

static void put_value(struct lay_str *out, const cJSON *value)
{
    struct lay_str text = {0};
    if (!value) {
        lay_str_puts(out, "nothing");
        return;
    }
    lay_json_put(&text, value, -1);
    size_t shown = text.length;
    if (shown > VALUE_SHOWN)
        for (shown = VALUE_SHOWN; shown > 0 && ((unsigned char)text.data[shown] & 0xC0) == 0x80; shown--)
            ; /* never cut within a character */
    lay_str_append(out, lay_str_text(&text), shown);
    lay_str_puts(out, shown < text.length ? "…" : "");
    lay_str_free(&text);
}

static void differ(struct comparison *c, const char *path, const cJSON *stored, const cJSON *wanted)
{
    if (c->count++ >= SHOWN_DIFFERENCES)
        return;
    lay_str_printf(c->text, "%s%s (%s ", c->count > 1 ? ", " : "", path, c->stored_name);
    put_value(c->text, stored);
    lay_str_printf(c->text, ", %s ", c->wanted_name);
    put_value(c->text, wanted);
    lay_str_putc(c->text, ')');
}

static void compare(struct comparison *c, const char *path, const cJSON *stored, const cJSON *wanted);

static void compare_objects(struct comparison *c, const char *path, const cJSON *stored, const cJSON *wanted)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, wanted)
    {
        struct lay_str inside = {0};
        lay_str_printf(&inside, "%s%s%s", path, *path ? "." : "", item->string);
        compare(c, lay_str_text(&inside), cJSON_GetObjectItemCaseSensitive(stored, item->string), item);
        lay_str_free(&inside);
    }
    cJSON_ArrayForEach(item, stored)
    {
        if (c->before_load || cJSON_GetObjectItemCaseSensitive(wanted, item->string))
            continue;
        struct lay_str inside = {0};
        lay_str_printf(&inside, "%s%s%s", path, *path ? "." : "", item->string);
        differ(c, lay_str_text(&inside), item, NULL);
        lay_str_free(&inside);
    }
}

static void compare_arrays(struct comparison *c, const char *path, const cJSON *stored, const cJSON *wanted)
{
    const cJSON *a = stored->child, *b = wanted->child;
    if (cJSON_GetArraySize(stored) != cJSON_GetArraySize(wanted)) {
        differ(c, path, stored, wanted);
        return;
    }
    for (int i = 0; a && b; a = a->next, b = b->next, i++) {
        struct lay_str inside = {0};
        lay_str_printf(&inside, "%s[%d]", path, i);
        compare(c, lay_str_text(&inside), a, b);
        lay_str_free(&inside);
    }
}

static void compare(struct comparison *c, const char *path, const cJSON *stored, const cJSON *wanted)
{
    if (cJSON_IsObject(stored) && cJSON_IsObject(wanted))
        compare_objects(c, path, stored, wanted);
    else if (cJSON_IsArray(stored) && cJSON_IsArray(wanted))
        compare_arrays(c, path, stored, wanted);
    else if (!stored || !cJSON_Compare(stored, wanted, true))
        differ(c, path, stored, wanted);
}

void lay_manifest_differences(struct lay_manifest_side a, struct lay_manifest_side b, bool before_load,
                              struct lay_str *text)
{
    struct comparison c = {
        .before_load = before_load, .stored_name = a.name, .wanted_name = b.name, .text = text};
    compare(&c, "", a.manifest, b.manifest);
    if (c.count > SHOWN_DIFFERENCES)
        lay_str_printf(text, " and %zu more", c.count - SHOWN_DIFFERENCES);
}

enum lay_status lay_manifest_compare(const char *dir, const cJSON *stored, const cJSON *wanted,
                                     bool before_load, struct lay_err *err)
{
    struct lay_str text = {0};
    lay_manifest_differences((struct lay_manifest_side){"there", stored},
                             (struct lay_manifest_side){"now", wanted}, before_load, &text);
    enum lay_status status = lay_str_check(&text, err);
    if (status == LAY_OK && text.length > 0)
        status =
            lay_fail(err, LAY_ERR_INPUT,
                     "%s: holds another run, which this one cannot continue; it differs in %s; name another "
                     "--out or remove that directory",
                     dir, lay_str_text(&text));
    lay_str_free(&text);
    return status;
}
