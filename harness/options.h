/* Command lines. A command declares a table of options; parsing, --help and messages come from it.
 *
 * --name VALUE, --name=VALUE, hyphens and underscores are the same in names; `--` ends options.
 * Unknown options, missing values, values out of range are LAY_ERR_USAGE with the option's name. */
#ifndef LAY_HARNESS_OPTIONS_H
#define LAY_HARNESS_OPTIONS_H

#include "engine/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lay_option_kind {
    LAY_OPTION_FLAG,   /* bool * */
    LAY_OPTION_STRING, /* const char ** (points into argv) */
    LAY_OPTION_INT,    /* int64_t *, with [min, max] */
    LAY_OPTION_DOUBLE, /* double * */
    LAY_OPTION_SIZE,   /* size_t *, bytes: 16G, 500M, 1024 */
    LAY_OPTION_LIST,   /* struct lay_option_list *, repeatable; commas split */
    LAY_OPTION_PATHS,  /* struct lay_option_list *, repeatable; not split */
    LAY_OPTION_HEADING /* only a line in --help */
};

#define LAY_OPTION_LIST_MAX 256
struct lay_option_list {
    char *items[LAY_OPTION_LIST_MAX]; /* owned; lay_option_list_free */
    size_t count;
};
void lay_option_list_free(struct lay_option_list *list);

struct lay_option {
    const char *name;  /* "max-new-tokens"; the heading's text */
    const char *alias; /* another long name, or a letter (-o), or NULL */
    enum lay_option_kind kind;
    const char *argument; /* "N", "DIR"; NULL for flags */
    const char *help;     /* with the default in words */
    void *value;
    int64_t min, max; /* LAY_OPTION_INT; both 0: any */
};

struct lay_usage {
    const char *command;     /* "run" */
    const char *synopsis;    /* "--system FILE --task NAME [options]" */
    const char *description; /* a paragraph */
    const char *examples;    /* lines, indented by two blanks; NULL for none */
};

/* Parses argv[1…]. Positional arguments are collected into `positional` (may be NULL when none are allowed).
 * *help is set when --help or -h was given (the usage has then been printed to stdout). */
enum lay_status lay_options_parse(const struct lay_usage *usage, const struct lay_option *options,
                                  size_t n_options, int argc, char **argv, struct lay_option_list *positional,
                                  bool *help, struct lay_err *err);

/* An option without which a command can do nothing. */
struct lay_requirement {
    bool given;
    const char *what; /* "--out DIR: where results go" */
};
/* "missing --out DIR: …", LAY_ERR_USAGE, for the first that was not given. */
enum lay_status lay_options_require(const struct lay_requirement *needed, size_t count, struct lay_err *err);

/* "layeval run: message" on stderr; returns lay_exit_code(err->status). */
int lay_report_error(const char *command, const struct lay_err *err);

#endif
