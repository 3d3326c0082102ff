/* Prompt sets: data/prompts/NAME.json, or a file of the user's. What the encoder and the LLM are shown. */
#ifndef LAY_TASKS_PROMPT_H
#define LAY_TASKS_PROMPT_H

#include "tasks/task.h"

struct lay_prompt_set;

/* `name` is a set under data_dir/prompts or, when it holds a slash or ends in .json, a path. */
enum lay_status lay_prompt_set_open(const char *data_dir, const char *name, struct lay_prompt_set **set,
                                    struct lay_err *err);
void lay_prompt_set_close(struct lay_prompt_set *set); /* accepts NULL */
const char *lay_prompt_set_name(const struct lay_prompt_set *set);
int lay_prompt_set_version(const struct lay_prompt_set *set);
const char *lay_prompt_set_hash(const struct lay_prompt_set *set); /* XXH3-128 of the file, 32 hex digits */

/* Renders both texts; *has_prompt false when the set gives the LLM no text prompt for this task. Texts are
 * appended to the two strings. Refuses a task the set does not cover. */
enum lay_status lay_prompt_render(const struct lay_prompt_set *set, const struct lay_task *task,
                                  const struct lay_language *language, const struct lay_sample *sample,
                                  struct lay_str *encoder_text, struct lay_str *prompt, bool *has_prompt,
                                  struct lay_err *err);

/* Texts that end generation for this task and language (LangBridge: the question word, "[END]", …).
 * Returns borrowed array; *count 0 when there are none. */
const char *const *lay_prompt_stops(const struct lay_prompt_set *set, const struct lay_task *task,
                                    const struct lay_language *language, size_t *count);

/* max_new_tokens of the set, 0 if it says none. */
int64_t lay_prompt_max_new_tokens(const struct lay_prompt_set *set);

/* XNLI: the gold string expected in answers for the label of a data file ("entailment" → "Entailment");
 * other tasks and unknown labels: the target itself. Borrowed. */
const char *lay_prompt_target(const struct lay_prompt_set *set, const struct lay_task *task,
                              const char *target);

#endif
