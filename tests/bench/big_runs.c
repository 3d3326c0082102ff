/* Run directories as large as a night's work leaves them, for timing what reads them:
 *   big_runs DIR [SYSTEMS [SAMPLES]]      default 4 systems with 75000 samples each
 * DIR/system-1 … hold a manifest and a sealed journal over all tasks and languages; the texts are made up of
 * a few sentences in several scripts, and the same arguments always give the same bytes. */
#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "harness/run/journal.h"
#include "harness/run/manifest.h"
#include "tasks/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LANGUAGES = 64 };

static void must(enum lay_status status, const struct lay_err *err)
{
    if (status == LAY_OK)
        return;
    fprintf(stderr, "big_runs: %s\n", err->message);
    exit(lay_exit_code(status));
}

static char *take(struct lay_str *text)
{
    char *taken = lay_str_take(text);
    if (!taken)
        exit(3);
    return taken;
}

/* splitmix64 of what names the draw: the same whatever else is drawn. */
static uint32_t draw(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t x = (a * 1000003 + b) * 1000003 + c + 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return (uint32_t)(x >> 33);
}

/* "%d" stands where a number goes. */
struct phrases {
    const char *iso, *first, *second, *step, *answer;
};
static const struct phrases phrases[] = {
    {"bn", "রিনার কাছে %d টি আম ছিল।", "সে %d টি আম তার বন্ধুকে দিল এবং বাকিগুলো বাজারে বিক্রি করল।",
     "প্রথমে %d থেকে যা দেওয়া হয়েছে তা বিয়োগ করি।", "উত্তর হল %d"},
    {"th", "มานะมีหนังสือ %d เล่ม", "เขาให้เพื่อน %d เล่มแล้วซื้อใหม่ในวันถัดมา", "เริ่มจากลบ %d ออกก่อนแล้วจึงบวกส่วนที่ซื้อใหม่",
     "คำตอบคือ %d"},
    {"zh", "小明有%d个苹果。", "他给了朋友%d个,然后又在市场上买了一些。", "首先我们从总数中减去%d。",
     "答案是%d"},
    {"ja", "太郎は%d本の鉛筆を持っています。", "友達に%d本あげて、また店で買いました。",
     "まず%dを引き、そのあとで買った分を足します。", "答えは%d"},
    {"ar", "كان لدى ليلى %d تفاحة.", "أعطت صديقتها %d تفاحة ثم اشترت المزيد من السوق.",
     "نطرح أولا %d من المجموع ثم نجمع الباقي.", "الجواب هو %d"},
    {"ur", "علی کے پاس %d کتابیں تھیں۔", "اس نے %d کتابیں اپنے دوست کو دیں اور پھر نئی خریدیں۔",
     "پہلے ہم %d کو گھٹاتے ہیں۔", "جواب %d ہے"},
    {"ru", "У Маши было %d яблок.", "Она отдала подруге %d яблок, а затем купила ещё на рынке.",
     "Сначала вычтем %d, затем прибавим купленное.", "Ответ: %d"},
    {"sw", "Asha alikuwa na maembe %d.", "Alimpa rafiki yake maembe %d kisha akanunua mengine sokoni.",
     "Kwanza tunatoa %d kutoka kwa jumla.", "Jibu ni %d"},
    {"", "Mina has %d pencils in her bag.",
     "She gives %d of them to her brother and then buys some more \"new\" ones.",
     "First we subtract %d from the total,\nthen we add what she bought.", "The answer is: %d"},
};

static const struct phrases *phrases_of(const char *iso)
{
    const struct phrases *p = phrases;
    while (*p->iso && strcmp(p->iso, iso) != 0)
        p++;
    return p;
}

static void put_phrase(struct lay_str *out, const char *phrase, uint32_t number)
{
    const char *at = strstr(phrase, "%d");
    lay_str_append(out, phrase, (size_t)(at - phrase));
    lay_str_printf(out, "%u%s ", number, at + 2);
}

/* --- one sample --- */

struct place {
    const struct lay_task *task;
    size_t task_at, language_at;
    const struct lay_language *language;
};

static char *question_of(const struct place *place, size_t id)
{
    const struct phrases *p = phrases_of(place->language->iso);
    struct lay_str text = {0};
    for (uint32_t i = 0; i <= draw(id, place->task_at, 7) % 3; i++) {
        put_phrase(&text, p->first, draw(id, i, 1) % 90 + 10);
        put_phrase(&text, p->second, draw(id, i, 2) % 9 + 1);
    }
    return take(&text);
}

static char *prompt_of(const char *question)
{
    struct lay_str text = {0};
    lay_str_printf(
        &text,
        "Below is an instruction that describes a task. Write a response that appropriately "
        "completes the request.\n\n### Instruction:\n%s\n\n### Response: Let's think step by step.",
        question);
    return take(&text);
}

static char *doc_of(const struct place *place, const char *question, const char *target)
{
    struct lay_str text = {0};
    lay_str_puts(&text, "{\"question\": ");
    lay_json_put_string(&text, question, strlen(question));
    lay_str_printf(&text, ", \"language\": \"%s\", \"answer\": \"%s\"}", place->language->iso, target);
    return take(&text);
}

static char *target_of(const struct place *place, size_t id)
{
    struct lay_str text = {0};
    const uint32_t choice = draw(id, place->task_at, 3);
    if (place->task->kind == LAY_TASK_MATH)
        lay_str_printf(&text, "%u", choice % 1000);
    else if (place->task->kind == LAY_TASK_CHOICE)
        lay_str_putc(&text, (char)('A' + choice % 5));
    else
        lay_str_puts(&text, place->task->labels[choice % place->task->n_labels]);
    return take(&text);
}

/* Right in some cases: more often for later systems and for languages that stand later. */
static char *output_of(const struct place *place, size_t system, size_t id, const char *target)
{
    const struct phrases *p = phrases_of(place->language->iso);
    const uint32_t skill = 35 + (uint32_t)(system * 6 + place->language_at * 2);
    const bool right = draw(id, place->language_at, 11 + system) % 100 < skill;
    struct lay_str text = {0};
    char *wrong = target_of(place, id + 1), *answer = right ? lay_strdup(target) : wrong;
    if (place->task->kind != LAY_TASK_MATH)
        lay_str_puts(&text, answer);
    else {
        for (uint32_t i = 0; i < 3 + draw(id, system, 5) % 6; i++)
            put_phrase(&text, p->step, draw(id, i, 6) % 90);
        put_phrase(&text, p->answer, (uint32_t)strtoul(answer, NULL, 10));
    }
    lay_free(wrong);
    if (right)
        lay_free(answer);
    return take(&text);
}

static struct lay_journal_entry sample_of(const struct place *place, size_t system, size_t id)
{
    const uint32_t odd = draw(id, place->language_at, 21 + system) % 1000;
    struct lay_journal_entry entry = {.task = lay_strdup(place->task->name),
                                      .language = lay_strdup(place->language->iso),
                                      .doc_id = (int64_t)id,
                                      .source = question_of(place, id),
                                      .target = target_of(place, id),
                                      .truncated = odd == 500,
                                      .source_tokens = 40,
                                      .prompt_tokens = 60,
                                      .output_tokens = odd % 100};
    entry.prompt = prompt_of(entry.source);
    entry.doc = doc_of(place, entry.source, entry.target);
    entry.output = odd == 0 ? lay_strdup("") : output_of(place, system, id, entry.target);
    entry.error = odd == 0 ? lay_strdup("the prompt does not fit the model's context") : NULL;
    snprintf(entry.ended, sizeof entry.ended, "%s", odd == 0 ? "error" : odd < 10 ? "length" : "eos");
    return entry;
}

/* --- one run --- */

/* Samples per language in the real data; scaled to what is asked for. */
static size_t share_of(const struct lay_task *task)
{
    return strcmp(task->name, "mgsm") == 0 ? 250 : strcmp(task->name, "xnli") == 0 ? 5010 : 1000;
}

struct plan {
    struct place places[4 * MAX_LANGUAGES];
    size_t counts[4 * MAX_LANGUAGES];
    size_t n;
};

static void make_plan(struct plan *plan, size_t samples)
{
    size_t whole = 0, planned = 0;
    for (size_t t = 0; t < lay_task_count() && t < 4; t++) {
        const struct lay_language *languages[MAX_LANGUAGES];
        const size_t n = lay_languages_of(lay_task_at(t)->name, false, languages, MAX_LANGUAGES);
        for (size_t i = 0; i < n && i < MAX_LANGUAGES; i++) {
            plan->places[plan->n++] = (struct place){lay_task_at(t), t, i, languages[i]};
            whole += share_of(lay_task_at(t));
        }
    }
    for (size_t i = 0; i < plan->n; i++) {
        plan->counts[i] = share_of(plan->places[i].task) * samples / whole;
        planned += plan->counts[i];
    }
    plan->counts[plan->n - 1] += samples - planned;
}

static cJSON *manifest_of(const struct plan *plan, size_t system)
{
    struct lay_str text = {0};
    struct lay_err err = {0};
    cJSON *manifest;
    lay_str_printf(
        &text,
        "{\"layeval\": \"bench\", \"system\": {\"name\": \"system-%zu\", \"method\": \"plain\"}, "
        "\"prompt_set\": {\"name\": \"metamath\", \"version\": 1, \"hash\": \"0\"}, "
        "\"generation\": {\"greedy\": true, \"num_fewshot\": 0, \"max_new_tokens\": 512, \"stops\": "
        "[]}, \"match\": \"tolerance\", \"strict_version\": %d, \"dtype\": \"bf16\", \"tasks\": [",
        system, LAY_STRICT_VERSION);
    for (size_t i = 0; i < plan->n; i++) {
        const struct place *place = &plan->places[i];
        if (place->language_at == 0)
            lay_str_printf(&text, "%s{\"task\": \"%s\", \"version\": %d, \"languages\": [", i ? "]}, " : "",
                           place->task->name, place->task->version);
        lay_str_printf(&text, "%s{\"language\": \"%s\", \"n\": %zu, \"hash\": \"0\"}",
                       place->language_at ? ", " : "", place->language->iso, plan->counts[i]);
    }
    lay_str_puts(&text, "]}]}");
    must(lay_json_parse("manifest", lay_str_text(&text), text.length, &manifest, &err), &err);
    lay_str_free(&text);
    return manifest;
}

static void write_run(const char *root, const struct plan *plan, size_t system, size_t samples)
{
    struct lay_err err = {0};
    struct lay_str dir = {0};
    struct lay_journal journal = {.entries = lay_alloc(samples, sizeof *journal.entries)};
    if (!journal.entries)
        exit(3);
    lay_str_printf(&dir, "%s/system-%zu", root, system);
    for (size_t i = 0; i < plan->n; i++)
        for (size_t id = 0; id < plan->counts[i]; id++)
            journal.entries[journal.count++] = sample_of(&plan->places[i], system, id);
    cJSON *manifest = manifest_of(plan, system);
    must(lay_mkdirs(lay_str_text(&dir), &err), &err);
    must(lay_manifest_write(lay_str_text(&dir), manifest, journal.manifest_hash, &err), &err);
    must(lay_journal_seal(lay_str_text(&dir), &journal, &err), &err);
    cJSON_Delete(manifest);
    lay_journal_free(&journal);
    lay_str_free(&dir);
}

int main(int argc, char **argv)
{
    struct lay_err err = {0};
    static struct plan plan;
    const size_t systems = argc > 2 ? strtoul(argv[2], NULL, 10) : 4;
    const size_t samples = argc > 3 ? strtoul(argv[3], NULL, 10) : 75000;
    if (argc < 2 || argc > 4 || systems < 1 || systems > 1000 || samples < 1000 || samples > 10000000) {
        fputs("usage: big_runs DIR [SYSTEMS [SAMPLES from 1000 on]]\n", stderr);
        return 2;
    }
    must(lay_languages_load(NULL, &err), &err);
    make_plan(&plan, samples);
    for (size_t i = 1; i <= systems; i++)
        write_run(argv[1], &plan, i, samples);
    return 0;
}
