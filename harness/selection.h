/* --task and --lang of the commands that read finished runs: names resolved to what results call them. */
#ifndef LAY_HARNESS_SELECTION_H
#define LAY_HARNESS_SELECTION_H

#include "harness/options.h"
#include "reports/view.h"

/* What is looked at of finished runs, as the command line says it. Lists are freed by the command. */
struct lay_choice {
    struct lay_option_list tasks, languages;
    const char *score, *match;
};

/* The rows of an option table for a choice. */
#define LAY_CHOICE_OPTIONS(choice)                                                                           \
    {                                                                                                        \
        "task",                                                                                              \
        "tasks",                                                                                             \
        LAY_OPTION_LIST,                                                                                     \
        "LIST",                                                                                              \
        "only these benchmarks, separated by commas",                                                        \
        &(choice).tasks,                                                                                     \
        0,                                                                                                   \
        0},                                                                                                  \
        {"lang",                                                                                             \
         "languages",                                                                                        \
         LAY_OPTION_LIST,                                                                                    \
         "LIST",                                                                                             \
         "only these languages: ISO codes or English names",                                                 \
         &(choice).languages,                                                                                \
         0,                                                                                                  \
         0},                                                                                                 \
        {"score", NULL, LAY_OPTION_STRING, "NAME", "paper (default) or strict", &(choice).score, 0, 0},      \
    {                                                                                                        \
        "match", NULL, LAY_OPTION_STRING, "RULE",                                                            \
            "how paper scoring compares numbers: tolerance or float-eq; default: each\nrun's own",           \
            &(choice).match, 0, 0                                                                            \
    }

/* `selection` points into the arrays beside it: do not copy. */
struct lay_chosen {
    const char *tasks[LAY_OPTION_LIST_MAX], *languages[LAY_OPTION_LIST_MAX];
    struct lay_selection selection;
};

/* Tasks by name, languages by ISO code or English name. LAY_ERR_USAGE for an unknown one. */
enum lay_status lay_chosen_resolve(const struct lay_option_list *tasks,
                                   const struct lay_option_list *languages, struct lay_chosen *chosen,
                                   struct lay_err *err);

/* Every result narrowed to what is chosen. Free with lay_views_free. LAY_ERR_USAGE if nothing is left of any.
 */
enum lay_status lay_views_create(const struct lay_system_result *results, size_t count,
                                 const struct lay_chosen *chosen, struct lay_system_result **views,
                                 struct lay_err *err);
void lay_views_free(struct lay_system_result *views, size_t count); /* accepts NULL */

#endif
