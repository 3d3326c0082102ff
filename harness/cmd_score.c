/* layeval score: journals and texts of other engines scored again, without a model. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/command.h"
#include "harness/run/generations.h"
#include "harness/run/manifest.h"
#include "harness/options.h"
#include "harness/run/results.h"
#include "harness/run/rundir.h"
#include "reports/emit.h"
#include "reports/results_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct arguments {
    const char *task, *language, *generations, *out, *match, *prompt_set, *name;
    bool print_extracted, json, no_samples;
    struct lay_option_list directories;
};

/* What is scored: a run directory or a file. */
struct scored {
    cJSON *manifest;
    char manifest_hash[LAY_HASH_HEX];
    struct lay_journal journal;
    struct lay_system_result result;
    struct lay_rundir *lock; /* of the directory written to */
};

static void scored_free(struct scored *scored)
{
    lay_rundir_close(scored->lock);
    lay_system_result_free(&scored->result);
    lay_journal_free(&scored->journal);
    cJSON_Delete(scored->manifest);
    *scored = (struct scored){0};
}

static enum lay_status parse_match(const char *name, enum lay_match *match, struct lay_err *err)
{
    for (*match = LAY_MATCH_TOLERANCE; *match <= LAY_MATCH_FLOAT_EQ; (*match)++)
        if (strcmp(name, lay_match_name(*match)) == 0)
            return LAY_OK;
    return lay_fail(err, LAY_ERR_USAGE, "--match: \"%s\" is neither tolerance nor float-eq", name);
}

/* --- output --- */

static enum lay_status print_json(const struct lay_system_result *results, size_t count, bool combined,
                                  struct lay_err *err)
{
    struct lay_str text = {0};
    const enum lay_status status = lay_results_json_put(&text, results, count, combined, err);
    if (status == LAY_OK)
        fputs(lay_str_text(&text), stdout);
    lay_str_free(&text);
    return status;
}

static int by_id(const void *key, const void *member)
{
    const int64_t id = *(const int64_t *)key, other = ((const struct lay_record *)member)->doc_id;
    return (id > other) - (id < other);
}

/* One JSON line per line of the file, in its order. */
static enum lay_status print_extracted(const struct scored *scored, struct lay_err *err)
{
    const struct lay_cell *cell = &scored->result.tasks[0].cells[0];
    struct lay_str text = {0};
    for (size_t i = 0; i < scored->journal.count; i++) {
        struct lay_emit emit = {.out = &text, .indent = -1};
        const struct lay_record *record = bsearch(&scored->journal.entries[i].doc_id, cell->records,
                                                  cell->count, sizeof *cell->records, by_id);
        if (!record)
            return lay_fail(err, LAY_ERR_INTERNAL, "a scored answer was lost");
        lay_emit_open(&emit, NULL, '{');
        lay_emit_int(&emit, "index", (int64_t)i);
        lay_emit_int(&emit, "doc_id", record->doc_id);
        lay_emit_string(&emit, "target", record->target);
        lay_emit_string(&emit, "paper", record->paper_extracted);
        lay_emit_bool(&emit, "paper_correct", record->paper_correct);
        lay_emit_string(&emit, "strict", record->strict_extracted);
        lay_emit_bool(&emit, "strict_correct", record->strict_correct);
        lay_emit_bool(&emit, "unparsed", record->unparsed);
        lay_emit_bool(&emit, "error", record->error);
        lay_emit_close(&emit, '}');
        lay_str_putc(&text, '\n');
    }
    const enum lay_status status = lay_str_check(&text, err);
    if (status == LAY_OK)
        fputs(lay_str_text(&text), stdout);
    lay_str_free(&text);
    return status;
}

static enum lay_status print_results(const struct arguments *arguments,
                                     const struct lay_system_result *results, size_t count, bool combined,
                                     struct lay_err *err)
{
    LAY_TRY(arguments->json
                ? print_json(results, count, combined, err)
                : lay_results_print(results, count, arguments->print_extracted ? stderr : stdout, err));
    if (fflush(stdout) != 0 || ferror(stdout))
        return lay_fail(err, LAY_ERR_IO, "standard output: cannot write");
    return LAY_OK;
}

/* --- run directories --- */

static bool is_run(const char *dir)
{
    char *path = lay_path_join(dir, LAY_MANIFEST_FILE);
    const bool yes = path && lay_path_exists(path);
    lay_free(path);
    return yes;
}

static void note_missing(const char *dir, const struct scored *scored)
{
    const cJSON *task, *language;
    int64_t promised = 0;
    cJSON_ArrayForEach(task, cJSON_GetObjectItemCaseSensitive(scored->manifest, "tasks"))
    {
        cJSON_ArrayForEach(language, cJSON_GetObjectItemCaseSensitive(task, "languages"))
        {
            int64_t n = 0;
            if (lay_json_get_int(language, "", "n", &n, NULL) == LAY_OK)
                promised += n;
        }
    }
    if (promised > (int64_t)scored->journal.count)
        fprintf(
            stderr,
            "layeval score: %s: %zu of %lld samples are answered and scored; finish the run with the command "
            "that started it\n",
            dir, scored->journal.count, (long long)promised);
}

static enum lay_status load_run(const char *dir, struct scored *scored, struct lay_err *err)
{
    LAY_TRY(lay_manifest_read(dir, &scored->manifest, scored->manifest_hash, err));
    LAY_TRY(lay_journal_read(dir, &scored->journal, err));
    if (scored->journal.manifest_hash[0] && strcmp(scored->journal.manifest_hash, scored->manifest_hash) != 0)
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: " LAY_JOURNAL_FILE " belongs to another " LAY_MANIFEST_FILE
                        "; put back the one it was written with",
                        dir);
    note_missing(dir, scored);
    return LAY_OK;
}

/* Reports elsewhere make a run directory of its own; one that holds another run is left alone. */
static enum lay_status refuse_foreign(const char *dir, const cJSON *manifest, struct lay_err *err)
{
    char hash[LAY_HASH_HEX];
    cJSON *stored;
    if (!is_run(dir))
        return LAY_OK;
    LAY_TRY(lay_manifest_read(dir, &stored, hash, err));
    const enum lay_status status = lay_manifest_compare(dir, stored, manifest, false, err);
    cJSON_Delete(stored);
    return status;
}

static enum lay_status copy_file(const char *from, const char *to, const char *name, struct lay_err *err)
{
    struct lay_str content = {0};
    char *source = lay_path_join(from, name), *target = lay_path_join(to, name);
    enum lay_status status = source && target ? LAY_OK : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_file_read(source, SIZE_MAX, &content, err);
    if (status == LAY_OK)
        status = lay_file_write(target, lay_str_text(&content), content.length, err);
    lay_str_free(&content);
    lay_free(source);
    lay_free(target);
    return status;
}

static bool same_place(const char *a, const char *b)
{
    char *x = realpath(a, NULL), *y = realpath(b, NULL);
    const bool same = x && y && strcmp(x, y) == 0;
    free(x);
    free(y);
    return same;
}

static enum lay_status write_run(const struct arguments *arguments, const char *dir, const char *out,
                                 const struct scored *scored, enum lay_match match, struct lay_err *err)
{
    const struct lay_results_options options = {
        .dir = out, .match = match, .log_samples = !arguments->no_samples};
    if (!same_place(dir, out)) {
        LAY_TRY(refuse_foreign(out, scored->manifest, err));
        LAY_TRY(copy_file(dir, out, LAY_MANIFEST_FILE, err));
        LAY_TRY(copy_file(dir, out, LAY_JOURNAL_FILE, err));
    }
    return lay_results_write(&scored->result, &options, err);
}

/* `out` may be `dir`. */
static enum lay_status score_run(const struct arguments *arguments, const char *dir, const char *out,
                                 struct scored *scored, struct lay_err *err)
{
    enum lay_match match;
    const char *rule = lay_match_name(LAY_MATCH_TOLERANCE);
    LAY_TRY(lay_rundir_open(out, &scored->lock, err));
    LAY_TRY(load_run(dir, scored, err));
    LAY_TRY(lay_json_get_string(scored->manifest, LAY_MANIFEST_FILE, "match", &rule, err));
    LAY_TRY(parse_match(arguments->match ? arguments->match : rule, &match, err));
    LAY_TRY(lay_results_collect(&scored->journal, scored->manifest, match, &scored->result, err));
    return write_run(arguments, dir, out, scored, match, err);
}

/* The run directories below `dir`, or `dir` itself. Free with lay_dir_free. */
static enum lay_status find_runs(const char *dir, struct lay_dir *runs, bool *several, struct lay_err *err)
{
    size_t kept = 0;
    *several = false;
    *runs = (struct lay_dir){0};
    if (!lay_path_is_dir(dir))
        return lay_fail(err, LAY_ERR_INPUT, "%s: no such directory; name what `layeval run --out` wrote",
                        dir);
    if (is_run(dir))
        return LAY_OK;
    *several = true;
    LAY_TRY(lay_dir_list(dir, runs, err));
    for (size_t i = 0; i < runs->count; i++) {
        char *path = lay_path_join(dir, runs->names[i]);
        if (path && is_run(path))
            runs->names[kept++] = runs->names[i];
        else
            lay_free(runs->names[i]);
        lay_free(path);
    }
    runs->count = kept;
    if (kept > 0)
        return LAY_OK;
    lay_dir_free(runs);
    return lay_fail(err, LAY_ERR_INPUT,
                    "%s: no " LAY_MANIFEST_FILE " in it nor in its subdirectories; name a directory that "
                    "`layeval run --out` wrote",
                    dir);
}

/* Combined files list systems as the run did: in the order its results.json has, new ones behind. */
static enum lay_status keep_order(const char *dir, struct lay_dir *runs, struct lay_err *err)
{
    size_t placed = 0;
    cJSON *root = NULL;
    const cJSON *system;
    char *path = lay_path_join(dir, "results.json");
    if (!path)
        return lay_no_memory(err, "a path");
    /* One that is missing or not ours is about to be replaced and says nothing about order. */
    if (lay_path_exists(path) && lay_json_read(path, &root, NULL) != LAY_OK)
        root = NULL;
    lay_free(path);
    const cJSON *ours = cJSON_GetObjectItemCaseSensitive(root, "layeval");
    cJSON_ArrayForEach(system, cJSON_GetObjectItemCaseSensitive(ours, "systems"))
    {
        size_t at = placed;
        while (at < runs->count && strcmp(runs->names[at], system->string) != 0)
            at++;
        if (at == runs->count)
            continue;
        char *name = runs->names[at];
        memmove(&runs->names[placed + 1], &runs->names[placed], (at - placed) * sizeof *runs->names);
        runs->names[placed++] = name;
    }
    cJSON_Delete(root);
    return LAY_OK;
}

static enum lay_status score_several(const struct arguments *arguments, const char *dir,
                                     const struct lay_dir *runs, struct lay_err *err)
{
    const char *out = arguments->out ? arguments->out : dir;
    struct scored *scored = lay_alloc(runs->count, sizeof *scored);
    struct lay_system_result *results = lay_alloc(runs->count, sizeof *results);
    enum lay_status status = scored && results ? LAY_OK : lay_no_memory(err, "the results");
    for (size_t i = 0; i < runs->count && status == LAY_OK; i++) {
        char *from = lay_path_join(dir, runs->names[i]), *to = lay_path_join(out, runs->names[i]);
        status = from && to ? score_run(arguments, from, to, &scored[i], err) : lay_no_memory(err, "a path");
        results[i] = scored[i].result; /* lent */
        lay_free(from);
        lay_free(to);
    }
    if (status == LAY_OK)
        status = lay_results_write_combined(results, runs->count, out, err);
    if (status == LAY_OK)
        status = print_results(arguments, results, runs->count, true, err);
    for (size_t i = 0; scored && i < runs->count; i++)
        scored_free(&scored[i]);
    lay_free(scored);
    lay_free(results);
    return status;
}

static enum lay_status score_directory(const struct arguments *arguments, const char *dir,
                                       struct lay_err *err)
{
    struct lay_dir runs;
    struct scored scored = {0};
    bool several;
    LAY_TRY(find_runs(dir, &runs, &several, err));
    if (several) {
        enum lay_status status = keep_order(dir, &runs, err);
        if (status == LAY_OK)
            status = score_several(arguments, dir, &runs, err);
        lay_dir_free(&runs);
        return status;
    }
    enum lay_status status = score_run(arguments, dir, arguments->out ? arguments->out : dir, &scored, err);
    if (status == LAY_OK)
        status = print_results(arguments, &scored.result, 1, false, err);
    scored_free(&scored);
    return status;
}

/* --- generations --- */

/* With manifest and journal, so that what is left can be scored again. */
static enum lay_status write_generations(const struct arguments *arguments, struct scored *scored,
                                         enum lay_match match, struct lay_err *err)
{
    const struct lay_results_options options = {
        .dir = arguments->out, .match = match, .log_samples = !arguments->no_samples};
    LAY_TRY(lay_rundir_open(arguments->out, &scored->lock, err));
    LAY_TRY(refuse_foreign(arguments->out, scored->manifest, err));
    LAY_TRY(lay_manifest_write(arguments->out, scored->manifest, scored->journal.manifest_hash, err));
    LAY_TRY(lay_journal_seal(arguments->out, &scored->journal, err));
    return lay_results_write(&scored->result, &options, err);
}

static enum lay_status score_generations(const struct arguments *arguments,
                                         const struct lay_generations_options *options, struct lay_err *err)
{
    struct scored scored = {0};
    size_t other_filters;
    enum lay_status status;
    LAY_TRY_GOTO(status,
                 lay_generations_read(options, &scored.journal, &scored.manifest, &other_filters, err), done);
    if (other_filters)
        fprintf(
            stderr,
            "layeval score: %s: %zu lines repeat an answer for another filter; the first line's filter was "
            "read\n",
            options->file, other_filters);
    LAY_TRY_GOTO(status,
                 lay_results_collect(&scored.journal, scored.manifest, options->match, &scored.result, err),
                 done);
    if (arguments->print_extracted)
        LAY_TRY_GOTO(status, print_extracted(&scored, err), done);
    if (arguments->out)
        LAY_TRY_GOTO(status, write_generations(arguments, &scored, options->match, err), done);
    status = print_results(arguments, &scored.result, 1, false, err);
done:
    scored_free(&scored);
    return status;
}

static enum lay_status open_generations(const struct arguments *arguments, struct lay_err *err)
{
    struct lay_generations_options options = {.file = arguments->generations, .name = arguments->name};
    struct lay_prompt_set *prompts = NULL;
    if (!arguments->task || !arguments->language)
        return lay_fail(err, LAY_ERR_USAGE, "--generations needs --task and --lang");
    LAY_TRY(parse_match(arguments->match ? arguments->match : "tolerance", &options.match, err));
    LAY_TRY(lay_languages_load(NULL, err));
    LAY_TRY(lay_task_find(arguments->task, &options.task, err));
    options.language = lay_language_find(arguments->language);
    if (!options.language || !lay_language_in(options.language, options.task->name))
        return lay_fail(err, LAY_ERR_USAGE, "--lang: %s has no language \"%s\"; see `layeval tasks`",
                        options.task->name, arguments->language);
    if (arguments->prompt_set)
        LAY_TRY(lay_prompt_set_open(lay_data_dir(), arguments->prompt_set, &prompts, err));
    options.prompts = prompts;
    const enum lay_status status = score_generations(arguments, &options, err);
    lay_prompt_set_close(prompts);
    return status;
}

static enum lay_status score(const struct arguments *arguments, struct lay_err *err)
{
    if (arguments->print_extracted && arguments->json)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--print-extracted and --json both write to standard output; choose one");
    if (arguments->generations) {
        if (arguments->directories.count)
            return lay_fail(err, LAY_ERR_USAGE,
                            "score either a run directory or --generations FILE, not both");
        return open_generations(arguments, err);
    }
    if (arguments->print_extracted || arguments->task || arguments->language || arguments->prompt_set ||
        arguments->name)
        return lay_fail(
            err, LAY_ERR_USAGE,
            "--task, --lang, --prompt-set, --name and --print-extracted belong to --generations FILE");
    if (arguments->directories.count != 1)
        return lay_fail(err, LAY_ERR_USAGE,
                        "name one run directory, or --generations FILE; see `layeval score --help`");
    return score_directory(arguments, arguments->directories.items[0], err);
}

int lay_cmd_score(int argc, char **argv)
{
    struct arguments a = {0};
    struct lay_err err = {0};
    bool help;
    const struct lay_usage usage = {
        .command = "score",
        .synopsis = "DIR [options]  |  --task NAME --lang CODE --generations FILE [options]",
        .description =
            "Scores stored answers again, without a model: those of a run directory (or of a directory of "
            "several\nruns), whose report files are rewritten, or texts from any engine.",
        .examples =
            "  layeval score runs/layalign\n"
            "  layeval score runs/layalign --match float-eq --out runs/layalign-float-eq\n"
            "  layeval score --task mgsm --lang bn --generations answers.jsonl --print-extracted\n"
            "  layeval score --task xnli --lang sw --generations samples_xnli_sw.jsonl --out runs/other",
    };
    const struct lay_option options[] = {
        {.name = "out",
         .alias = "output-path",
         .kind = LAY_OPTION_STRING,
         .argument = "DIR",
         .value = &a.out,
         .help = "write the report files there (a run directory: into itself; generations: nowhere)"},
        {.name = "match",
         .kind = LAY_OPTION_STRING,
         .argument = "RULE",
         .value = &a.match,
         .help = "how paper scoring compares numbers: tolerance (LayAlign) or float-eq\n(MindMerger, "
                 "LangBridge); "
                 "default: the run's, else tolerance"},
        {.name = "json",
         .kind = LAY_OPTION_FLAG,
         .value = &a.json,
         .help = "print results.json instead of the table"},
        {.name = "no-log-samples",
         .alias = "no-samples",
         .kind = LAY_OPTION_FLAG,
         .value = &a.no_samples,
         .help = "do not write samples_*.jsonl"},
        {.name = "Texts from any engine", .kind = LAY_OPTION_HEADING},
        {.name = "generations",
         .kind = LAY_OPTION_STRING,
         .argument = "FILE",
         .value = &a.generations,
         .help = "JSON lines with \"output\" and \"target\", or samples of lm-evaluation-harness"},
        {.name = "task",
         .alias = "tasks",
         .kind = LAY_OPTION_STRING,
         .argument = "NAME",
         .value = &a.task,
         .help = "benchmark: mgsm, msvamp, x-csqa, xnli"},
        {.name = "lang",
         .alias = "language",
         .kind = LAY_OPTION_STRING,
         .argument = "CODE",
         .value = &a.language,
         .help = "language code or name"},
        {.name = "print-extracted",
         .kind = LAY_OPTION_FLAG,
         .value = &a.print_extracted,
         .help = "print per line, as JSON, what each scorer read (the table goes to stderr)"},
        {.name = "prompt-set",
         .kind = LAY_OPTION_STRING,
         .argument = "NAME",
         .value = &a.prompt_set,
         .help =
             "prompt set whose label_words say what targets are called in answers;\ndefault: targets as the "
             "file has them"},
        {.name = "name",
         .kind = LAY_OPTION_STRING,
         .argument = "NAME",
         .value = &a.name,
         .help = "what the system is called in reports; default: the file's name"},
    };
    enum lay_status status = lay_options_parse(&usage, options, sizeof options / sizeof *options, argc, argv,
                                               &a.directories, &help, &err);
    if (status == LAY_OK && !help)
        status = score(&a, &err);
    lay_option_list_free(&a.directories);
    return status == LAY_OK ? 0 : lay_report_error("score", &err);
}
