#include "tasks/train_data.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "tasks/dataset.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void lay_train_set_free(struct lay_train_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        lay_free(set->items[i].source);
        lay_free(set->items[i].prompt);
        lay_free(set->items[i].target);
    }
    for (int32_t i = 0; i < set->n_files; i++)
        lay_free(set->files[i].path);
    lay_free(set->items);
    *set = (struct lay_train_set){0};
}

const char *lay_train_item_name(const struct lay_train_set *set, const struct lay_train_item *item,
                                char *text, size_t size)
{
    snprintf(text, size, "%s:%lld", lay_path_basename(set->files[item->file].path), (long long)item->line);
    return text;
}

/* --- adding items --- */

static enum lay_status grow(struct lay_train_set *set, struct lay_err *err)
{
    return lay_grow((void **)&set->items, &set->capacity, set->count + 1, sizeof *set->items)
               ? LAY_OK
               : lay_no_memory(err, "training data");
}

/* Adds copies; source and prompt may be NULL. */
static enum lay_status add(struct lay_train_set *set, const char *source, const char *prompt,
                           const char *target, const struct lay_language *language, int64_t line,
                           struct lay_err *err)
{
    LAY_TRY(grow(set, err));
    struct lay_train_item *item = &set->items[set->count++];
    *item = (struct lay_train_item){.source = source ? lay_strdup(source) : NULL,
                                    .prompt = prompt ? lay_strdup(prompt) : NULL,
                                    .target = lay_strdup(target),
                                    .language = language,
                                    .file = set->n_files - 1,
                                    .line = line};
    set->files[item->file].items++;
    if ((source && !item->source) || (prompt && !item->prompt) || !item->target)
        return lay_no_memory(err, "training data");
    return LAY_OK;
}

/* An item of a benchmark's kind, said by the prompt set. */
static enum lay_status add_sample(struct lay_train_set *set, const struct lay_train_data_options *options,
                                  const struct lay_task *task, const struct lay_language *language,
                                  const struct lay_sample *sample, int64_t line, struct lay_err *err)
{
    struct lay_str source = {0}, prompt = {0};
    bool has_prompt;
    enum lay_status status =
        lay_prompt_render(options->prompts, task, language, sample, &source, &prompt, &has_prompt, err);
    if (status == LAY_OK)
        status = lay_str_check(&source, err);
    if (status == LAY_OK)
        status = lay_str_check(&prompt, err);
    if (status == LAY_OK)
        status = add(set, source.length ? lay_str_text(&source) : NULL,
                     has_prompt && options->text_prompt ? lay_str_text(&prompt) : NULL,
                     lay_prompt_target(options->prompts, task, sample->target), language, line, err);
    lay_str_free(&source);
    lay_str_free(&prompt);
    return status;
}

static bool wanted(const struct lay_train_data_options *options, const struct lay_language *language)
{
    for (size_t i = 0; i < options->n_languages; i++)
        if (options->languages[i] == language)
            return true;
    return !options->languages;
}

/* --- files --- */

static enum lay_status add_file(struct lay_train_set *set, const char *path, const char *hash,
                                struct lay_err *err)
{
    if (set->n_files == LAY_TRAIN_FILES_MAX)
        return lay_fail(err, LAY_ERR_INPUT, "%s: more than %d training files", path, LAY_TRAIN_FILES_MAX);
    struct lay_train_file *file = &set->files[set->n_files++];
    *file = (struct lay_train_file){.path = lay_strdup(path)};
    memcpy(file->hash, hash, LAY_HASH_HEX);
    return file->path ? LAY_OK : lay_no_memory(err, "a path");
}

/* Opens a file for the line reader; the set's next file. Takes path. */
static enum lay_status open_source(struct lay_train_set *set, char *path, struct lay_source *source,
                                   struct lay_err *err)
{
    char hex[LAY_HASH_HEX];
    *source = (struct lay_source){.path = path};
    if (!path)
        return lay_no_memory(err, "a path");
    LAY_TRY(lay_file_read(path, LAY_DATA_FILE_MAX, &source->content, err));
    if (source->content.length == 0)
        return lay_fail(err, LAY_ERR_INPUT, "%s: the file is empty", path);
    lay_hash_hex(lay_hash_bytes(lay_str_text(&source->content), source->content.length), hex);
    lay_str_puts(&source->hashes, hex);
    LAY_TRY(lay_str_check(&source->hashes, err));
    return add_file(set, path, hex, err);
}

/* DIR/folder/name or DIR/name, whichever exists; NULL when neither does (or memory is short: the caller then
 * says that the file is not there). */
static char *find_file(const char *dir, const char *folder, const char *name)
{
    char *inner = lay_path_join(dir, folder);
    const char *const places[] = {inner, dir};
    char *found = NULL;
    for (int i = 0; i < 2 && inner && !found; i++) {
        found = lay_path_join(places[i], name);
        if (found && !lay_path_exists(found)) {
            lay_free(found);
            found = NULL;
        }
    }
    lay_free(inner);
    return found;
}

static enum lay_status no_file(const char *dir, const char *folder, const char *name,
                               const struct lay_language *language, struct lay_err *err)
{
    return lay_fail(err, LAY_ERR_INPUT, "%s: holds no %s/%s, nor %s%s%s", dir, folder, name, name,
                    language ? "; name with --lang the languages that are there, without " : "",
                    language ? language->iso : "");
}

/* The items after `before` must be some. */
static enum lay_status check_items(const struct lay_train_set *set, size_t before, const char *path,
                                   const struct lay_language *language, struct lay_err *err)
{
    if (set->count > before)
        return LAY_OK;
    return lay_fail(err, LAY_ERR_INPUT, "%s: holds no training item%s%s", path, language ? " in " : "",
                    language ? language->name : "");
}

/* --- items by language, of files that hold several --- */

struct counts {
    int64_t of[257]; /* the last one: items without a language */
};
enum { N_COUNTS = sizeof(struct counts) / sizeof(int64_t), N_LANGUAGES = N_COUNTS - 1 };

static enum lay_status check_table(struct lay_err *err)
{
    return lay_language_count() <= N_LANGUAGES
               ? LAY_OK
               : lay_fail(err, LAY_ERR_INPUT, "languages.json: %zu languages; items of %d can be counted",
                          lay_language_count(), N_LANGUAGES);
}

/* Counts an item; false when its language has enough. */
static bool take(struct counts *counts, const struct lay_language *language, int64_t limit)
{
    size_t i = 0;
    while (i < N_LANGUAGES && (i >= lay_language_count() || lay_language_at(i) != language))
        i++;
    return ++counts->of[i] <= limit || limit == 0;
}

/* Every language that was asked for must have had an item, the file some. */
static enum lay_status check_counts(const struct lay_train_data_options *options, const struct counts *counts,
                                    const char *path, struct lay_err *err)
{
    int64_t items = 0;
    for (size_t i = 0; i < N_COUNTS; i++)
        items += counts->of[i];
    for (size_t i = 0; options->languages && i < lay_language_count(); i++)
        if (counts->of[i] == 0 && wanted(options, lay_language_at(i)))
            return lay_fail(err, LAY_ERR_INPUT,
                            "%s: holds no training item in %s; name with --lang what it has", path,
                            lay_language_at(i)->name);
    return items ? LAY_OK : lay_fail(err, LAY_ERR_INPUT, "%s: holds no training item", path);
}

/* --- translation --- */

static enum lay_status add_pair(struct lay_train_set *set, const struct lay_train_data_options *options,
                                const struct lay_language *language, struct lay_line source,
                                struct lay_line target, int64_t line, struct lay_err *err)
{
    struct lay_str prompt = {0};
    char *said = lay_strndup(source.text, source.length),
         *wanted_text = lay_strndup(target.text, target.length);
    enum lay_status status = said && wanted_text ? LAY_OK : lay_no_memory(err, "training data");
    if (status == LAY_OK && options->text_prompt)
        status = lay_prompt_translation(options->prompts, said, language->name, "English", &prompt, err);
    if (status == LAY_OK)
        status = lay_str_check(&prompt, err);
    if (status == LAY_OK)
        status = add(set, said, options->text_prompt ? lay_str_text(&prompt) : NULL, wanted_text, language,
                     line, err);
    lay_free(said);
    lay_free(wanted_text);
    lay_str_free(&prompt);
    return status;
}

static enum lay_status read_pair_lines(struct lay_train_set *set, struct lay_source *source,
                                       struct lay_source *english, const struct lay_language *language,
                                       const struct lay_train_data_options *options, struct lay_err *err)
{
    for (;;) {
        struct lay_line from, to;
        bool more, more_english;
        LAY_TRY(lay_source_line(source, &from, &more, err));
        LAY_TRY(lay_source_line(english, &to, &more_english, err));
        if (more != more_english)
            return lay_fail(
                err, LAY_ERR_INPUT,
                "%s and %s have different numbers of lines (%s ends behind line %lld); they belong "
                "together line by line",
                source->path, english->path, more ? english->path : source->path,
                (long long)(more ? english->line : source->line));
        if (!more)
            return LAY_OK;
        if (!options->limit || source->line <= options->limit)
            LAY_TRY(add_pair(set, options, language, from, to, source->line, err));
    }
}

/* Both files of a language, whose folder is there. */
static enum lay_status read_pair_files(struct lay_train_set *set, const char *path, const char *name,
                                       const struct lay_language *language,
                                       const struct lay_train_data_options *options, struct lay_err *err)
{
    struct lay_source source = {0}, english = {0};
    const size_t before = set->count;
    char hex[LAY_HASH_HEX];
    enum lay_status status = open_source(set, lay_strdup(path), &source, err);
    if (status == LAY_OK)
        status = lay_source_open_beside(&source, name, &english, err);
    if (status == LAY_OK) {
        lay_hash_hex(lay_hash_bytes(lay_str_text(&source.hashes), source.hashes.length), hex);
        memcpy(set->files[set->n_files - 1].hash, hex, sizeof hex);
        status = read_pair_lines(set, &source, &english, language, options, err);
    }
    if (status == LAY_OK)
        status = check_items(set, before, path, language, err);
    lay_source_close(&english);
    lay_source_close(&source);
    return status;
}

/* *found false when there is no such file. */
static enum lay_status read_pairs_of(struct lay_train_set *set, const char *dir, const char *name,
                                     const struct lay_language *language,
                                     const struct lay_train_data_options *options, bool *found,
                                     struct lay_err *err)
{
    char *path = find_file(dir, "bilingual_pairs", name);
    *found = path != NULL;
    if (!path)
        return LAY_OK;
    const enum lay_status status = read_pair_files(set, path, "train_100k.en", language, options, err);
    lay_free(path);
    return status;
}

static enum lay_status read_translation(struct lay_train_set *set, const struct lay_task *task,
                                        const char *dir, const struct lay_train_data_options *options,
                                        struct lay_err *err)
{
    const size_t before = set->count;
    (void)task;
    for (size_t i = 0; i < lay_language_count(); i++) {
        const struct lay_language *language = lay_language_at(i);
        char name[64];
        bool found;
        if (!wanted(options, language) || (!options->languages && strcmp(language->iso, "en") == 0))
            continue;
        snprintf(name, sizeof name, "en-%s/train_100k.%s", language->iso, language->iso);
        LAY_TRY(read_pairs_of(set, dir, name, language, options, &found, err));
        if (!found && options->languages)
            return no_file(dir, "bilingual_pairs", name, language, err);
    }
    if (set->count == before)
        return no_file(dir, "bilingual_pairs", "en-{iso}/train_100k.{iso}", NULL, err);
    return LAY_OK;
}

/* --- arithmetic --- */

static enum lay_status add_response(struct lay_train_set *set, struct lay_source *source, const cJSON *item,
                                    const struct lay_task *task, const struct lay_train_data_options *options,
                                    struct counts *counts, struct lay_err *err)
{
    const char *query = "", *response = "", *name = "";
    if (!cJSON_IsObject(item))
        return lay_source_fail(source, err, "an object must stand here");
    LAY_TRY(lay_source_string(source, item, "query", &query, err));
    LAY_TRY(lay_source_string(source, item, "response", &response, err));
    LAY_TRY(lay_source_string(source, item, "lang", &name, err));
    const struct lay_language *language = lay_language_find(name);
    if (!language)
        return lay_source_fail(source, err, "\"lang\" is \"%.40s\", a language that is not in languages.json",
                               name);
    if (!wanted(options, language))
        return LAY_OK;
    if (!take(counts, language, options->limit))
        return LAY_OK;
    const struct lay_sample sample = {.question = (char *)(uintptr_t)query,
                                      .target = (char *)(uintptr_t)response};
    return add_sample(set, options, task, language, &sample, source->line, err);
}

static enum lay_status read_responses(struct lay_train_set *set, struct lay_source *source,
                                      const struct lay_task *task,
                                      const struct lay_train_data_options *options, struct lay_err *err)
{
    cJSON *root;
    struct counts counts = {0};
    LAY_TRY(lay_source_whole(source, &root, err));
    const cJSON *list = cJSON_IsObject(root) ? cJSON_GetObjectItemCaseSensitive(root, "data") : root;
    enum lay_status status = LAY_OK;
    if (!cJSON_IsArray(list))
        status = lay_fail(err, LAY_ERR_INPUT,
                          "%s: a list of {\"query\", \"response\", \"lang\"} must stand there", source->path);
    source->line = 0;
    for (const cJSON *item = status == LAY_OK ? list->child : NULL; item && status == LAY_OK;
         item = item->next) {
        source->line++;
        status = add_response(set, source, item, task, options, &counts, err);
    }
    cJSON_Delete(root);
    return status == LAY_OK ? check_counts(options, &counts, source->path, err) : status;
}

static enum lay_status read_math(struct lay_train_set *set, const struct lay_task *task, const char *dir,
                                 const struct lay_train_data_options *options, struct lay_err *err)
{
    static const char *const names[] = {"metamath_615k.json", "math.json"}; /* LayAlign's, MindMerger's */
    struct lay_source source;
    char *path = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !path; i++)
        path = find_file(dir, "query_translation", names[i]);
    if (!path)
        return no_file(dir, "query_translation", "metamath_615k.json or math.json", NULL, err);
    enum lay_status status = open_source(set, path, &source, err);
    if (status == LAY_OK)
        status = read_responses(set, &source, task, options, err);
    lay_source_close(&source);
    return status;
}

/* --- the benchmarks' own layouts --- */

static const struct lay_layout *layout_of(const struct lay_task *task, const char *name)
{
    for (size_t i = 0; i < task->n_layouts; i++)
        if (strcmp(task->layouts[i].name, name) == 0)
            return &task->layouts[i];
    return NULL;
}

/* Reads one file's items of one language. Takes path. */
static enum lay_status read_benchmark(struct lay_train_set *set, char *path, const char *layout,
                                      const struct lay_task *task, const struct lay_language *language,
                                      const struct lay_train_data_options *options, struct lay_err *err)
{
    struct lay_source source;
    struct lay_dataset *dataset = lay_alloc(1, sizeof *dataset);
    enum lay_status status = open_source(set, path, &source, err);
    if (status == LAY_OK && !dataset)
        status = lay_no_memory(err, "training data");
    if (status == LAY_OK) {
        *dataset = (struct lay_dataset){.task = task, .language = language};
        source.dataset = dataset;
        status = layout_of(task, layout)->read(&source, err);
    }
    for (size_t i = 0; status == LAY_OK && i < dataset->count; i++)
        if (!options->limit || (int64_t)i < options->limit)
            status = add_sample(set, options, task, language, &dataset->samples[i], (int64_t)i + 1, err);
    lay_source_close(&source);
    lay_dataset_free(dataset);
    return status;
}

/* Of one language; a language without items is refused when it was asked for. */
static enum lay_status read_benchmark_of(struct lay_train_set *set, const char *dir, const char *name,
                                         const char *layout, const struct lay_task *task,
                                         const struct lay_language *language,
                                         const struct lay_train_data_options *options, struct lay_err *err)
{
    const size_t before = set->count;
    char *path = find_file(dir, "query_translation", name);
    if (!path)
        return options->languages ? no_file(dir, "query_translation", name, language, err) : LAY_OK;
    const int32_t file = set->n_files;
    LAY_TRY(read_benchmark(set, path, layout, task, language, options, err));
    if (options->languages)
        return check_items(set, before, set->files[file].path, language, err);
    return LAY_OK;
}

static enum lay_status read_all_benchmark(struct lay_train_set *set, const struct lay_task *task,
                                          const char *dir, const char *pattern, const char *layout,
                                          const struct lay_train_data_options *options, struct lay_err *err)
{
    assert(task);
    const size_t before = set->count;
    const int32_t files = set->n_files;
    for (size_t i = 0; i < lay_language_count(); i++) {
        const struct lay_language *language = lay_language_at(i);
        if (!wanted(options, language) || !lay_language_in(language, task->name))
            continue;
        char *name = lay_pattern_expand(NULL, pattern, language->iso, language->name);
        const enum lay_status status =
            name ? read_benchmark_of(set, dir, name, layout, task, language, options, err)
                 : lay_no_memory(err, "a path");
        lay_free(name);
        LAY_TRY(status);
    }
    if (set->n_files == files)
        return no_file(dir, "query_translation", pattern, NULL, err);
    return check_items(set, before, set->files[set->n_files - 1].path, NULL, err);
}

static enum lay_status read_xcsqa(struct lay_train_set *set, const struct lay_task *task, const char *dir,
                                  const struct lay_train_data_options *options, struct lay_err *err)
{
    return read_all_benchmark(set, task, dir, "x-csqa/train_{iso}.jsonl", "jsonl", options, err);
}

static enum lay_status read_xnli(struct lay_train_set *set, const struct lay_task *task, const char *dir,
                                 const struct lay_train_data_options *options, struct lay_err *err)
{
    return read_all_benchmark(set, task, dir, "xnli_dev.json", "json", options, err);
}

static const struct reader {
    const char *task;
    bool benchmark;
    enum lay_status (*read)(struct lay_train_set *set, const struct lay_task *task, const char *dir,
                            const struct lay_train_data_options *options, struct lay_err *err);
} readers[] = {
    {"translation", false, read_translation},
    {"mgsm", true, read_math},
    {"msvamp", true, read_math},
    {"x-csqa", true, read_xcsqa},
    {"xnli", true, read_xnli},
};

static const struct reader *reader_of(const char *task)
{
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
        if (strcmp(task, readers[i].task) == 0)
            return &readers[i];
    return NULL;
}

bool lay_train_data_same(const char *task, const char *other)
{
    const struct reader *reader = reader_of(task), *second = reader_of(other);
    return reader && second && reader->read == second->read;
}

enum lay_status lay_train_data_read(struct lay_train_set *set, const char *task, const char *dir,
                                    const struct lay_train_data_options *options, struct lay_err *err)
{
    const struct lay_task *found = NULL;
    const struct reader *reader = reader_of(task);
    LAY_TRY(check_table(err));
    if (!reader)
        return lay_fail(
            err, LAY_ERR_USAGE,
            "--task: there is no training data reader for \"%s\"; there are translation, mgsm, msvamp, "
            "x-csqa, xnli",
            task);
    if (!lay_path_is_dir(dir))
        return lay_fail(
            err, LAY_ERR_INPUT,
            lay_path_exists(dir)
                ? "%s: neither a directory of training data nor a file of JSON lines (.jsonl); of "
                  "a file in an official layout name the folder"
                : "%s: is not there; name a directory of training data or a file of JSON lines "
                  "(.jsonl)",
            dir);
    if (reader->benchmark)
        LAY_TRY(lay_task_find(task, &found, err));
    if (found && !lay_prompt_covers(options->prompts, found))
        return lay_fail(err, LAY_ERR_INPUT, "prompt set %s has no prompts for %s",
                        lay_prompt_set_name(options->prompts), task);
    return reader->read(set, found, dir, options, err);
}

/* --- JSON lines --- */

static enum lay_status optional_text(struct lay_source *source, const cJSON *item, const char *key,
                                     const char **text, struct lay_err *err)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(item, key);
    if (!member || cJSON_IsNull(member))
        return LAY_OK;
    if (!cJSON_IsString(member))
        return lay_source_fail(source, err, "\"%s\" must be a string", key);
    if (member->valuestring[0])
        *text = member->valuestring;
    return LAY_OK;
}

static enum lay_status add_line(struct lay_train_set *set, struct lay_source *source, const cJSON *item,
                                const struct lay_train_data_options *options, struct counts *counts,
                                struct lay_err *err)
{
    static const char *const keys[] = {"source", "prompt", "target", "lang", NULL};
    const char *from = NULL, *prompt = NULL, *target = "", *name = NULL;
    struct lay_err inner = {0};
    if (lay_json_only_keys(item, "the item", keys, &inner) != LAY_OK)
        return lay_source_fail(source, err, "%s", inner.message);
    LAY_TRY(optional_text(source, item, "source", &from, err));
    LAY_TRY(optional_text(source, item, "prompt", &prompt, err));
    LAY_TRY(optional_text(source, item, "lang", &name, err));
    LAY_TRY(lay_source_string(source, item, "target", &target, err));
    const struct lay_language *language = name ? lay_language_find(name) : NULL;
    if (name && !language)
        return lay_source_fail(source, err, "\"lang\" is \"%.40s\", a language that is not in languages.json",
                               name);
    if (options->languages && (!language || !wanted(options, language)))
        return LAY_OK;
    if (!take(counts, language, options->limit))
        return LAY_OK;
    return add(set, from, options->text_prompt ? prompt : NULL, target, language, source->line, err);
}

static enum lay_status read_lines(struct lay_train_set *set, struct lay_source *source,
                                  const struct lay_train_data_options *options, struct lay_err *err)
{
    struct counts counts = {0};
    for (;;) {
        cJSON *item;
        LAY_TRY(lay_source_next_object(source, &item, err));
        if (!item)
            return check_counts(options, &counts, source->path, err);
        const enum lay_status status = add_line(set, source, item, options, &counts, err);
        cJSON_Delete(item);
        LAY_TRY(status);
    }
}

enum lay_status lay_train_data_read_lines(struct lay_train_set *set, const char *path,
                                          const struct lay_train_data_options *options, struct lay_err *err)
{
    struct lay_source source;
    LAY_TRY(check_table(err));
    enum lay_status status = open_source(set, lay_strdup(path), &source, err);
    if (status == LAY_OK)
        status = read_lines(set, &source, options, err);
    lay_source_close(&source);
    return status;
}
