/* The samples of a workload as one system is asked them: rendered texts, and which of them are answered. */
#ifndef LAY_HARNESS_ITEMS_H
#define LAY_HARNESS_ITEMS_H

#include "harness/run/journal.h"
#include "harness/run/workload.h"
#include "tasks/prompt.h"
#include "tasks/score.h"

struct lay_item {
    const struct lay_workload_cell *cell; /* borrowed */
    const struct lay_sample *sample;      /* borrowed */
    char *source;                         /* what the encoder reads; NULL without encoder */
    char *prompt;                         /* the LLM's text prompt; NULL for none */
    bool wanted;                          /* false: completes an official batch, or is another shard's */
    bool done;                            /* stands in the journal */
};

/* Items of workload->cells[c] are list[start[c]] … list[start[c + 1] − 1], in file order: the order of a
 * sealed journal. */
struct lay_items {
    struct lay_item *list;
    size_t count;
    size_t *start; /* [cells + 1] */
    size_t wanted, done;
};

struct lay_items_options {
    const struct lay_workload *workload;
    const struct lay_prompt_set *prompts;
    bool reads_source, reads_prompt; /* of the system */
};

/* Renders one sample; refuses a task the prompt set does not cover and a request without any text. */
enum lay_status lay_item_render(const struct lay_items_options *options, const struct lay_workload_cell *cell,
                                const struct lay_sample *sample, struct lay_item *item, struct lay_err *err);
void lay_item_free(struct lay_item *item);

enum lay_status lay_items_create(const struct lay_items_options *options, struct lay_items *items,
                                 struct lay_err *err);
void lay_items_free(struct lay_items *items);

/* Marks what the journal holds; `paper_correct` counts the right ones. An entry that is none of the items is
 * LAY_ERR_INPUT. */
enum lay_status lay_items_mark(const struct lay_items_options *options, struct lay_items *items,
                               const struct lay_journal *journal, enum lay_match match, size_t *paper_correct,
                               struct lay_err *err);

/* Brings a complete journal into the order of the items. */
enum lay_status lay_items_sort(const struct lay_items_options *options, const struct lay_items *items,
                               struct lay_journal *journal, struct lay_err *err);

/* Whether an answer is right by the papers' rule; errors are wrong. */
bool lay_item_paper_correct(const struct lay_items_options *options, const struct lay_workload_cell *cell,
                            const char *target, const char *output, enum lay_match match);

#endif
