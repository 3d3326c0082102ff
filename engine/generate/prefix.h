/* Prompts that begin with the same tokens share the pages of keys and values of that beginning (plain
 * systems: the instruction header, few-shot examples). A row's keys and values depend on the tokens up to it
 * and on nothing else, so a shared page holds the bits that each of them would have computed.
 *
 * Shared are whole pages in front of a prompt's last row. Which ones is known from the start: the requests
 * are sorted by their tokens, and neighbours are compared. Every shared page is a node; requests that begin
 * alike have nodes in common. */
#ifndef LAY_GENERATE_PREFIX_H
#define LAY_GENERATE_PREFIX_H

#include "engine/generate/prepare.h"

struct lay_prefixes;

/* Borrows ids. With a bridge nothing is shared: source states stand in front of the text, or reach into its
 * rows through the adapter. */
enum lay_status lay_prefixes_create(const struct lay_models *models, const struct lay_prompt_ids *ids,
                                    size_t count, struct lay_prefixes **prefixes, struct lay_err *err);
/* Drops what is held of `pool`; accepts NULL. */
void lay_prefixes_destroy(struct lay_prefixes *prefixes, struct lay_kv_pool *pool);

/* Pages at the beginning of a request's prompt that others share. */
int64_t lay_prefixes_depth(const struct lay_prefixes *prefixes, size_t request);

enum lay_prefix_state {
    LAY_PREFIX_ABSENT,  /* nobody has it: whoever asks is now expected to compute it */
    LAY_PREFIX_AWAITED, /* another request is computing it */
    LAY_PREFIX_READY    /* *page holds it */
};
/* State of page i < depth of a request. */
enum lay_prefix_state lay_prefixes_look(struct lay_prefixes *prefixes, size_t request, int64_t i,
                                        int32_t *page);
/* The request has page i now, computed or adopted. It is held for those still to come. */
void lay_prefixes_pass(struct lay_prefixes *prefixes, struct lay_kv_pool *pool, size_t request, int64_t i,
                       int32_t page);
/* The request is set back: the pages it was to compute are left to whoever asks next. */
void lay_prefixes_abandon(struct lay_prefixes *prefixes, size_t request);
/* Drops all that is held, when pages are short; what is needed again is computed again. */
void lay_prefixes_flush(struct lay_prefixes *prefixes, struct lay_kv_pool *pool);

#endif
