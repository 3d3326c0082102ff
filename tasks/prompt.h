/* Prompt sets: data/prompts/NAME.json, or a file of the user's. What the encoder and the LLM are shown.
 *
 *   {
 *     "name": "mindmerger", "version": 1, "about": "…",
 *     "max_new_tokens": 512,                          (optional; options override it)
 *     "question_words": {"de": "Frage:", …},          (optional; by ISO code: what {question_word} is)
 *     "label_words": {"xnli": {"entailment": "Entailment", …}},   (optional; what answers call the labels)
 *     "tasks": {
 *       "mgsm": {
 *         "encoder": "{question}",                    (null or absent: the encoder reads nothing)
 *         "prompt": "### Instruction:\n{question}…",  (null or absent: the LLM gets no text prompt)
 *         "stops": ["{question_word}", "</s>"]        (optional; texts that end generation)
 *       },
 *       "x-csqa": { …, "option": "{label}. {text}", "option_separator": "\t" },   (these are the defaults)
 *       "translation": { "prompt": "…" }
 *     }
 *   }
 *
 * Names in braces: math {question} {question_word} {language}; X-CSQA {stem} {options} {language}; XNLI
 * {sentence1} {sentence2} {language}; translation {source} {source language} {target language}. "{{" is a
 * brace. Unknown keys, tasks, languages, labels and names are refused. */
#ifndef LAY_TASKS_PROMPT_H
#define LAY_TASKS_PROMPT_H

#include "tasks/task.h"

struct lay_prompt_set;

/* `name` is a set under data_dir/prompts (data_dir NULL: lay_data_dir()) or, when it holds a slash or ends in
 * .json, a path. Needs the language table (lay_languages_load). Returns; close with lay_prompt_set_close. */
enum lay_status lay_prompt_set_open(const char *data_dir, const char *name, struct lay_prompt_set **set,
                                    struct lay_err *err);
void lay_prompt_set_close(struct lay_prompt_set *set); /* accepts NULL */
const char *lay_prompt_set_name(const struct lay_prompt_set *set);
int lay_prompt_set_version(const struct lay_prompt_set *set);
const char *lay_prompt_set_hash(const struct lay_prompt_set *set);  /* XXH3-128 of the file, 32 hex digits */
const char *lay_prompt_set_about(const struct lay_prompt_set *set); /* "" when the file has none */

/* Whether the set covers the task, and whether it has a text for the encoder there. */
bool lay_prompt_covers(const struct lay_prompt_set *set, const struct lay_task *task);
bool lay_prompt_has_encoder(const struct lay_prompt_set *set, const struct lay_task *task);

/* Renders both texts; *has_prompt false when the set gives the LLM no text prompt for this task. Texts are
 * appended to the two strings. Refuses a task the set does not cover. */
enum lay_status lay_prompt_render(const struct lay_prompt_set *set, const struct lay_task *task,
                                  const struct lay_language *language, const struct lay_sample *sample,
                                  struct lay_str *encoder_text, struct lay_str *prompt, bool *has_prompt,
                                  struct lay_err *err);

/* The translation prompt of training stage 1 (official construct_prompt_mt); languages by English name. */
enum lay_status lay_prompt_translation(const struct lay_prompt_set *set, const char *source,
                                       const char *source_language, const char *target_language,
                                       struct lay_str *prompt, struct lay_err *err);

/* Texts that end generation for this task and language (LangBridge: the question word, "[END]", …).
 * Returns borrowed array; *count 0 when there are none. */
const char *const *lay_prompt_stops(const struct lay_prompt_set *set, const struct lay_task *task,
                                    const struct lay_language *language, size_t *count);

/* max_new_tokens of the set, 0 if it says none. */
int64_t lay_prompt_max_new_tokens(const struct lay_prompt_set *set);

/* XNLI: the gold string expected in answers for the label of a data file ("entailment" → "Entailment"),
 * whatever its case; other tasks, other words and sets without label_words: the target itself. Borrowed. */
const char *lay_prompt_target(const struct lay_prompt_set *set, const struct lay_task *task,
                              const char *target);
/* The words answers use for the task's labels, in the order of task->labels: what lay_score_answer() takes.
 * Borrowed; *count 0 for tasks without labels. */
const char *const *lay_prompt_labels(const struct lay_prompt_set *set, const struct lay_task *task,
                                     size_t *count);

#endif
