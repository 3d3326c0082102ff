#include "engine/bridge/form.h"

#include "engine/bridge/aligner_state.h"

#include <stdio.h>
#include <string.h>

enum { MAX_VALUES = 3 };

static const struct {
    const char *key;
    struct {
        const char *name, *tensors; /* by which a checkpoint is known: "has …" */
    } values[MAX_VALUES];
} forms[LAY_FORM_KEYS] = {
    [LAY_FORM_STRUCTURE] = {"structure",
                            {{"Linear", "neither fc0 nor fc3"}, {"MLP", "fc3"}, {"Wide", "fc0"}}},
    [LAY_FORM_FUSION] = {"fusion", {{"learned", "fc1"}, {"average", "no fc1"}}},
    [LAY_FORM_GATE] = {"gate", {{"scalar", "adaption_gate"}, {"hidden", "adaption_gate.weight"}}},
};

const char *lay_form_key(int key)
{
    return forms[key].key;
}

static const char *name_of(int key, int value)
{
    return value > 0 ? forms[key].values[value - 1].name : "";
}

const char *lay_form_name(const struct lay_form *form, int key)
{
    return name_of(key, form->value[key]);
}

enum lay_status lay_form_set(struct lay_form *form, int key, const char *name, struct lay_err *err)
{
    char list[64] = "";
    for (int i = 0; i < MAX_VALUES && forms[key].values[i].name; i++) {
        const size_t length = strlen(list);
        if (strcmp(forms[key].values[i].name, name) == 0) {
            form->value[key] = i + 1;
            return LAY_OK;
        }
        snprintf(list + length, sizeof list - length, "%s\"%s\"", i ? " or " : "", forms[key].values[i].name);
    }
    return lay_fail(err, LAY_ERR_INPUT, "\"%s\" is \"%s\"; it can be %s", forms[key].key, name, list);
}

enum lay_status lay_form_read(const cJSON *object, const char *where, struct lay_form *form,
                              struct lay_err *err)
{
    for (int key = 0; key < LAY_FORM_KEYS; key++) {
        const char *name = NULL;
        LAY_TRY(lay_json_get_string(object, where, forms[key].key, &name, err));
        if (name && lay_form_set(form, key, name, err) != LAY_OK)
            return lay_err_context(err, LAY_ERR_INPUT, "%s", where);
    }
    return LAY_OK;
}

static bool has(const struct lay_weights *weights, const char *layer)
{
    char name[64];
    snprintf(name, sizeof name, LAY_PROJECTOR "%s.weight", layer);
    return lay_weights_find(weights, name) != NULL;
}

static bool has_gate(const struct lay_weights *weights, int64_t n_layers, const char *end)
{
    for (int64_t layer = 0; layer < n_layers; layer++) {
        char name[80];
        lay_aligner_gate_name(name, layer, end);
        if (lay_weights_find(weights, name))
            return true;
    }
    return false;
}

enum lay_status lay_form_resolve(struct lay_form *form, const struct lay_weights *weights, int64_t n_layers,
                                 struct lay_err *err)
{
    const bool wide = has(weights, "fc0"), mlp = has(weights, "fc3"), learned = has(weights, "fc1");
    const bool hidden = has_gate(weights, n_layers, ".weight");
    const int found[LAY_FORM_KEYS] = {
        [LAY_FORM_STRUCTURE] = wide  ? LAY_STRUCTURE_WIDE
                               : mlp ? LAY_STRUCTURE_MLP
                                     : LAY_STRUCTURE_LINEAR,
        [LAY_FORM_FUSION] = learned ? LAY_FUSION_LEARNED : LAY_FUSION_AVERAGE,
        [LAY_FORM_GATE] = hidden ? LAY_GATE_HIDDEN : LAY_GATE_SCALAR,
    };
    if (wide && mlp)
        return lay_fail(err, LAY_ERR_INPUT, "the checkpoint has fc0 and fc3: there is no such structure");
    if (hidden && has_gate(weights, n_layers, ""))
        return lay_fail(err, LAY_ERR_INPUT,
                        "the checkpoint has gates of both kinds (adaption_gate and adaption_gate.weight)");
    if (!learned && form->value[LAY_FORM_FUSION] != LAY_FUSION_AVERAGE)
        return lay_fail(err, LAY_ERR_INPUT,
                        "the checkpoint has no tensor \"" LAY_PROJECTOR
                        "fc1.weight\"; if its aligner averages "
                        "the encoder layers, say \"fusion\": \"average\"");
    for (int key = 0; key < LAY_FORM_KEYS; key++) {
        if (form->value[key] && form->value[key] != found[key])
            return lay_fail(err, LAY_ERR_INPUT, "\"%s\" is \"%s\", but the checkpoint has %s: it is \"%s\"",
                            forms[key].key, lay_form_name(form, key),
                            forms[key].values[found[key] - 1].tensors, name_of(key, found[key]));
        form->value[key] = found[key];
    }
    return LAY_OK;
}
