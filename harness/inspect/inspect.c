#include "harness/inspect/inspect.h"

#include "engine/base/file.h"
#include "engine/base/json.h"
#include "engine/base/mem.h"
#include "engine/bridge/bridge.h"
#include "engine/store/scan.h"

#include <stdlib.h>
#include <string.h>

/* The fields of config.json that say what a model is. */
static const char *const config_fields[] = {
    "model_type",
    "architectures",
    "hidden_size",
    "d_model",
    "intermediate_size",
    "d_ff",
    "encoder_ffn_dim",
    "num_hidden_layers",
    "num_layers",
    "encoder_layers",
    "num_attention_heads",
    "num_heads",
    "encoder_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "d_kv",
    "vocab_size",
    "max_position_embeddings",
    "sliding_window",
    "rope_theta",
    "rope_scaling",
    "hidden_act",
    "feed_forward_proj",
    "activation_function",
    "tie_word_embeddings",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "torch_dtype",
    "alignments",
    "dim_enc",
    "dim_lm",
};

/* A tensor that only this kind of bridge has. */
static const struct {
    const char *bridge, *tensor;
} bridges[] = {
    {"LayAlign", "encoder_aligner.projector.fc2.weight"},
    {"LangBridge", "lb.alignment.enc_eos"},
    {"MindMerger", "mapping.mlp.linear1.weight"},
    {"MindMerger", "mlp.linear1.weight"},
};

static enum lay_status read_config(const char *dir, struct lay_inspection *inspection, struct lay_err *err)
{
    cJSON *root = NULL;
    char *path = lay_path_join(dir, "config.json");
    if (!path)
        return lay_no_memory(err, "a path");
    enum lay_status status = lay_path_exists(path) ? lay_json_read(path, &root, err) : LAY_OK;
    lay_free(path);
    if (status != LAY_OK || !root)
        return status;
    inspection->config = cJSON_CreateObject();
    for (size_t i = 0; i < sizeof config_fields / sizeof *config_fields; i++) {
        cJSON *field = cJSON_DetachItemFromObjectCaseSensitive(root, config_fields[i]);
        lay_json_add(inspection->config, config_fields[i], field); /* not there: nothing is added */
    }
    cJSON_Delete(root);
    return inspection->config ? LAY_OK : lay_no_memory(err, "config.json");
}

/* --- hashes --- */

static enum lay_status scan_tensor(struct lay_inspection *inspection, size_t i, struct lay_err *err)
{
    const struct lay_tensor *tensor = lay_checkpoint_at(inspection->checkpoint, i);
    enum lay_status status = lay_tensor_scan(tensor, true, &inspection->hashes[i], err);
    inspection->finite[i] = status == LAY_OK;
    if (status == LAY_ERR_INPUT) { /* NaN or Inf: worth showing, not worth stopping */
        if (err)
            *err = (struct lay_err){0};
        status = lay_tensor_scan(tensor, false, &inspection->hashes[i], err);
    }
    lay_tensor_drop_pages(tensor);
    return status;
}

static enum lay_status hash_tensors(struct lay_inspection *inspection, struct lay_err *err)
{
    const size_t n = lay_checkpoint_count(inspection->checkpoint);
    struct lay_tensor_digest *digest;
    inspection->hashes = lay_alloc(n, sizeof *inspection->hashes);
    inspection->finite = lay_alloc(n, sizeof *inspection->finite);
    if (!inspection->hashes || !inspection->finite)
        return lay_no_memory(err, "hashes");
    LAY_TRY(lay_tensor_digest_create(&digest, err));
    enum lay_status status = LAY_OK;
    for (size_t i = 0; i < n && status == LAY_OK; i++) {
        const struct lay_tensor *tensor = lay_checkpoint_at(inspection->checkpoint, i);
        status = scan_tensor(inspection, i, err);
        lay_tensor_digest_add(digest, tensor->name, tensor, inspection->hashes[i]);
    }
    inspection->hash = lay_tensor_digest_finish(digest);
    lay_tensor_digest_destroy(digest);
    return status;
}

/* --- LayAlign --- */

#define FC1 "encoder_aligner.projector.fc1"

/* N of "…layers.N.self_attn.adaption_gate", or with ".bias" behind it; -1 for another name. */
static int64_t gate_layer(const char *name)
{
    static const char before[] = "layers.", behind[] = ".self_attn.adaption_gate";
    const char *at = strstr(name, behind);
    if (!at || (at[sizeof behind - 1] && strcmp(at + sizeof behind - 1, ".bias") != 0))
        return -1;
    const char *number = at;
    while (number > name && number[-1] >= '0' && number[-1] <= '9')
        number--;
    const size_t prefix = (size_t)(number - name);
    if (number == at || at - number > 6 || prefix < sizeof before - 1 ||
        memcmp(number - (sizeof before - 1), before, sizeof before - 1) != 0)
        return -1;
    return strtoll(number, NULL, 10);
}

static enum lay_status take_gate(struct lay_inspect_aligner *aligner, const struct lay_tensor *tensor,
                                 int64_t layer, struct lay_err *err)
{
    float gate;
    int64_t at = aligner->n_layers;
    if (tensor->count != 1)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be one number", tensor->file, tensor->name);
    LAY_TRY(lay_tensor_to_f32(tensor, &gate, err));
    for (; at > 0 && aligner->layers[at - 1] > layer; at--) {
        aligner->layers[at] = aligner->layers[at - 1];
        aligner->gates[at] = aligner->gates[at - 1];
    }
    aligner->layers[at] = layer;
    aligner->gates[at] = gate;
    aligner->n_layers++;
    return LAY_OK;
}

static enum lay_status read_gates(struct lay_inspection *inspection, struct lay_err *err)
{
    struct lay_inspect_aligner *aligner = &inspection->aligner;
    const size_t n = lay_checkpoint_count(inspection->checkpoint);
    aligner->layers = lay_alloc(n, sizeof *aligner->layers);
    aligner->gates = lay_alloc(n, sizeof *aligner->gates);
    if (!aligner->layers || !aligner->gates)
        return lay_no_memory(err, "gates");
    for (size_t i = 0; i < n; i++) {
        const struct lay_tensor *tensor = lay_checkpoint_at(inspection->checkpoint, i);
        const int64_t layer = gate_layer(tensor->name);
        if (layer >= 0)
            LAY_TRY(take_gate(aligner, tensor, layer, err));
    }
    return LAY_OK;
}

/* fc1 may be missing: then the encoder layers are averaged. */
static enum lay_status read_form(struct lay_inspection *inspection, struct lay_err *err)
{
    struct lay_inspect_aligner *aligner = &inspection->aligner;
    struct lay_weights *weights;
    const int64_t n = aligner->n_layers ? aligner->layers[aligner->n_layers - 1] + 1 : 0;
    LAY_TRY(lay_weights_create(&weights, err));
    enum lay_status status = lay_bridge_sources(weights, LAY_LAYALIGN, inspection->checkpoint, err);
    if (!lay_checkpoint_find(inspection->checkpoint, FC1 ".weight"))
        aligner->form.value[LAY_FORM_FUSION] = LAY_FUSION_AVERAGE;
    if (status == LAY_OK)
        status = lay_form_resolve(&aligner->form, weights, n, err);
    lay_weights_destroy(weights);
    return status;
}

static enum lay_status read_fusion(struct lay_inspection *inspection, struct lay_err *err)
{
    struct lay_inspect_aligner *aligner = &inspection->aligner;
    const struct lay_tensor *weight = lay_checkpoint_find(inspection->checkpoint, FC1 ".weight");
    const struct lay_tensor *bias = lay_checkpoint_find(inspection->checkpoint, FC1 ".bias");
    const int64_t states = 2 * aligner->n_layers;
    inspection->has_aligner = true;
    if (aligner->form.value[LAY_FORM_FUSION] == LAY_FUSION_AVERAGE)
        return LAY_OK;
    if (!weight || !bias || weight->rank != 2 || weight->shape[0] != states || bias->rank != 1 ||
        bias->shape[0] != states)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "%s: the checkpoint has %lld gates, so fc1 must have a weight and a bias of %lld rows; "
            "it is incomplete, download it again",
            lay_checkpoint_path(inspection->checkpoint), (long long)aligner->n_layers, (long long)states);
    aligner->fused = weight->shape[1];
    aligner->weights = lay_alloc(weight->count, sizeof *aligner->weights);
    aligner->biases = lay_alloc(bias->count, sizeof *aligner->biases);
    if (!aligner->weights || !aligner->biases)
        return lay_no_memory(err, "fusion weights");
    LAY_TRY(lay_tensor_to_f32(weight, aligner->weights, err));
    return lay_tensor_to_f32(bias, aligner->biases, err);
}

static enum lay_status inspect_bridge(struct lay_inspection *inspection, struct lay_err *err)
{
    for (size_t i = 0; i < sizeof bridges / sizeof *bridges && !inspection->bridge; i++)
        if (lay_checkpoint_find(inspection->checkpoint, bridges[i].tensor))
            inspection->bridge = bridges[i].bridge;
    if (!inspection->bridge || strcmp(inspection->bridge, "LayAlign") != 0)
        return LAY_OK;
    LAY_TRY(read_gates(inspection, err));
    LAY_TRY(read_form(inspection, err));
    return read_fusion(inspection, err);
}

enum lay_status lay_inspect_open(const char *path, const struct lay_inspect_options *options,
                                 struct lay_inspection *inspection, struct lay_err *err)
{
    *inspection = (struct lay_inspection){0};
    LAY_TRY(lay_checkpoint_open(path, &inspection->checkpoint, err));
    for (size_t i = 0; i < lay_checkpoint_count(inspection->checkpoint); i++) {
        const struct lay_tensor *tensor = lay_checkpoint_at(inspection->checkpoint, i);
        inspection->parameters += tensor->count;
        inspection->bytes += tensor->bytes;
    }
    if (lay_path_is_dir(path))
        LAY_TRY(read_config(path, inspection, err));
    LAY_TRY(inspect_bridge(inspection, err));
    return options->no_hash ? LAY_OK : hash_tensors(inspection, err);
}

void lay_inspect_close(struct lay_inspection *inspection)
{
    lay_checkpoint_close(inspection->checkpoint);
    lay_free(inspection->hashes);
    lay_free(inspection->finite);
    cJSON_Delete(inspection->config);
    lay_free(inspection->aligner.layers);
    lay_free(inspection->aligner.gates);
    lay_free(inspection->aligner.weights);
    lay_free(inspection->aligner.biases);
    *inspection = (struct lay_inspection){0};
}
