/* Forms of LayAlign's aligner and gates: the released one, and those that the paper compares it with (Tables
 * 7, 8, 10 and 11). One table row in form.c per key of the system file; aligner.c has the formulas. */
#ifndef LAY_BRIDGE_FORM_H
#define LAY_BRIDGE_FORM_H

#include "engine/base/json.h"
#include "engine/store/weights.h"

enum lay_form_key { LAY_FORM_STRUCTURE, LAY_FORM_FUSION, LAY_FORM_GATE, LAY_FORM_KEYS };

/* Values by key; 0: not said. The first of each is the released one, and that of a bridge that starts new. */
enum { LAY_STRUCTURE_LINEAR = 1, LAY_STRUCTURE_MLP, LAY_STRUCTURE_WIDE };
enum { LAY_FUSION_LEARNED = 1, LAY_FUSION_AVERAGE };
enum { LAY_GATE_SCALAR = 1, LAY_GATE_HIDDEN };

struct lay_form {
    int value[LAY_FORM_KEYS];
};

const char *lay_form_key(int key);
const char *lay_form_name(const struct lay_form *form, int key); /* "" when not said */

/* LAY_ERR_INPUT with the list when `key` has no such value. */
enum lay_status lay_form_set(struct lay_form *form, int key, const char *name, struct lay_err *err);
/* All keys that a JSON object has; the others stay as they are. */
enum lay_status lay_form_read(const cJSON *object, const char *where, struct lay_form *form,
                              struct lay_err *err);

/* What is not said becomes what the bridge's tensors tell; what is said must agree with them. A bridge
 * without fc1 is more often incomplete than averaged, so "average" must be said. n_layers: of the LLM.
 * LAY_ERR_INPUT names key and tensor. */
enum lay_status lay_form_resolve(struct lay_form *form, const struct lay_weights *weights, int64_t n_layers,
                                 struct lay_err *err);

#endif
