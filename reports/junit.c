#include "reports/junit.h"

#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "reports/accuracy.h"

#include <stdio.h>
#include <string.h>

/* --- XML --- */

/* No control characters, and none that XML 1.0 (production 2, Char) forbids; valid UTF-8 has no surrogates.
 */
static bool is_kept(int32_t c)
{
    return (c >= 0x20 && c < 0x7f) || (c >= 0xa0 && c != 0xfffe && c != 0xffff);
}

static const char *entity_of(int32_t c)
{
    static const struct {
        int32_t c;
        const char *entity;
    } entities[] = {{'&', "&amp;"},  {'<', "&lt;"},   {'>', "&gt;"}, {'"', "&quot;"},
                    {'\n', "&#10;"}, {'\r', "&#13;"}, {'\t', "&#9;"}};
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (entities[i].c == c)
            return entities[i].entity;
    return NULL;
}

/* As character data and as an attribute's value alike. */
static void put_text(struct lay_str *out, const char *text)
{
    const size_t length = strlen(text);
    for (size_t at = 0; at < length;) {
        size_t bad_at;
        const size_t begin = at;
        const int32_t c = lay_utf8_next(text, length, &at);
        const char *entity = entity_of(c);
        if (entity)
            lay_str_puts(out, entity);
        else if (is_kept(c) && lay_utf8_valid(text + begin, at - begin, &bad_at))
            lay_str_append(out, text + begin, at - begin);
    }
}

static void put_attribute(struct lay_str *out, const char *name, const char *value)
{
    lay_str_printf(out, " %s=\"", name);
    put_text(out, value);
    lay_str_putc(out, '"');
}

static void put_element(struct lay_str *out, const char *name, const char *text)
{
    lay_str_printf(out, "      <%s>", name);
    put_text(out, text);
    lay_str_printf(out, "</%s>\n", name);
}

/* --- suites --- */

static void put_class(struct lay_str *out, const char *attribute, const struct lay_junit_case *item)
{
    lay_str_printf(out, " %s=\"layeval.", attribute);
    put_text(out, item->system);
    lay_str_putc(out, '.');
    put_text(out, item->task);
    lay_str_putc(out, '"');
}

static void put_case(struct lay_str *out, const struct lay_junit_case *item)
{
    lay_str_puts(out, "    <testcase");
    put_attribute(out, "name", item->name);
    put_class(out, "classname", item);
    if (!item->failure && !item->skipped && !item->output) {
        lay_str_puts(out, "/>\n");
        return;
    }
    lay_str_puts(out, ">\n");
    if (item->failure) {
        lay_str_puts(out, "      <failure");
        put_attribute(out, "message", item->failure);
        put_attribute(out, "type", item->type);
        lay_str_puts(out, "/>\n");
    } else if (item->skipped) {
        lay_str_puts(out, "      <skipped");
        put_attribute(out, "message", item->skipped);
        lay_str_puts(out, "/>\n");
    }
    if (item->output)
        put_element(out, "system-out", item->output);
    lay_str_puts(out, "    </testcase>\n");
}

static bool same_suite(const struct lay_junit_case *a, const struct lay_junit_case *b)
{
    return strcmp(a->system, b->system) == 0 && strcmp(a->task, b->task) == 0;
}

static void put_counts(struct lay_str *out, const struct lay_junit_case *cases, size_t count, bool skipped)
{
    size_t failures = 0, skips = 0;
    for (size_t i = 0; i < count; i++) {
        failures += cases[i].failure != NULL;
        skips += !cases[i].failure && cases[i].skipped;
    }
    lay_str_printf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\"", count, failures);
    if (skipped)
        lay_str_printf(out, " skipped=\"%zu\"", skips);
}

enum lay_status lay_junit_put(struct lay_str *out, const struct lay_junit_case *cases, size_t count,
                              struct lay_err *err)
{
    lay_str_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"layeval\"");
    put_counts(out, cases, count, false);
    lay_str_puts(out, ">\n");
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && same_suite(&cases[first], &cases[end]);)
            end++;
        lay_str_puts(out, "  <testsuite");
        put_class(out, "name", &cases[first]);
        put_counts(out, cases + first, end - first, true);
        lay_str_puts(out, ">\n");
        for (size_t i = first; i < end; i++)
            put_case(out, &cases[i]);
        lay_str_puts(out, "  </testsuite>\n");
    }
    lay_str_puts(out, "</testsuites>\n");
    return lay_str_check(out, err);
}

/* --- results --- */

/* The sentences of one case; freed by the caller. */
struct sentences {
    struct lay_str failure, output;
};

static const char *first_error(const struct lay_cell *cell)
{
    for (size_t i = 0; i < cell->count; i++)
        if (cell->records[i].error && cell->records[i].error_message)
            return cell->records[i].error_message;
    return "no message";
}

static struct lay_junit_case case_of(const struct lay_system_result *system,
                                     const struct lay_task_result *task, const struct lay_cell *cell,
                                     struct sentences *sentences)
{
    const struct lay_counts counts = lay_cell_counts(cell);
    struct lay_junit_case item = {.system = system->name, .task = task->task, .name = cell->language};
    if (counts.n == 0) {
        item.skipped = "no samples are answered";
        return item;
    }
    lay_str_printf(&sentences->output, "accuracy %.2f (paper), %.2f (strict), n %lld",
                   lay_accuracy(counts.correct_paper, counts.n),
                   lay_accuracy(counts.correct_strict, counts.n), (long long)counts.n);
    item.output = lay_str_text(&sentences->output);
    if (counts.error == 0)
        return item;
    lay_str_printf(&sentences->failure, "%lld of %lld samples ended in an error; the first: %s",
                   (long long)counts.error, (long long)counts.n, first_error(cell));
    item.failure = lay_str_text(&sentences->failure);
    item.type = "errors";
    return item;
}

static size_t fill_cases(const struct lay_system_result *system, struct lay_junit_case *cases,
                         struct sentences *sentences)
{
    size_t at = 0;
    for (size_t i = 0; i < system->count; i++)
        for (size_t j = 0; j < system->tasks[i].count; j++, at++)
            cases[at] = case_of(system, &system->tasks[i], &system->tasks[i].cells[j], &sentences[at]);
    return at;
}

enum lay_status lay_junit_put_results(struct lay_str *out, const struct lay_system_result *systems,
                                      size_t count, struct lay_err *err)
{
    const size_t cells = lay_results_cells(systems, count);
    size_t at = 0;
    struct lay_junit_case *cases = lay_alloc(cells + 1, sizeof *cases);
    struct sentences *sentences = lay_alloc(cells + 1, sizeof *sentences);
    enum lay_status status = cases && sentences ? LAY_OK : lay_no_memory(err, "the JUnit report");
    for (size_t i = 0; i < count && status == LAY_OK; i++)
        at += fill_cases(&systems[i], cases + at, sentences + at);
    for (size_t i = 0; i < at; i++)
        if (sentences[i].failure.failed || sentences[i].output.failed)
            status = lay_no_memory(err, "the JUnit report");
    if (status == LAY_OK)
        status = lay_junit_put(out, cases, cells, err);
    for (size_t i = 0; i < at; i++) {
        lay_str_free(&sentences[i].failure);
        lay_str_free(&sentences[i].output);
    }
    lay_free(sentences);
    lay_free(cases);
    return status;
}
