/* XNLI: premise, hypothesis and one of three labels in 15 languages. */
#include "tasks/dataset.h"

#include "engine/base/mem.h"

#include <string.h>
#include <strings.h>

static const char *const labels[] = {"entailment", "neutral", "contradiction"};
enum { N_LABELS = sizeof labels / sizeof *labels };
#define LABELS_FILE "test.labels.tsv"

/* "-" stands where XNLI's annotators did not agree; such pairs are in no published test file. */
static enum lay_status check_label(const struct lay_source *source, struct lay_line label,
                                   struct lay_err *err)
{
    for (size_t i = 0; i < N_LABELS; i++)
        if (strlen(labels[i]) == label.length && strncasecmp(label.text, labels[i], label.length) == 0)
            return LAY_OK;
    return lay_source_fail(source, err, "the label \"%.*s\" is none of entailment, neutral, contradiction",
                           label.length < 40 ? (int)label.length : 40, label.text);
}

static enum lay_status language_of(const struct lay_source *source, struct lay_line name,
                                   const struct lay_language **language, struct lay_err *err)
{
    char text[32];
    *language = NULL;
    if (name.length < sizeof text) {
        memcpy(text, name.text, name.length);
        text[name.length] = 0;
        *language = lay_language_find(text);
    }
    if (!*language || !lay_language_in(*language, source->dataset->task->name))
        return lay_source_fail(source, err, "\"%.*s\" is no language of XNLI",
                               name.length < 40 ? (int)name.length : 40, name.text);
    return LAY_OK;
}

struct pair {
    struct lay_line premise, hypothesis, label;
};

/* What a row of a TSV becomes in samples files. */
static enum lay_status add_row(struct lay_source *source, const struct pair *pair, struct lay_err *err)
{
    if (pair->premise.length == 0 || pair->hypothesis.length == 0)
        return lay_source_fail(source, err, "an empty sentence");
    LAY_TRY(check_label(source, pair->label, err));
    cJSON *doc = cJSON_CreateObject();
    if (!doc || !lay_doc_put(doc, "language", lay_line_of(source->dataset->language->iso)) ||
        !lay_doc_put(doc, "gold_label", pair->label) || !lay_doc_put(doc, "sentence1", pair->premise) ||
        !lay_doc_put(doc, "sentence2", pair->hypothesis)) {
        cJSON_Delete(doc);
        return lay_no_memory(err, "data items");
    }
    const char *second = cJSON_GetObjectItemCaseSensitive(doc, "sentence2")->valuestring;
    return lay_source_add(source, pair->premise, second, pair->label, doc, err);
}

/* The 19 columns of xnli.test.tsv; which is which is taken from here, and the header is held against it. */
static const char *const columns[] = {
    "language",
    "gold_label",
    "sentence1_binary_parse",
    "sentence2_binary_parse",
    "sentence1_parse",
    "sentence2_parse",
    "sentence1",
    "sentence2",
    "promptID",
    "pairID",
    "genre",
    "label1",
    "label2",
    "label3",
    "label4",
    "label5",
    "sentence1_tokenized",
    "sentence2_tokenized",
    "match",
};
enum { N_COLUMNS = sizeof columns / sizeof *columns, LANGUAGE = 0, GOLD = 1, FIRST = 6, SECOND = 7 };

static enum lay_status check_header(struct lay_source *source, struct lay_err *err)
{
    struct lay_line line, found[N_COLUMNS];
    bool more;
    LAY_TRY(lay_source_line(source, &line, &more, err));
    if (!more)
        return LAY_OK; /* the caller finds no items */
    LAY_TRY(lay_source_columns(source, line, N_COLUMNS, found, err));
    for (size_t i = 0; i < N_COLUMNS; i++)
        if (found[i].length != strlen(columns[i]) || memcmp(found[i].text, columns[i], found[i].length) != 0)
            return lay_source_fail(source, err, "the header's column %zu must be \"%s\"", i + 1, columns[i]);
    return LAY_OK;
}

static enum lay_status read_original(struct lay_source *source, struct lay_err *err)
{
    LAY_TRY(check_header(source, err));
    for (;;) {
        struct lay_line line, found[N_COLUMNS];
        const struct lay_language *language;
        bool more;
        LAY_TRY(lay_source_line(source, &line, &more, err));
        if (!more)
            return LAY_OK;
        LAY_TRY(lay_source_columns(source, line, N_COLUMNS, found, err));
        LAY_TRY(language_of(source, found[LANGUAGE], &language, err));
        const struct pair pair = {found[FIRST], found[SECOND], found[GOLD]};
        LAY_TRY(check_label(source, pair.label, err));
        if (language == source->dataset->language)
            LAY_TRY(add_row(source, &pair, err));
    }
}

/* Checks an item of a JSON file; takes it. Added when it is in our language. */
static enum lay_status add_item(struct lay_source *source, cJSON *item, const char *label_key,
                                struct lay_err *err)
{
    const char *language_name, *first, *second, *label;
    const struct lay_language *language = NULL;
    enum lay_status status = lay_source_string(source, item, "language", &language_name, err);
    if (status == LAY_OK)
        status = lay_source_string(source, item, "sentence1", &first, err);
    if (status == LAY_OK)
        status = lay_source_string(source, item, "sentence2", &second, err);
    if (status == LAY_OK)
        status = lay_source_string(source, item, label_key, &label, err);
    if (status == LAY_OK)
        status = check_label(source, lay_line_of(label), err);
    if (status == LAY_OK)
        status = language_of(source, lay_line_of(language_name), &language, err);
    if (status != LAY_OK || language != source->dataset->language) {
        cJSON_Delete(item);
        return status;
    }
    return lay_source_add(source, lay_line_of(first), second, lay_line_of(label), item, err);
}

static enum lay_status read_lines(struct lay_source *source, struct lay_err *err)
{
    for (;;) {
        cJSON *item;
        LAY_TRY(lay_source_next_object(source, &item, err));
        if (!item)
            return LAY_OK;
        LAY_TRY(add_item(source, item, "gold_label", err));
    }
}

/* One JSON value over the whole file: an array, or an object with the array under "data". */
static enum lay_status read_array(struct lay_source *source, struct lay_err *err)
{
    cJSON *root;
    LAY_TRY(lay_source_whole(source, &root, err));
    cJSON *list = cJSON_IsObject(root) ? cJSON_GetObjectItemCaseSensitive(root, "data") : root;
    enum lay_status status = LAY_OK;
    if (!cJSON_IsArray(list))
        status = lay_fail(err, LAY_ERR_INPUT, "%s: a list of items or {\"data\": [...]} must stand there",
                          source->path);
    source->line = 0;
    while (status == LAY_OK && list->child) {
        cJSON *item = cJSON_DetachItemViaPointer(list, list->child);
        source->line++; /* of items here: messages name the item's number */
        status = add_item(source, item, "label", err);
    }
    cJSON_Delete(root);
    return status;
}

/* The column of the labels file that holds the label: by its header, or the only column of a file without
 * one. */
static enum lay_status label_column(const struct lay_source *file, struct lay_line line, size_t *column,
                                    size_t *count, bool *header, struct lay_err *err)
{
    struct lay_line found[LAY_COLUMNS_MAX];
    *count = lay_line_split(line, found, LAY_COLUMNS_MAX);
    if (*count > LAY_COLUMNS_MAX)
        return lay_source_fail(file, err, "%zu columns; at most %d are read", *count, LAY_COLUMNS_MAX);
    *header = true;
    for (*column = 0; *column < *count; (*column)++) {
        const struct lay_line name = found[*column];
        if ((name.length == 10 && memcmp(name.text, "gold_label", 10) == 0) ||
            (name.length == 5 && memcmp(name.text, "label", 5) == 0))
            return LAY_OK;
    }
    *header = false;
    *column = 0;
    if (*count == 1)
        return LAY_OK;
    return lay_source_fail(file, err, "no column is headed gold_label or label");
}

/* The label of row `source->line`, from the labels file's next line. */
static enum lay_status next_label(struct lay_source *file, const struct lay_source *source, bool *started,
                                  size_t *column, size_t *count, struct lay_line *label, struct lay_err *err)
{
    struct lay_line line, found[LAY_COLUMNS_MAX];
    bool more, header = false;
    LAY_TRY(lay_source_line(file, &line, &more, err));
    if (more && !*started)
        LAY_TRY(label_column(file, line, column, count, &header, err));
    *started = true;
    if (more && header)
        LAY_TRY(lay_source_line(file, &line, &more, err));
    if (!more)
        return lay_source_fail(
            source, err, "%s has no label for this row; the two files must have equally many", file->path);
    LAY_TRY(lay_source_columns(file, line, *count, found, err));
    *label = found[*column];
    return check_label(file, *label, err);
}

static enum lay_status read_joined(struct lay_source *source, struct lay_source *file, struct lay_err *err)
{
    size_t column = 0, count = 0;
    bool started = false, more;
    struct lay_line line, found[2];
    for (;;) {
        struct pair pair = {0};
        LAY_TRY(lay_source_line(source, &line, &more, err));
        if (!more)
            break;
        LAY_TRY(lay_source_columns(source, line, 2, found, err));
        LAY_TRY(next_label(file, source, &started, &column, &count, &pair.label, err));
        pair.premise = found[0];
        pair.hypothesis = found[1];
        LAY_TRY(add_row(source, &pair, err));
    }
    LAY_TRY(lay_source_line(file, &line, &more, err));
    if (more)
        return lay_source_fail(
            file, err, "a label for which %s has no row; the two files must have equally many", source->path);
    return LAY_OK;
}

static enum lay_status read_three(struct lay_source *source, struct lay_err *err)
{
    for (;;) {
        struct lay_line line, found[3];
        bool more;
        LAY_TRY(lay_source_line(source, &line, &more, err));
        if (!more)
            return LAY_OK;
        LAY_TRY(lay_source_columns(source, line, 3, found, err));
        const struct pair pair = {.premise = found[0], .hypothesis = found[1], .label = found[2]};
        LAY_TRY(add_row(source, &pair, err));
    }
}

/* The first row says whether labels stand in the file or beside it. */
static enum lay_status read_xtreme(struct lay_source *source, struct lay_err *err)
{
    struct lay_line line, found[3];
    struct lay_source file;
    bool more;
    LAY_TRY(lay_source_line(source, &line, &more, err));
    const size_t count = more ? lay_line_split(line, found, 3) : 0;
    if (more && count != 2 && count != 3)
        return lay_source_fail(source, err,
                               "expected 2 columns (premise, hypothesis) or 3 (and label), found %zu", count);
    source->at = 0;
    source->line = 0;
    if (count != 2)
        return read_three(source, err);
    enum lay_status status = lay_source_open_beside(source, LABELS_FILE, &file, err);
    if (status != LAY_OK)
        status = lay_err_context(
            err, status, "%s has no labels in it (2 columns), they must stand in " LABELS_FILE, source->path);
    else
        status = read_joined(source, &file, err);
    lay_source_close(&file);
    return status;
}

static const struct lay_layout layouts[] = {
    {"tsv", "xnli.test.tsv", "19 columns with header, all languages in one file (XNLI-1.0)", read_original},
    {"jsonl", "xnli.test.jsonl",
     "JSON lines {\"language\", \"gold_label\", \"sentence1\", \"sentence2\"} (XNLI-1.0)", read_lines},
    {"xtreme", "test-{iso}.tsv",
     "no header: premise, hypothesis, label; or 2 columns and " LABELS_FILE " beside them (XTREME)",
     read_xtreme},
    {"json", "test.json",
     "one array or {\"data\": [...]} of {\"sentence1\", \"sentence2\", \"label\", \"language\"} (LayAlign)",
     read_array},
};

const struct lay_task lay_task_xnli = {
    .name = "xnli",
    .title = "XNLI",
    .version = 1,
    .kind = LAY_TASK_LABEL,
    .layouts = layouts,
    .n_layouts = sizeof layouts / sizeof *layouts,
    .download = "https://dl.fbaipublicfiles.com/XNLI/XNLI-1.0.zip (CC BY-NC 4.0)",
    .labels = labels,
    .n_labels = N_LABELS,
};
