/* One forward pass of encoder, bridge and LLM over each request, for analysis: nothing is generated.
 *
 * Requests run in small groups; as everywhere, what is observed of one does not depend on the others. */
#ifndef LAY_GENERATE_OBSERVE_H
#define LAY_GENERATE_OBSERVE_H

#include "engine/generate/observation.h"
#include "engine/generate/prepare.h"

#include <signal.h>

/* `heard` is called once per request, in order. Memory is that of a group: LAY_STEP_PREFILL_ROWS rows or one
 * request. *stop non-zero (stop may be NULL): LAY_ERR_INTERRUPTED after the current group. */
enum lay_status lay_observe(const struct lay_models *models, const struct lay_prompt_ids *ids, size_t count,
                            const volatile sig_atomic_t *stop,
                            void (*heard)(void *context, const struct lay_observation *observation),
                            void *context, struct lay_err *err);

#endif
