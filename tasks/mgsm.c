/* MGSM: 250 grade-school problems in 11 languages. */
#include "tasks/dataset.h"

#include "engine/base/mem.h"
#include "engine/base/utf8.h"

size_t lay_mgsm_row(struct lay_line line, struct lay_line *question, struct lay_str *answer)
{
    struct lay_line columns[2];
    lay_utf8_strip(&line.text, &line.length);
    const size_t count = lay_line_split(line, columns, 2);
    *question = columns[0];
    if (count < 2)
        return count;
    lay_utf8_strip(&columns[1].text, &columns[1].length);
    for (size_t i = 0; i < columns[1].length; i++)
        if (columns[1].text[i] != ',')
            lay_str_putc(answer, columns[1].text[i]);
    return count;
}

static enum lay_status add_row(struct lay_source *source, struct lay_line line, struct lay_str *answer,
                               struct lay_err *err)
{
    struct lay_line question;
    lay_str_clear(answer);
    const size_t columns = lay_mgsm_row(line, &question, answer);
    if (columns != 2)
        return lay_source_fail(source, err, "expected 2 columns (question, TAB, answer), found %zu", columns);
    LAY_TRY(lay_str_check(answer, err));
    const struct lay_line target = {lay_str_text(answer), answer->length};
    LAY_TRY(lay_source_check_number(source, target, err));
    cJSON *doc = cJSON_CreateObject();
    if (!doc || !lay_doc_put(doc, "question", question) || !lay_doc_put(doc, "answer", target)) {
        cJSON_Delete(doc);
        return lay_no_memory(err, "data items");
    }
    return lay_source_add(source, question, NULL, target, doc, err);
}

static enum lay_status read_tsv(struct lay_source *source, struct lay_err *err)
{
    struct lay_str answer = {0};
    struct lay_line line;
    bool more = true;
    enum lay_status status = LAY_OK;
    while (status == LAY_OK) {
        status = lay_source_line(source, &line, &more, err);
        if (status != LAY_OK || !more)
            break;
        status = add_row(source, line, &answer, err);
    }
    lay_str_free(&answer);
    return status;
}

static enum lay_status read_json(struct lay_source *source, struct lay_err *err)
{
    static const struct lay_math_keys keys = {"query", "response"};
    return lay_source_read_math(source, &keys, err);
}

static const struct lay_layout layouts[] = {
    {"tsv", "mgsm_{iso}.tsv", "question TAB answer per line, no header, no quoting (url-nlp)", read_tsv},
    {"json", "mgsm_{Name}.json", "JSON lines {\"query\", \"response\"} (MathOctopus)", read_json},
};

const struct lay_task lay_task_mgsm = {
    .name = "mgsm",
    .title = "MGSM",
    .version = 1,
    .kind = LAY_TASK_MATH,
    .layouts = layouts,
    .n_layouts = sizeof layouts / sizeof *layouts,
    .download = "https://github.com/google-research/url-nlp/tree/main/mgsm (CC-BY 4.0)",
};
