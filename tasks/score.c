#include "tasks/score.h"

#include "engine/base/mem.h"
#include "engine/base/utf8.h"
#include "tasks/strict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOLERANCE 1e-3
#define MAX_LABELS 16

/* The text with every decimal digit as ASCII, points and commas kept, anything else a blank: all that the
 * official regular expressions can see. The comma of digit-comma-digit is left out, in one pass that never
 * looks back, as re.sub(r"(\d),(\d)", r"\1\2") does. */
static enum lay_status reduce(const char *text, size_t length, struct lay_str *reduced, struct lay_err *err)
{
    for (size_t at = 0; at < length;) {
        const int32_t rune = lay_utf8_next(text, length, &at);
        const int digit = lay_unicode_digit(rune);
        lay_str_putc(reduced, digit >= 0                   ? (char)('0' + digit)
                              : rune == '.' || rune == ',' ? (char)rune
                                                           : ' ');
    }
    LAY_TRY(lay_str_check(reduced, err));
    size_t kept = 0;
    char *c = reduced->data;
    for (size_t at = 0; at < reduced->length;) {
        const bool match = at + 2 < reduced->length && c[at] >= '0' && c[at + 1] == ',' && c[at + 2] >= '0';
        c[kept++] = c[at];
        if (match)
            c[kept++] = c[at + 2];
        at += match ? 3 : 1;
    }
    reduced->length = kept;
    if (c)
        c[kept] = 0;
    return LAY_OK;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The last match of \d+(\.\d+)? as integer digits, decimals and a negative power of ten: strtod then never
 * sees a decimal point, which a locale might want to be a comma. */
static void last_match(const char *text, struct lay_str *number)
{
    for (const char *at = text; *at;) {
        if (!is_digit(*at)) {
            at++;
            continue;
        }
        const size_t whole = strspn(at, "0123456789");
        const size_t decimals = at[whole] == '.' ? strspn(at + whole + 1, "0123456789") : 0;
        lay_str_clear(number);
        lay_str_append(number, at, whole);
        if (decimals > 0) {
            lay_str_append(number, at + whole + 1, decimals);
            lay_str_printf(number, "e-%zu", decimals);
        }
        at += whole + (decimals > 0 ? decimals + 1 : 0);
    }
}

enum lay_status lay_extract_last_num(const char *text, size_t length, double *number, struct lay_err *err)
{
    struct lay_str reduced = {0}, match = {0};
    *number = 0.0;
    enum lay_status status = reduce(text, length, &reduced, err);
    if (status == LAY_OK) {
        last_match(lay_str_text(&reduced), &match);
        status = lay_str_check(&match, err);
    }
    if (status == LAY_OK && match.length > 0)
        *number = strtod(match.data, NULL);
    lay_str_free(&reduced);
    lay_str_free(&match);
    return status;
}

/* Python's str(float). */
static void put_number(struct lay_str *out, double value)
{
    if (!out)
        return;
    if (isinf(value))
        lay_str_puts(out, value < 0 ? "-inf" : "inf");
    else
        lay_json_put_double(out, value);
}

struct answer {
    const struct lay_task *task;
    const struct lay_language *language;
    const char *const *labels;
    size_t n_labels;
    const char *target;
    const char *output;
    size_t length;
    struct lay_score *score;
    struct lay_str *paper, *strict;
};

static enum lay_status score_math(const struct answer *answer, enum lay_match match, struct lay_err *err)
{
    struct lay_score *score = answer->score;
    const size_t target_length = strlen(answer->target);
    double number = 0, gold = 0;
    bool found, has_gold;
    LAY_TRY(lay_extract_last_num(answer->output, answer->length, &score->paper_number, err));
    LAY_TRY(lay_extract_last_num(answer->target, target_length, &score->paper_target_number, err));
    score->paper_correct = match == LAY_MATCH_FLOAT_EQ
                               ? score->paper_target_number == score->paper_number
                               : fabs(score->paper_target_number - score->paper_number) < TOLERANCE;
    put_number(answer->paper, score->paper_number);
    LAY_TRY(lay_strict_number(answer->output, answer->length, answer->language, &number, &found, err));
    LAY_TRY(lay_strict_number(answer->target, target_length, NULL, &gold, &has_gold, err));
    if (!found)
        return LAY_OK;
    score->strict = has_gold && fabs(gold - number) < TOLERANCE ? LAY_STRICT_CORRECT : LAY_STRICT_WRONG;
    put_number(answer->strict, number);
    return LAY_OK;
}

static enum lay_status score_choice(const struct answer *answer, struct lay_err *err)
{
    char letter;
    LAY_TRY(lay_strict_choice(answer->output, answer->length, answer->language, answer->task->max_choices,
                              &letter, err));
    if (!letter)
        return LAY_OK;
    answer->score->strict =
        answer->target[0] == letter && !answer->target[1] ? LAY_STRICT_CORRECT : LAY_STRICT_WRONG;
    if (answer->strict)
        lay_str_putc(answer->strict, letter);
    return LAY_OK;
}

static bool same_word(const char *a, const char *b, bool *same, struct lay_err *err)
{
    struct lay_runes runes;
    *same = false;
    if (lay_runes_decode(a, strlen(a), &runes, err) != LAY_OK)
        return false;
    *same = *b && lay_runes_match(&runes, 0, b) == runes.count;
    lay_runes_free(&runes);
    return true;
}

/* The target is one of the words that are looked for, whatever list was given. */
static enum lay_status score_label(const struct answer *answer, struct lay_err *err)
{
    const char *words[MAX_LABELS + 1];
    size_t count = answer->n_labels < MAX_LABELS ? answer->n_labels : MAX_LABELS;
    int index, gold = -1;
    for (size_t i = 0; i < count; i++) {
        bool same;
        words[i] = answer->labels[i];
        if (!same_word(answer->target, words[i], &same, err))
            return LAY_ERR_MEMORY;
        if (same)
            gold = (int)i;
    }
    if (gold < 0 && *answer->target) {
        gold = (int)count;
        words[count++] = answer->target;
    }
    LAY_TRY(lay_strict_label(answer->output, answer->length, answer->language, words, count, &index, err));
    if (index < 0)
        return LAY_OK;
    answer->score->strict = index == gold ? LAY_STRICT_CORRECT : LAY_STRICT_WRONG;
    if (answer->strict)
        lay_str_puts(answer->strict, words[index]);
    return LAY_OK;
}

static void score_exact(const struct answer *answer)
{
    const char *text = answer->output;
    size_t length = answer->length;
    lay_utf8_strip(&text, &length);
    answer->score->paper_correct =
        strlen(answer->target) == length && memcmp(answer->target, text, length) == 0;
    if (answer->paper)
        lay_str_append(answer->paper, text, length);
}

enum lay_status lay_score_labelled(const struct lay_task *task, const struct lay_language *language,
                                   const char *const *labels, size_t n_labels, const char *target,
                                   const char *output, size_t length, enum lay_match match,
                                   struct lay_score *score, struct lay_str *paper_extracted,
                                   struct lay_str *strict_extracted, struct lay_err *err)
{
    *score = (struct lay_score){.strict = LAY_STRICT_UNPARSED};
    const struct answer answer = {task,   language, labels, n_labels,        target,
                                  output, length,   score,  paper_extracted, strict_extracted};
    if (task->kind == LAY_TASK_MATH) {
        LAY_TRY(score_math(&answer, match, err));
    } else {
        score_exact(&answer);
        LAY_TRY(task->kind == LAY_TASK_CHOICE ? score_choice(&answer, err) : score_label(&answer, err));
    }
    if (paper_extracted)
        LAY_TRY(lay_str_check(paper_extracted, err));
    return strict_extracted ? lay_str_check(strict_extracted, err) : LAY_OK;
}

enum lay_status lay_score_answer(const struct lay_task *task, const struct lay_language *language,
                                 const char *target, const char *output, size_t length, enum lay_match match,
                                 struct lay_score *score, struct lay_str *paper_extracted,
                                 struct lay_str *strict_extracted, struct lay_err *err)
{
    return lay_score_labelled(task, language, task->labels, task->n_labels, target, output, length, match,
                              score, paper_extracted, strict_extracted, err);
}
