#include "harness/options.h"

#include "engine/base/mem.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lay_option_list_free(struct lay_option_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        lay_free(list->items[i]);
    list->count = 0;
}

static enum lay_status list_add(struct lay_option_list *list, const char *text, size_t length,
                                const char *what, struct lay_err *err)
{
    if (list->count == LAY_OPTION_LIST_MAX)
        return lay_fail(err, LAY_ERR_USAGE, "%s: more than %d values", what, LAY_OPTION_LIST_MAX);
    list->items[list->count] = lay_strndup(text, length);
    if (!list->items[list->count])
        return lay_no_memory(err, "the command line");
    list->count++;
    return LAY_OK;
}

/* Hyphens and underscores are the same; `given` ends at its length. */
static bool same_name(const char *name, const char *given, size_t length)
{
    if (!name || strlen(name) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (name[i] != (given[i] == '_' ? '-' : given[i]))
            return false;
    return true;
}

static const struct lay_option *find(const struct lay_option *options, size_t n, const char *given,
                                     size_t length)
{
    for (size_t i = 0; i < n; i++)
        if (options[i].kind != LAY_OPTION_HEADING &&
            (same_name(options[i].name, given, length) || same_name(options[i].alias, given, length)))
            return &options[i];
    return NULL;
}

static enum lay_status parse_size(const struct lay_option *option, const char *text, struct lay_err *err)
{
    char *end;
    errno = 0;
    const double number = strtod(text, &end);
    const bool no_number = end == text;
    double unit = 1;
    switch (*end) {
    case 'k':
    case 'K':
        unit = 1024.0;
        break;
    case 'm':
    case 'M':
        unit = 1024.0 * 1024;
        break;
    case 'g':
    case 'G':
        unit = 1024.0 * 1024 * 1024;
        break;
    case 't':
    case 'T':
        unit = 1024.0 * 1024 * 1024 * 1024;
        break;
    case 0:
        break;
    default:
        unit = 0;
    }
    if (*end)
        end++;
    if (unit > 0 && (*end == 'B' || *end == 'b'))
        end++;
    if (errno || no_number || *end || !(number >= 0) || number * unit > 9e18 || unit == 0)
        return lay_fail(err, LAY_ERR_USAGE, "--%s: \"%s\" is not a size; write for example 16G or 500M",
                        option->name, text);
    *(size_t *)option->value = (size_t)(number * unit);
    return LAY_OK;
}

static enum lay_status parse_int(const struct lay_option *option, const char *text, struct lay_err *err)
{
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (end == text || *end)
        return lay_fail(err, LAY_ERR_USAGE, "--%s: \"%s\" is not a whole number", option->name, text);
    if (errno)
        return lay_fail(err, LAY_ERR_USAGE, "--%s: %s is too large", option->name, text);
    if ((option->min || option->max) && (number < option->min || number > option->max))
        return lay_fail(err, LAY_ERR_USAGE, "--%s: %lld is outside %lld to %lld", option->name, number,
                        (long long)option->min, (long long)option->max);
    *(int64_t *)option->value = number;
    return LAY_OK;
}

static enum lay_status parse_list(const struct lay_option *option, const char *text, struct lay_err *err)
{
    const size_t before = ((const struct lay_option_list *)option->value)->count;
    const char *const given = text;
    while (*text) {
        const size_t length = option->kind == LAY_OPTION_PATHS ? strlen(text) : strcspn(text, ",");
        if (length)
            LAY_TRY(list_add(option->value, text, length, option->name, err));
        text += length + (text[length] == ',');
    }
    if (((const struct lay_option_list *)option->value)->count == before)
        return lay_fail(err, LAY_ERR_USAGE, "--%s: \"%s\" names nothing", option->name, given);
    return LAY_OK;
}

static enum lay_status store(const struct lay_option *option, const char *text, struct lay_err *err)
{
    char *end;
    switch (option->kind) {
    case LAY_OPTION_STRING:
        *(const char **)option->value = text;
        return LAY_OK;
    case LAY_OPTION_INT:
        return parse_int(option, text, err);
    case LAY_OPTION_DOUBLE:
        *(double *)option->value = strtod(text, &end);
        if (end == text || *end || !isfinite(*(double *)option->value))
            return lay_fail(err, LAY_ERR_USAGE, "--%s: \"%s\" is not a number", option->name, text);
        return LAY_OK;
    case LAY_OPTION_SIZE:
        return parse_size(option, text, err);
    case LAY_OPTION_LIST:
    case LAY_OPTION_PATHS:
        return parse_list(option, text, err);
    case LAY_OPTION_FLAG:
    case LAY_OPTION_HEADING:
        break;
    }
    return lay_fail(err, LAY_ERR_INTERNAL, "--%s: option kind without a value", option->name);
}

static void print_option(const struct lay_option *option)
{
    char left[80];
    if (option->kind == LAY_OPTION_HEADING) {
        printf("\n%s\n", option->name);
        return;
    }
    snprintf(left, sizeof left, "--%s%s%s", option->name, option->argument ? " " : "",
             option->argument ? option->argument : "");
    printf(strlen(left) > 26 ? "  %s\n%30s" : "  %-28s", left, "");
    for (const char *at = option->help; *at; at++) {
        putchar(*at);
        if (*at == '\n')
            printf("%30s", "");
    }
    if (option->alias)
        printf(" (also %s%s)", option->alias[1] ? "--" : "-", option->alias);
    putchar('\n');
}

static void print_usage(const struct lay_usage *usage, const struct lay_option *options, size_t n)
{
    printf("usage: layeval %s %s\n\n%s\n\n", usage->command, usage->synopsis, usage->description);
    for (size_t i = 0; i < n; i++)
        print_option(&options[i]);
    printf("  %-28s%s\n", "--help", "show this text");
    if (usage->examples)
        printf("\nExamples:\n%s\n", usage->examples);
}

enum lay_status lay_options_parse(const struct lay_usage *usage, const struct lay_option *options, size_t n,
                                  int argc, char **argv, struct lay_option_list *positional, bool *help,
                                  struct lay_err *err)
{
    bool only_positional = false;
    *help = false;
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        if (only_positional || word[0] != '-' || word[1] == 0) {
            if (!positional)
                return lay_fail(err, LAY_ERR_USAGE, "unexpected argument \"%s\"; see `layeval %s --help`",
                                word, usage->command);
            LAY_TRY(list_add(positional, word, strlen(word), "arguments", err));
            continue;
        }
        if (strcmp(word, "--") == 0) {
            only_positional = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_usage(usage, options, n);
            *help = true;
            return LAY_OK;
        }
        const size_t length = strcspn(word, "=");
        const struct lay_option *option = word[1] == '-' ? find(options, n, word + 2, length - 2)
                                          : length == 2  ? find(options, n, word + 1, 1)
                                                         : NULL;
        if (!option)
            return lay_fail(err, LAY_ERR_USAGE, "unknown option %.*s; see `layeval %s --help`", (int)length,
                            word, usage->command);
        if (option->kind == LAY_OPTION_FLAG) {
            if (word[length])
                return lay_fail(err, LAY_ERR_USAGE, "--%s takes no value", option->name);
            *(bool *)option->value = true;
            continue;
        }
        if (!word[length] && i + 1 == argc)
            return lay_fail(err, LAY_ERR_USAGE, "--%s needs a value (%s)", option->name,
                            option->argument ? option->argument : "VALUE");
        LAY_TRY(store(option, word[length] ? word + length + 1 : argv[++i], err));
    }
    return LAY_OK;
}

enum lay_status lay_options_require(const struct lay_requirement *needed, size_t count, struct lay_err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!needed[i].given)
            return lay_fail(err, LAY_ERR_USAGE, "missing %s", needed[i].what);
    return LAY_OK;
}

int lay_report_error(const char *command, const struct lay_err *err)
{
    fprintf(stderr, "layeval %s: %s\n", command, err->message);
    return lay_exit_code(err->status);
}
