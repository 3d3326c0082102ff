/* Numbers as people and models write them. The rules, by position:
 *
 * - Thousands: groups of exactly three digits behind one to three that do not start with 0, all with the same
 *   separator: , . ' _ or a space; with commas also the Indian grouping 12,34,567.
 * - A single "." before three digits is a decimal point, unless the language writes thousands so or a decimal
 *   comma follows. A single "," before three digits is a thousands separator (MGSM itself writes 2,125 in
 * every language); before any other number of digits it is a decimal comma.
 * - Digits with several equal separators that are no such grouping are a list of numbers.
 * - a/b, \frac{a}{b}, ½ and whole numbers before them are fractions; a/b/c is not.
 * - A sign counts when it touches the number (or its currency sign) and nothing countable stands before it.
 */
#include "tasks/strict.h"

#include "engine/base/utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum separator { NONE, COMMA, WIDE_COMMA, POINT, ARABIC_POINT, APOSTROPHE, UNDERSCORE, SPACE };

static enum separator separator_of(int32_t rune)
{
    static const struct {
        int32_t rune;
        enum separator separator;
    } table[] = {
        {',', COMMA},      {0x066C, WIDE_COMMA},   {0xFF0C, WIDE_COMMA}, {'.', POINT},
        {0xFF0E, POINT},   {0x066B, ARABIC_POINT}, {'\'', APOSTROPHE},   {0x2019, APOSTROPHE},
        {'_', UNDERSCORE}, {' ', SPACE},           {0xA0, SPACE},        {0x2009, SPACE},
        {0x202F, SPACE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].rune == rune)
            return table[i].separator;
    return NONE;
}

/* May `decimal` follow thousands that were grouped with `grouping`? */
static bool is_decimal_mark(enum separator decimal, enum separator grouping)
{
    if (decimal == ARABIC_POINT)
        return true;
    return (decimal == POINT || decimal == COMMA) && decimal != grouping &&
           !(decimal == COMMA && grouping == WIDE_COMMA);
}

/* What is being read: the text up to `to`, digits as ASCII in a buffer. */
struct reader {
    const struct lay_runes *runes;
    size_t to;
    const struct lay_number_style *style;
    size_t list_until;             /* groups that begin before this place belong to a list … */
    enum separator list_separator; /* … that is separated by this */
};

static int digit_at(const struct reader *reader, size_t at)
{
    return at < reader->to ? lay_unicode_digit(reader->runes->at[at]) : -1;
}

static int32_t rune_at(const struct reader *reader, size_t at)
{
    return at < reader->to ? reader->runes->at[at] : 0;
}

static size_t digits_end(const struct reader *reader, size_t at)
{
    while (digit_at(reader, at) >= 0)
        at++;
    return at;
}

/* The separator at `at` if a digit follows it, else NONE. */
static enum separator joint_at(const struct reader *reader, size_t at)
{
    return digit_at(reader, at + 1) >= 0 ? separator_of(rune_at(reader, at)) : NONE;
}

/* Digits gathered for strtod: no decimal point, an exponent instead, so that no locale matters. */
#define MAX_DIGITS 480
struct digits {
    char text[MAX_DIGITS + 16];
    size_t length;
    bool overflow;
    int exponent;
};

static void take_digits(const struct reader *reader, size_t from, size_t to, struct digits *digits)
{
    for (size_t at = from; at < to; at++) {
        const int digit = digit_at(reader, at);
        if (digit < 0 || (digits->length == 0 && digit == 0))
            continue;
        if (digits->length < MAX_DIGITS)
            digits->text[digits->length++] = (char)('0' + digit);
        else
            digits->overflow = true;
    }
}

/* Digits behind the decimal point; those that no double can see are dropped. */
static void take_decimals(const struct reader *reader, size_t from, size_t to, struct digits *digits)
{
    for (size_t at = from; at < to && digits->length < MAX_DIGITS; at++) {
        take_digits(reader, at, at + 1, digits);
        digits->exponent--;
    }
}

static double value_of(struct digits *digits)
{
    if (digits->overflow)
        return INFINITY;
    if (digits->length == 0)
        return 0.0;
    char *end = digits->text + digits->length;
    *end++ = 'e';
    int exponent = digits->exponent;
    if (exponent < 0)
        *end++ = '-';
    exponent = exponent < 0 ? -exponent : exponent;
    char reversed[12];
    int n = 0;
    do
        reversed[n++] = (char)('0' + exponent % 10);
    while ((exponent /= 10) > 0);
    while (n > 0)
        *end++ = reversed[--n];
    *end = 0;
    return strtod(digits->text, NULL);
}

/* Equal separators behind the first group [begin, first_end). */
struct run {
    enum separator separator;
    size_t end;   /* behind the last group */
    size_t count; /* groups behind the first */
    bool grouped; /* they are thousands */
};

static struct run read_run(const struct reader *reader, size_t begin, size_t first_end)
{
    struct run run = {.separator = joint_at(reader, first_end), .end = first_end};
    bool threes = true, indian = true;
    size_t last = 0;
    if (run.separator == NONE)
        return run;
    while (joint_at(reader, run.end) == run.separator) {
        const size_t end = digits_end(reader, run.end + 1);
        if (run.count > 0 && last != 2)
            indian = false;
        last = end - run.end - 1;
        threes = threes && last == 3;
        run.end = end;
        run.count++;
    }
    const size_t first = first_end - begin;
    indian = indian && run.count >= 2 && last == 3 && first <= 2 && run.separator == COMMA;
    run.grouped =
        (indian || (threes && first <= 3)) && digit_at(reader, begin) != 0 && run.separator != ARABIC_POINT;
    return run;
}

/* The digits behind a decimal mark at `at`, unless more of the same follow (then it is a list). */
static size_t decimals_end(const struct reader *reader, size_t at)
{
    const enum separator mark = joint_at(reader, at);
    const size_t end = digits_end(reader, at + 1);
    return joint_at(reader, end) == mark ? at : end;
}

/* "1.234": a thousands separator or a decimal point? */
static bool single_point_groups(const struct reader *reader, const struct run *run)
{
    return reader->style->dot_thousands || joint_at(reader, run->end) == COMMA;
}

/* Reads digits, thousands and decimals from `begin`. *plain: nothing but one group of digits. */
static size_t read_decimal(struct reader *reader, size_t begin, struct digits *digits, bool *plain)
{
    const size_t first_end = digits_end(reader, begin);
    struct run run = {.end = first_end};
    size_t end = first_end;
    *plain = false;
    if (begin >= reader->list_until || joint_at(reader, first_end) != reader->list_separator)
        run = read_run(reader, begin, first_end);
    if (run.separator == POINT && run.count == 1 && run.grouped && !single_point_groups(reader, &run))
        run.grouped = false;
    if (run.grouped) {
        take_digits(reader, begin, run.end, digits);
        end = run.end;
        if (!is_decimal_mark(joint_at(reader, end), run.separator))
            return end;
    } else {
        take_digits(reader, begin, first_end, digits);
        if (run.count > 1 || !is_decimal_mark(run.separator, NONE)) {
            reader->list_until = run.count > 0 ? run.end : reader->list_until;
            reader->list_separator = run.count > 0 ? run.separator : reader->list_separator;
            *plain = true;
            return first_end;
        }
    }
    const size_t decimals = decimals_end(reader, end);
    if (decimals > end) {
        take_decimals(reader, end + 1, decimals, digits);
        return decimals;
    }
    *plain = !run.grouped;
    return end;
}

/* "e-3" behind a number: adds it to the exponent. Returns where the number then ends. */
static size_t read_exponent(const struct reader *reader, size_t at, struct digits *digits)
{
    size_t from = at + 1;
    int exponent = 0;
    if (rune_at(reader, at) != 'e' && rune_at(reader, at) != 'E')
        return at;
    const bool minus = rune_at(reader, from) == '-';
    if (minus || rune_at(reader, from) == '+')
        from++;
    const size_t end = digits_end(reader, from);
    if (end == from || end - from > 3 || lay_rune_in_word(rune_at(reader, end)))
        return at;
    for (size_t i = from; i < end; i++)
        exponent = exponent * 10 + digit_at(reader, i);
    digits->exponent += minus ? -exponent : exponent;
    return end;
}

static double plain_value(const struct reader *reader, size_t from, size_t to)
{
    struct digits digits = {0};
    take_digits(reader, from, to, &digits);
    return value_of(&digits);
}

static bool is_slash(int32_t rune)
{
    return rune == '/' || rune == 0x2044 || rune == 0x2215;
}

/* The end of "/b" at `at`, with b in *denominator; `at` when there is none, or when it is a date such as
 * 1/2/2024. */
static size_t read_denominator(const struct reader *reader, size_t at, double *denominator)
{
    if (!is_slash(rune_at(reader, at)))
        return at;
    const size_t end = digits_end(reader, at + 1);
    *denominator = plain_value(reader, at + 1, end);
    const bool date = is_slash(rune_at(reader, end)) && digit_at(reader, end + 1) >= 0;
    return end == at + 1 || *denominator == 0 || date ? at : end;
}

static double vulgar_fraction(int32_t rune)
{
    static const struct {
        int32_t rune;
        double top, bottom;
    } table[] = {
        {0xBC, 1, 4},   {0xBD, 1, 2},   {0xBE, 3, 4},   {0x2150, 1, 7}, {0x2151, 1, 9}, {0x2152, 1, 10},
        {0x2153, 1, 3}, {0x2154, 2, 3}, {0x2155, 1, 5}, {0x2156, 2, 5}, {0x2157, 3, 5}, {0x2158, 4, 5},
        {0x2159, 1, 6}, {0x215A, 5, 6}, {0x215B, 1, 8}, {0x215C, 3, 8}, {0x215D, 5, 8}, {0x215E, 7, 8},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (table[i].rune == rune)
            return table[i].top / table[i].bottom;
    return 0;
}

/* "{digits}" at `at`: returns its end, or `at`. */
static size_t read_braced(const struct reader *reader, size_t at, double *value)
{
    if (rune_at(reader, at) != '{')
        return at;
    const size_t end = digits_end(reader, at + 1);
    if (end == at + 1 || rune_at(reader, end) != '}')
        return at;
    *value = plain_value(reader, at + 1, end);
    return end + 1;
}

/* \frac{a}{b}, \dfrac, \tfrac at `at`: returns its end, or `at`. */
static size_t read_latex(const struct reader *reader, size_t at, double *value)
{
    static const char *const names[] = {"\\frac", "\\dfrac", "\\tfrac"};
    double top, bottom;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const size_t name_end = lay_runes_match(reader->runes, at, names[i]);
        const size_t middle = name_end ? read_braced(reader, name_end, &top) : 0;
        if (!name_end || middle == name_end)
            continue;
        const size_t end = read_braced(reader, middle, &bottom);
        if (end == middle || bottom == 0 || end > reader->to)
            return at;
        *value = top / bottom;
        return end;
    }
    return at;
}

/* A fraction at `at`, as it may stand alone or behind a whole number: ½, \frac{1}{2}. */
static size_t read_symbol(const struct reader *reader, size_t at, double *value)
{
    *value = vulgar_fraction(rune_at(reader, at));
    return *value > 0 ? at + 1 : read_latex(reader, at, value);
}

/* The third part of a date or the like: "2024" in 1/2/2024. */
static bool follows_slash(const struct lay_runes *runes, size_t at)
{
    return at > 1 && is_slash(runes->at[at - 1]) && lay_unicode_digit(runes->at[at - 2]) >= 0;
}

/* What may follow a whole number that ends at `at`: "/4", " 3/4", "½", " ½", "\frac{3}{4}". */
static size_t read_fraction(const struct reader *reader, size_t at, double *value)
{
    double part, denominator;
    size_t end = read_denominator(reader, at, &denominator);
    if (end > at) {
        *value /= denominator;
        return end;
    }
    const size_t next = separator_of(rune_at(reader, at)) == SPACE ? at + 1 : at;
    end = read_symbol(reader, next, &part);
    if (end > next) {
        *value += part;
        return end;
    }
    const size_t top_end = digits_end(reader, next);
    end = read_denominator(reader, top_end, &denominator);
    part = plain_value(reader, next, top_end);
    if (next == at || top_end == next || end == top_end || part >= denominator)
        return at;
    *value += part / denominator;
    return end;
}

static bool is_currency(int32_t rune)
{
    return rune == '$' || (rune >= 0xA2 && rune <= 0xA5) || rune == 0x09F3 || rune == 0x0E3F ||
           (rune >= 0x20A0 && rune <= 0x20C0) || rune == 0xFF04 || rune == 0xFFE5;
}

/* "-5", "-$5", "$-5", but not "3-4", "covid-19" or "- 5". */
static bool is_negative(const struct lay_runes *runes, size_t begin)
{
    size_t at = begin;
    if (at > 0 && is_currency(runes->at[at - 1]))
        at -= at > 1 && runes->at[at - 2] == '\\' ? 2 : 1;
    if (at == 0)
        return false;
    const int32_t sign = runes->at[at - 1];
    if (sign != '-' && sign != 0x2212 && sign != 0x2013 && sign != 0xFF0D)
        return false;
    const int32_t before = at > 1 ? runes->at[at - 2] : ' ';
    return lay_unicode_digit(before) < 0 && !lay_rune_in_word(before) && before != ')' && before != ']' &&
           before != '}' && before != '%' && before != sign;
}

/* ".5" counts as a number when nothing stands before the point that it could belong to. */
static bool is_bare_decimal(const struct reader *reader, size_t at)
{
    if (rune_at(reader, at) != '.' || digit_at(reader, at + 1) < 0)
        return false;
    const int32_t before = at > 0 ? reader->runes->at[at - 1] : ' ';
    return lay_unicode_digit(before) < 0 && !lay_rune_in_word(before) && before != '.';
}

/* A number that begins exactly at `at`; returns its end, or `at`. */
static size_t read_number(struct reader *reader, size_t at, double *value)
{
    struct digits digits = {0};
    bool plain = false;
    if (is_bare_decimal(reader, at)) {
        const size_t end = digits_end(reader, at + 1);
        take_decimals(reader, at + 1, end, &digits);
        *value = value_of(&digits);
        return end;
    }
    if (digit_at(reader, at) < 0)
        return read_symbol(reader, at, value);
    size_t end = read_decimal(reader, at, &digits, &plain);
    const size_t exponent_end = read_exponent(reader, end, &digits);
    *value = value_of(&digits);
    if (!plain || exponent_end != end || follows_slash(reader->runes, at))
        return exponent_end;
    return read_fraction(reader, end, value);
}

bool lay_number_next(const struct lay_runes *runes, size_t *from, size_t to,
                     const struct lay_number_style *style, double *value)
{
    struct reader reader = {.runes = runes, .to = to, .style = style};
    for (size_t at = *from; at < to; at++) {
        const size_t end = read_number(&reader, at, value);
        if (end == at)
            continue;
        if (is_negative(runes, at))
            *value = -*value;
        *from = end;
        return true;
    }
    return false;
}

/* The last number of [from, to). */
static bool last_number(const struct lay_runes *runes, size_t to, const struct lay_number_style *style,
                        double *value)
{
    struct reader reader = {.runes = runes, .to = to, .style = style};
    bool found = false;
    for (size_t at = 0; at < to;) {
        double number;
        const size_t end = read_number(&reader, at, &number);
        if (end == at) {
            at++;
            continue;
        }
        *value = is_negative(runes, at) ? -number : number;
        found = true;
        at = end;
    }
    return found;
}

/* Where the brace closes that was opened before `from`; `to` if nowhere before that. */
static size_t closing_brace(const struct lay_runes *runes, size_t from, size_t to)
{
    size_t depth = 1;
    for (size_t at = from; at < to; at++) {
        depth += runes->at[at] == '{';
        depth -= runes->at[at] == '}';
        if (depth == 0)
            return at;
    }
    return to;
}

/* The first number behind the last marker that has one before the next marker. */
static bool marked_number(const struct lay_runes *runes, const struct lay_language *language,
                          const struct lay_number_style *style, double *value)
{
    size_t to = runes->count;
    for (size_t at = runes->count; at-- > 0;) {
        size_t end = lay_marker_at(runes, at, language);
        if (end == 0 || end > to)
            continue;
        const size_t limit = runes->at[end - 1] == '{' ? closing_brace(runes, end, to) : to;
        if (lay_number_next(runes, &end, limit, style, value))
            return true;
        to = at;
    }
    return false;
}

enum lay_status lay_strict_number(const char *text, size_t length, const struct lay_language *language,
                                  double *value, bool *found, struct lay_err *err)
{
    const struct lay_number_style style = {.dot_thousands = language && language->dot_thousands};
    struct lay_runes runes;
    LAY_TRY(lay_runes_decode(text, length, &runes, err));
    *found = (language && marked_number(&runes, language, &style, value)) ||
             last_number(&runes, runes.count, &style, value);
    if (*found && !isfinite(*value))
        *found = false;
    lay_runes_free(&runes);
    return LAY_OK;
}
