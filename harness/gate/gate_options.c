/* Values of the gate's options. */
#include "harness/gate/gate.h"
#include "reports/accuracy.h"
#include "tasks/language.h"
#include "tasks/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum lay_status read_language(const char *name, const struct lay_task *task, char *language,
                                     size_t size, struct lay_err *err)
{
    enum lay_set set;
    const struct lay_language *found = lay_language_find(name);
    if (!lay_set_find(name, &set) && (!found || !lay_language_in(found, task->name)))
        return lay_fail(err, LAY_ERR_USAGE, "--min-accuracy: %s has no language \"%s\"; see `layeval tasks`",
                        task->name, name);
    snprintf(language, size, "%s", lay_set_find(name, &set) ? name : found->iso);
    return LAY_OK;
}

enum lay_status lay_gate_read_threshold(const char *text, struct lay_gate_threshold *threshold,
                                        struct lay_err *err)
{
    char place[64] = "", *end;
    const char *equals = strchr(text, '='), *number = equals ? equals + 1 : text;
    const struct lay_task *task;
    *threshold = (struct lay_gate_threshold){.language = "avg"};
    threshold->accuracy = strtod(number, &end);
    if (end == number || *end || !(threshold->accuracy >= 0 && threshold->accuracy <= 100))
        return lay_fail(err, LAY_ERR_USAGE,
                        "--min-accuracy: \"%s\" is not a percentage; write 40, mgsm=40 or mgsm:bn=35", text);
    if (!equals)
        return LAY_OK;
    snprintf(place, sizeof place, "%.*s", (int)(equals - text), text);
    char *colon = strchr(place, ':');
    if (colon)
        *colon = 0;
    LAY_TRY(lay_task_find(place, &task, err));
    snprintf(threshold->task, sizeof threshold->task, "%s", task->name);
    return colon ? read_language(colon + 1, task, threshold->language, sizeof threshold->language, err)
                 : LAY_OK;
}

enum lay_status lay_gate_read_allowed(const char *text, struct lay_gate_options *options, struct lay_err *err)
{
    for (enum lay_gate_problem problem = LAY_GATE_MISSING; problem < LAY_GATE_PROBLEMS; problem++)
        if (strcmp(text, lay_gate_problem_name(problem)) == 0) {
            options->allowed[problem] = true;
            return LAY_OK;
        }
    return lay_fail(err, LAY_ERR_USAGE, "--allow: \"%s\" is none of missing, incomplete, samples, errors",
                    text);
}
