#include "harness/gate/gate_print.h"

#include "engine/base/mem.h"
#include "reports/grid.h"
#include "reports/junit.h"
#include "reports/text.h"

#include <math.h>
#include <string.h>

/* --- terminal --- */

static void put_place(struct lay_str *out, const struct lay_gate_check *check)
{
    lay_text_put(out, check->system, 0);
    lay_str_printf(out, " %s %s", check->task, check->language);
}

/* "48.40 against 52.00", as far as there are figures. */
static void put_figures(struct lay_str *out, const struct lay_gate_check *check)
{
    if (isnan(check->accuracy))
        lay_str_puts(out, "no result");
    else
        lay_str_printf(out, "%.2f", check->accuracy);
    if (!isnan(check->reference))
        lay_str_printf(out, " against %.2f", check->reference);
}

static void put_line(struct lay_str *out, const struct lay_gate_check *check)
{
    const char *verdict = check->failed ? "FAIL" : check->notes.length ? "note" : "ok  ";
    lay_str_printf(out, "%s  ", verdict);
    put_place(out, check);
    lay_str_puts(out, ": ");
    if (check->failed)
        lay_text_put(out, lay_str_text(&check->failures), 0);
    else
        put_figures(out, check);
    if (check->notes.length) {
        lay_str_puts(out, "; ");
        lay_text_put(out, lay_str_text(&check->notes), 0);
    }
    lay_str_putc(out, '\n');
}

/* "2 of 40 checks failed (regression 1, missing 1)". */
static void put_total(struct lay_str *out, const struct lay_gate *gate)
{
    if (gate->failed == 0) {
        lay_str_printf(out, "%zu checks passed", gate->checks.count);
        return;
    }
    lay_str_printf(out, "%zu of %zu checks failed (", gate->failed, gate->checks.count);
    for (size_t i = 0, shown = 0; i < LAY_GATE_PROBLEMS; i++)
        if (gate->problems[i])
            lay_str_printf(out, "%s%s %zu", shown++ ? ", " : "", lay_gate_problem_name(i), gate->problems[i]);
    lay_str_putc(out, ')');
}

enum lay_status lay_gate_put_terminal(struct lay_str *out, const struct lay_gate *gate, bool all,
                                      struct lay_err *err)
{
    for (size_t i = 0; i < gate->checks.count; i++) {
        const struct lay_gate_check *check = &gate->checks.items[i];
        if (all || check->failed || check->notes.length)
            put_line(out, check);
    }
    lay_str_puts(out, "gate: ");
    put_total(out, gate);
    lay_str_putc(out, '\n');
    return lay_str_check(out, err);
}

/* --- GitHub --- */

/* What a workflow command's message may not hold as it is (actions/toolkit, command.ts, escapeData). */
static void put_escaped(struct lay_str *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '%' || *text == '\r' || *text == '\n')
            lay_str_printf(out, "%%%02X", (unsigned)*text);
        else
            lay_str_putc(out, *text);
    }
}

enum lay_status lay_gate_put_github(struct lay_str *out, const struct lay_gate *gate, struct lay_err *err)
{
    for (size_t i = 0; i < gate->checks.count; i++) {
        const struct lay_gate_check *check = &gate->checks.items[i];
        if (!check->failed)
            continue;
        lay_str_puts(out, "::error title=layeval gate::");
        put_escaped(out, check->system);
        lay_str_printf(out, " %s %s: ", check->task, check->language);
        put_escaped(out, lay_str_text(&check->failures));
        lay_str_putc(out, '\n');
    }
    return lay_str_check(out, err);
}

static void add_figure(struct lay_grid *grid, double value, const char *format)
{
    char text[32] = "-";
    if (!isnan(value))
        snprintf(text, sizeof text, format, value);
    lay_grid_add_text(grid, text);
}

static void add_check(struct lay_grid *grid, const struct lay_gate_check *check)
{
    lay_grid_add_text(grid, check->system);
    lay_grid_add_text(grid, check->task);
    lay_grid_add_text(grid, check->language);
    add_figure(grid, check->accuracy, "%.2f");
    add_figure(grid, check->reference, "%.2f");
    add_figure(grid, -check->drop, "%+.2f");
    add_figure(grid, check->p, "%.3g");
    lay_grid_add_text(grid, check->failed ? "failed" : "passed");
}

static enum lay_status put_all_checks(struct lay_str *out, const struct lay_gate *gate, struct lay_err *err)
{
    static const char *const heading[] = {"system",    "task",       "language", "accuracy",
                                          "reference", "difference", "p",        "verdict"};
    struct lay_grid grid = {.columns = sizeof heading / sizeof *heading};
    for (size_t i = 0; i < grid.columns; i++)
        lay_grid_add_text(&grid, heading[i]);
    for (size_t i = 0; i < gate->checks.count; i++)
        add_check(&grid, &gate->checks.items[i]);
    const enum lay_status status = lay_grid_put_markdown(out, &grid, err);
    lay_grid_free(&grid);
    return status;
}

enum lay_status lay_gate_put_markdown(struct lay_str *out, const struct lay_gate *gate, struct lay_err *err)
{
    lay_str_puts(out, "## layeval gate: ");
    put_total(out, gate);
    lay_str_puts(out, "\n\n");
    for (size_t i = 0; i < gate->checks.count; i++) {
        const struct lay_gate_check *check = &gate->checks.items[i];
        if (!check->failed)
            continue;
        lay_str_puts(out, "- **");
        lay_text_put_markdown(out, check->system);
        lay_str_printf(out, " %s %s**: ", check->task, check->language);
        lay_text_put_markdown(out, lay_str_text(&check->failures));
        lay_str_putc(out, '\n');
    }
    lay_str_puts(out, "\n<details><summary>All checks</summary>\n\n");
    LAY_TRY(put_all_checks(out, gate, err));
    lay_str_puts(out, "\n</details>\n\n");
    return lay_str_check(out, err);
}

/* --- JUnit --- */

static const char *first_problem(const struct lay_gate_check *check)
{
    size_t problem = 0;
    while (problem + 1 < LAY_GATE_PROBLEMS && !check->problems[problem])
        problem++;
    return lay_gate_problem_name(problem);
}

/* Sentences for every check: its figures and notes. */
static void describe(const struct lay_gate *gate, struct lay_str *outputs)
{
    for (size_t i = 0; i < gate->checks.count; i++) {
        const struct lay_gate_check *check = &gate->checks.items[i];
        put_figures(&outputs[i], check);
        if (check->notes.length)
            lay_str_printf(&outputs[i], "; %s", lay_str_text(&check->notes));
    }
}

/* The checks of one system and task stand together, whatever was found missing later. */
static size_t fill_cases(const struct lay_gate *gate, const struct lay_str *outputs, bool *done,
                         struct lay_junit_case *cases)
{
    size_t count = 0;
    for (size_t i = 0; i < gate->checks.count; i++)
        for (size_t j = i; j < gate->checks.count && !done[i]; j++) {
            const struct lay_gate_check *first = &gate->checks.items[i], *check = &gate->checks.items[j];
            if (strcmp(check->system, first->system) != 0 || strcmp(check->task, first->task) != 0)
                continue;
            cases[count++] = (struct lay_junit_case){
                .system = check->system,
                .task = check->task,
                .name = check->language,
                .failure = check->failed ? lay_str_text(&check->failures) : NULL,
                .type = first_problem(check),
                .output = lay_str_text(&outputs[j]),
            };
            done[j] = j > i;
        }
    return count;
}

enum lay_status lay_gate_put_junit(struct lay_str *out, const struct lay_gate *gate, struct lay_err *err)
{
    const size_t count = gate->checks.count;
    struct lay_junit_case *cases = lay_alloc(count + 1, sizeof *cases);
    struct lay_str *outputs = lay_alloc(count + 1, sizeof *outputs);
    bool *done = lay_alloc(count + 1, sizeof *done);
    enum lay_status status = cases && outputs && done ? LAY_OK : lay_no_memory(err, "the JUnit report");
    if (status == LAY_OK) {
        describe(gate, outputs);
        status = lay_junit_put(out, cases, fill_cases(gate, outputs, done, cases), err);
    }
    for (size_t i = 0; outputs && i < count; i++) {
        if (outputs[i].failed && status == LAY_OK)
            status = lay_no_memory(err, "the JUnit report");
        lay_str_free(&outputs[i]);
    }
    lay_free(done);
    lay_free(outputs);
    lay_free(cases);
    return status;
}
