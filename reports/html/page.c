/* The page from head to foot. */
#include "reports/html/assets.h"
#include "reports/html/part.h"
#include "reports/html/samples.h"

#include "engine/base/mem.h"

static void put_asset(struct lay_str *out, const unsigned char *bytes, size_t size)
{
    lay_str_append(out, (const char *)bytes, size);
}

void lay_html_section_open(struct lay_str *out, const char *id, const char *title)
{
    lay_str_printf(out, "<section id=\"%s\" aria-labelledby=\"%s-heading\">\n<h2 id=\"%s-heading\">", id, id,
                   id);
    lay_markup_text(out, title);
    lay_str_puts(out, "</h2>\n");
}

void lay_html_section_close(struct lay_str *out)
{
    lay_str_puts(out, "</section>\n");
}

void lay_html_scroll_open(struct lay_str *out, const char *label)
{
    lay_str_puts(out, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"");
    lay_markup_text(out, label);
    lay_str_puts(out, "\">\n");
}

void lay_html_scroll_close(struct lay_str *out)
{
    lay_str_puts(out, "</div>\n");
}

void lay_html_column_put(struct lay_str *out, const char *text)
{
    lay_str_puts(out, "<th scope=\"col\">");
    lay_markup_text(out, text);
    lay_str_puts(out, "</th>");
}

void lay_html_row_put(struct lay_str *out, const char *text)
{
    lay_str_puts(out, "<th scope=\"row\">");
    lay_markup_text(out, text);
    lay_str_puts(out, "</th>");
}

static void put_names(struct lay_str *out, const struct lay_report *report)
{
    for (size_t s = 0; s < report->count; s++) {
        lay_str_puts(out, s ? ", " : "");
        lay_markup_text(out, report->systems[s].name);
    }
}

/* Scripts and styles stand in the page itself; blob: is the worker made of one of them, data: the figures. */
static void put_head(struct lay_str *out, const struct lay_report *report)
{
    lay_str_puts(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                      "style-src 'unsafe-inline'; script-src 'unsafe-inline' blob:; worker-src blob:; "
                      "img-src data:; base-uri 'none'; form-action 'none'\">\n"
                      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>layeval: ");
    put_names(out, report);
    lay_str_puts(out, "</title>\n<style>\n");
    put_asset(out, lay_asset_chart_css, lay_asset_chart_css_size);
    put_asset(out, lay_asset_report_css, lay_asset_report_css_size);
    lay_str_puts(out, "</style>\n</head>\n");
}

static void put_link(struct lay_str *out, const char *id, const char *title)
{
    lay_str_printf(out, "<li><a href=\"#%s\">%s</a></li>", id, title);
}

static void put_top(struct lay_str *out, const struct lay_report *report, bool resources)
{
    lay_str_puts(out, "<body>\n<a class=\"skip\" href=\"#scores\">To the scores</a>\n<header>\n"
                      "<h1>");
    lay_markup_text(out, report->heading ? report->heading : "Evaluation report");
    lay_str_puts(out, "</h1>\n<p>");
    put_names(out, report);
    lay_str_puts(out, ". <span class=\"note\">layeval " LAYEVAL_VERSION "</span></p>\n</header>\n"
                      "<nav aria-label=\"Sections\"><ul>");
    put_link(out, "scores", "Scores");
    if (resources)
        put_link(out, "resources", "Low and high resource");
    put_link(out, "agreement", "Paper and strict");
    put_link(out, "endings", "What went wrong");
    if (lay_html_have_training(report))
        put_link(out, "training", "Training");
    if (report->figures && report->figures->count)
        put_link(out, "figures", "Pictures");
    put_link(out, "samples", "Samples");
    put_link(out, "manifest", "Manifest");
    lay_str_puts(out, "</ul></nav>\n<main>\n");
}

static enum lay_status put_scores(struct lay_str *out, const struct lay_report *report,
                                  const struct lay_score_table *tables, size_t count, struct lay_err *err)
{
    lay_html_section_open(out, "scores", "Scores");
    lay_str_puts(out, "<p>Accuracy in %, scored as the official code of the papers does; the line below each "
                      "system is the strict score. Best in bold, second best underlined.</p>\n");
    for (size_t i = 0; i < count; i++) {
        LAY_TRY(lay_html_scores_put(out, &tables[i], i, err));
        if (report->differences)
            lay_html_differences_put(out, &tables[i]);
    }
    lay_html_section_close(out);
    return LAY_OK;
}

static enum lay_status put_samples(struct lay_str *out, const struct lay_report *report, struct lay_err *err)
{
    struct lay_merged merged;
    enum lay_status status = lay_merged_create(report->systems, report->count, &merged, err);
    if (status == LAY_OK)
        status = lay_html_samples_put(out, report->systems, &merged, err);
    lay_merged_free(&merged);
    return status;
}

static void put_scripts(struct lay_str *out)
{
    lay_str_puts(out, "<script id=\"samples-script\">\n");
    put_asset(out, lay_asset_samples_js, lay_asset_samples_js_size);
    lay_str_puts(out, "</script>\n<script>\n");
    put_asset(out, lay_asset_report_js, lay_asset_report_js_size);
    lay_str_puts(out, "</script>\n");
}

static bool have_resources(const struct lay_score_table *tables, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t c = 0; c < tables[i].n_columns; c++)
            if (tables[i].columns[c].average && tables[i].columns[c].set == LAY_SET_LRL)
                return true;
    return false;
}

/* The samples' texts come last: they are megabytes, and all else is there while they load. */
static enum lay_status put_body(struct lay_str *out, const struct lay_report *report,
                                const struct lay_score_table *tables, size_t count, struct lay_err *err)
{
    const bool resources = have_resources(tables, count);
    put_top(out, report, resources);
    LAY_TRY(put_scores(out, report, tables, count, err));
    if (resources)
        LAY_TRY(lay_html_resources_put(out, tables, count, err));
    lay_html_agreement_put(out, report);
    lay_html_endings_put(out, report);
    if (lay_html_have_training(report))
        LAY_TRY(lay_html_training_put(out, report, err));
    if (report->figures && report->figures->count)
        lay_html_figures_put(out, report->figures);
    put_asset(out, lay_asset_browser_html, lay_asset_browser_html_size);
    LAY_TRY(lay_html_manifest_put(out, report, err));
    lay_str_puts(out, "</main>\n");
    LAY_TRY(put_samples(out, report, err));
    put_scripts(out);
    lay_str_puts(out, "</body>\n</html>\n");
    return lay_str_check(out, err);
}

enum lay_status lay_html_put(struct lay_str *out, const struct lay_report *report, struct lay_err *err)
{
    size_t count = 0, made = 0;
    const char **tasks = lay_score_tasks(report->systems, report->count, &count);
    struct lay_score_table *tables = lay_alloc(count + 1, sizeof *tables);
    enum lay_status status = tasks && tables ? LAY_OK : lay_no_memory(err, "the HTML report");
    while (made < count && status == LAY_OK) {
        status = lay_score_table_create(report->systems, report->count, report->baselines, tasks[made],
                                        &tables[made], err);
        made++;
    }
    if (status == LAY_OK) {
        put_head(out, report);
        status = put_body(out, report, tables, count, err);
    }
    for (size_t i = 0; i < made; i++)
        lay_score_table_free(&tables[i]);
    lay_free(tables);
    lay_free(tasks);
    return status;
}
