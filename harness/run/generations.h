/* Texts that some other engine generated, read as if they were a run of ours.
 *
 * One JSON object a line: {"output", "target"}, or a line of a samples file of lm-evaluation-harness
 * ("resps":
 * [["text"]], "target", "doc"). Taken when present: doc_id, doc, prompt, source, ended, truncated, error and
 * the token counts, as our own samples files have them. A samples file with several filters has every answer
 * once per filter: those of the first line's filter are read. Blank lines are allowed. */
#ifndef LAY_HARNESS_GENERATIONS_H
#define LAY_HARNESS_GENERATIONS_H

#include "harness/run/journal.h"
#include "tasks/prompt.h"
#include "tasks/score.h"

#define LAY_GENERATIONS_FILE_MAX ((size_t)4 << 30) /* bytes */

struct lay_generations_options {
    const char *file;
    const struct lay_task *task;
    const struct lay_language *language;
    const struct lay_prompt_set *prompts; /* what labels are called; NULL: as the file has them */
    const char *name;                     /* of the system; NULL: the file's name without its suffix */
    enum lay_match match;
};

/* `journal` gets the entries in the order of the lines, `manifest` says where they come from; free with
 * lay_journal_free and cJSON_Delete. A bad line is LAY_ERR_INPUT with "FILE:LINE: reason". *other_filters
 * counts the lines that repeat an answer for another filter. */
enum lay_status lay_generations_read(const struct lay_generations_options *options,
                                     struct lay_journal *journal, cJSON **manifest, size_t *other_filters,
                                     struct lay_err *err);

#endif
