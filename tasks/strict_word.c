/* Option letters and label words in an answer. */
#include "tasks/strict.h"

#include "engine/base/mem.h"
#include "engine/base/utf8.h"

#include <string.h>
#include <utf8proc.h>

enum lay_status lay_runes_decode(const char *text, size_t length, struct lay_runes *runes,
                                 struct lay_err *err)
{
    runes->count = 0;
    runes->at = lay_alloc(length, sizeof *runes->at);
    if (!runes->at)
        return lay_no_memory(err, "an answer");
    for (size_t at = 0; at < length;)
        runes->at[runes->count++] = lay_utf8_next(text, length, &at);
    return LAY_OK;
}

void lay_runes_free(struct lay_runes *runes)
{
    lay_free(runes->at);
    *runes = (struct lay_runes){0};
}

/* Thai, Chinese, Japanese and the like, from U+0E00 on, run words together. */
bool lay_rune_in_word(int32_t rune)
{
    if (rune < 0x80)
        return (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z');
    if (rune >= 0x0E00)
        return false;
    const utf8proc_category_t category = utf8proc_category(rune);
    return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_ME;
}

size_t lay_runes_match(const struct lay_runes *runes, size_t from, const char *word)
{
    const size_t length = strlen(word);
    size_t place = from;
    for (size_t at = 0; at < length; place++) {
        const int32_t wanted = lay_utf8_next(word, length, &at);
        if (place >= runes->count || utf8proc_tolower(runes->at[place]) != utf8proc_tolower(wanted))
            return 0;
    }
    return place;
}

/* A word of letters must not begin or end inside another word. */
static size_t match_word(const struct lay_runes *runes, size_t from, const char *word)
{
    const size_t end = lay_runes_match(runes, from, word);
    if (end == 0 || (from > 0 && lay_rune_in_word(runes->at[from]) && lay_rune_in_word(runes->at[from - 1])))
        return 0;
    if (end < runes->count && lay_rune_in_word(runes->at[end - 1]) && lay_rune_in_word(runes->at[end]))
        return 0;
    return end;
}

size_t lay_marker_at(const struct lay_runes *runes, size_t from, const struct lay_language *language)
{
    static const char *const common[] = {
        "####", "\\boxed{", "the answer is", "final answer", "the final answer is", "answer:"};
    size_t longest = 0;
    for (size_t i = 0; i < sizeof common / sizeof *common; i++) {
        const size_t end = match_word(runes, from, common[i]);
        longest = end > longest ? end : longest;
    }
    for (size_t i = 0; i < language->n_answer_markers; i++) {
        const size_t end = match_word(runes, from, language->answer_markers[i]);
        longest = end > longest ? end : longest;
    }
    return longest;
}

static bool is_one_of(int32_t rune, const char *set)
{
    const size_t length = strlen(set);
    for (size_t at = 0; at < length;)
        if (lay_utf8_next(set, length, &at) == rune)
            return true;
    return false;
}

/* Skips quotes, brackets, emphasis, colons and white space before an answer. */
static size_t skip_opening(const struct lay_runes *runes, size_t at)
{
    while (at < runes->count &&
           (lay_unicode_is_space(runes->at[at]) || is_one_of(runes->at[at], "([{*_`\"'“‘「『【（:：$")))
        at++;
    return at;
}

static size_t skip_closing(const struct lay_runes *runes, size_t at)
{
    while (at < runes->count && is_one_of(runes->at[at], "*_`\"'”’」』】]}$"))
        at++;
    return at;
}

static bool is_word_or_digit(int32_t rune)
{
    return lay_rune_in_word(rune) || lay_unicode_digit(rune) >= 0;
}

/* The option letter at `at` if it stands alone and the end of the text or line, '.', ')' or ':' follows. */
static char letter_at(const struct lay_runes *runes, size_t at, size_t max_choices)
{
    if (at >= runes->count || (at > 0 && is_word_or_digit(runes->at[at - 1])))
        return 0;
    int32_t rune = runes->at[at];
    if (rune >= 0xFF21 && rune <= 0xFF5A) /* full width */
        rune -= 0xFEE0;
    const bool lower = rune >= 'a' && rune <= 'z';
    const int32_t letter = lower ? rune - 'a' + 'A' : rune;
    if (letter < 'A' || letter >= 'A' + (int32_t)max_choices)
        return 0;
    const size_t next = skip_closing(runes, at + 1);
    const int32_t after = next < runes->count ? runes->at[next] : '\n';
    if (after != '\n' && after != '\r' && !is_one_of(after, ".):．。）："))
        return 0;
    if (lower && after == '.' && next + 1 < runes->count && lay_rune_in_word(runes->at[next + 1]))
        return 0; /* e.g. */
    return (char)letter;
}

/* Behind the last marker, with or without the word option. */
static char marked_letter(const struct lay_runes *runes, const struct lay_language *language,
                          size_t max_choices)
{
    static const char *const words[] = {"option", "choice"};
    for (size_t at = runes->count; at-- > 0;) {
        const size_t end = lay_marker_at(runes, at, language);
        if (end == 0)
            continue;
        size_t place = skip_opening(runes, end);
        for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
            const size_t behind = match_word(runes, place, words[i]);
            place = behind ? skip_opening(runes, behind) : place;
        }
        const char letter = letter_at(runes, place, max_choices);
        if (letter)
            return letter;
    }
    return 0;
}

/* The only capital option letter of the text; none when there are several. */
static char only_letter(const struct lay_runes *runes, size_t max_choices)
{
    char only = 0;
    for (size_t at = 0; at < runes->count; at++) {
        const char letter = letter_at(runes, at, max_choices);
        if (!letter || (runes->at[at] >= 'a' && runes->at[at] <= 'z'))
            continue;
        if (only && letter != only)
            return 0;
        only = letter;
    }
    return only;
}

enum lay_status lay_strict_choice(const char *text, size_t length, const struct lay_language *language,
                                  size_t max_choices, char *letter, struct lay_err *err)
{
    struct lay_runes runes;
    lay_utf8_strip(&text, &length);
    LAY_TRY(lay_runes_decode(text, length, &runes, err));
    *letter = letter_at(&runes, skip_opening(&runes, 0), max_choices);
    if (!*letter)
        *letter = marked_letter(&runes, language, max_choices);
    if (!*letter)
        *letter = only_letter(&runes, max_choices);
    lay_runes_free(&runes);
    return LAY_OK;
}

static int label_at(const struct lay_runes *runes, size_t at, const char *const *labels, size_t n_labels)
{
    for (size_t i = 0; at < runes->count && i < n_labels; i++)
        if (match_word(runes, at, labels[i]))
            return (int)i;
    return -1;
}

static int marked_label(const struct lay_runes *runes, const struct lay_language *language,
                        const char *const *labels, size_t n_labels)
{
    for (size_t at = runes->count; at-- > 0;) {
        const size_t end = lay_marker_at(runes, at, language);
        const int index = end ? label_at(runes, skip_opening(runes, end), labels, n_labels) : -1;
        if (index >= 0)
            return index;
    }
    return -1;
}

static int only_label(const struct lay_runes *runes, const char *const *labels, size_t n_labels)
{
    int only = -1;
    for (size_t at = 0; at < runes->count; at++) {
        const int index = label_at(runes, at, labels, n_labels);
        if (index >= 0 && only >= 0 && index != only)
            return -1;
        only = index >= 0 ? index : only;
    }
    return only;
}

enum lay_status lay_strict_label(const char *text, size_t length, const struct lay_language *language,
                                 const char *const *labels, size_t n_labels, int *index, struct lay_err *err)
{
    struct lay_runes runes;
    LAY_TRY(lay_runes_decode(text, length, &runes, err));
    *index = label_at(&runes, skip_opening(&runes, 0), labels, n_labels);
    if (*index < 0)
        *index = marked_label(&runes, language, labels, n_labels);
    if (*index < 0)
        *index = only_label(&runes, labels, n_labels);
    lay_runes_free(&runes);
    return LAY_OK;
}
