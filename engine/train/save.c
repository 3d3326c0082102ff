#include "engine/train/save.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/store/torch_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OTHER_FILE_MAX ((size_t)256 << 20) /* bytes of a tokenizer or configuration that is copied */

/* Tensors of one file: names and converted data are the list's own. */
struct list {
    struct lay_torch_tensor *items;
    void **owned; /* [count] data, NULL where borrowed */
    size_t count, capacity, owned_capacity;
};

static void list_free(struct list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        lay_free((char *)(uintptr_t)list->items[i].spec.name);
        lay_free(list->owned[i]);
    }
    lay_free(list->items);
    lay_free(list->owned);
    *list = (struct list){0};
}

static struct lay_torch_tensor *list_add(struct list *list, const char *name)
{
    if (!lay_grow((void **)&list->items, &list->capacity, list->count + 1, sizeof *list->items) ||
        !lay_grow((void **)&list->owned, &list->owned_capacity, list->count + 1, sizeof *list->owned))
        return NULL;
    struct lay_torch_tensor *item = &list->items[list->count];
    *item = (struct lay_torch_tensor){.spec = {.name = lay_strdup(name)}, .same_as = -1};
    list->owned[list->count] = NULL;
    if (!item->spec.name)
        return NULL;
    list->count++;
    return item;
}

static int64_t list_find(const struct list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i].spec.name, name) == 0)
            return (int64_t)i;
    return -1;
}

static enum lay_status add_parameter(struct list *list, const struct lay_parameter *parameter,
                                     const char *name, enum lay_dtype dtype, struct lay_err *err)
{
    struct lay_torch_tensor *item = list_add(list, name);
    void *data = lay_alloc(parameter->count, lay_dtype_size(dtype));
    if (!item || !data) {
        lay_free(data);
        return lay_no_memory(err, "a checkpoint");
    }
    lay_from_f32(dtype, parameter->value, data, parameter->count);
    item->spec.dtype = dtype;
    item->spec.rank = parameter->rank;
    memcpy(item->spec.shape, parameter->shape, sizeof parameter->shape);
    item->data = list->owned[list->count - 1] = data;
    return LAY_OK;
}

/* A transposed tensor is written as its shape says. */
static enum lay_status straighten(const struct lay_tensor *tensor, void **data, struct lay_err *err)
{
    float *values = lay_alloc(tensor->count, sizeof *values);
    *data = lay_alloc(tensor->count, lay_dtype_size(tensor->dtype));
    enum lay_status status =
        values && *data ? lay_tensor_to_f32(tensor, values, err) : lay_no_memory(err, "a checkpoint");
    if (status == LAY_OK)
        lay_from_f32(tensor->dtype, values, *data, tensor->count);
    lay_free(values);
    return status;
}

static enum lay_status add_stored(struct list *list, const struct lay_tensor *tensor, const char *name,
                                  struct lay_err *err)
{
    struct lay_torch_tensor *item = list_add(list, name);
    if (!item)
        return lay_no_memory(err, "a checkpoint");
    item->spec.dtype = tensor->dtype;
    item->spec.rank = tensor->rank;
    memcpy(item->spec.shape, tensor->shape, sizeof tensor->shape);
    item->data = tensor->data;
    if (!tensor->transposed)
        return LAY_OK;
    LAY_TRY(straighten(tensor, &list->owned[list->count - 1], err));
    item->data = list->owned[list->count - 1];
    return LAY_OK;
}

/* `name` shares the storage of `of`, if that is in the list and `name` is not. */
static enum lay_status add_alias(struct list *list, const char *name, const char *of, struct lay_err *err)
{
    const int64_t same_as = list_find(list, of);
    if (same_as < 0 || list_find(list, name) >= 0)
        return LAY_OK;
    struct lay_torch_tensor *item = list_add(list, name);
    if (!item)
        return lay_no_memory(err, "a checkpoint");
    item->spec.dtype = list->items[same_as].spec.dtype;
    item->spec.rank = list->items[same_as].spec.rank;
    memcpy(item->spec.shape, list->items[same_as].spec.shape, sizeof item->spec.shape);
    item->data = list->items[same_as].data;
    item->same_as = same_as;
    return LAY_OK;
}

static enum lay_status write_safetensors(const struct list *list, const char *path, struct lay_err *err)
{
    struct lay_safetensors_writer *writer;
    struct lay_tensor_spec *specs = lay_alloc(list->count, sizeof *specs);
    if (!specs)
        return lay_no_memory(err, "a checkpoint");
    for (size_t i = 0; i < list->count; i++)
        specs[i] = list->items[i].spec;
    enum lay_status status = lay_safetensors_create(path, specs, list->count, &writer, err);
    lay_free(specs);
    LAY_TRY(status);
    for (size_t i = 0; i < list->count && status == LAY_OK; i++) {
        size_t bytes = lay_dtype_size(list->items[i].spec.dtype);
        for (int j = 0; j < list->items[i].spec.rank; j++)
            bytes *= (size_t)list->items[i].spec.shape[j];
        status = lay_safetensors_put(writer, list->items[i].data, bytes, err);
    }
    if (status == LAY_OK)
        return lay_safetensors_finish(writer, err);
    lay_safetensors_abort(writer);
    return status;
}

/* --- names --- */

static bool skip_prefix(const char **name, const char *prefix)
{
    const size_t length = strlen(prefix);
    if (strncmp(*name, prefix, length) != 0)
        return false;
    *name += length;
    return true;
}

/* The N of "layers.N.self_attn.REST"; −1 for other names. */
static long attention_layer(const char *name, const char **rest)
{
    char *end;
    if (!skip_prefix(&name, "layers."))
        return -1;
    const long layer = strtol(name, &end, 10);
    *rest = end;
    return end != name && skip_prefix(rest, ".self_attn.") ? layer : -1;
}

/* By its gate, or the weight of one. */
static bool is_adapted(const struct lay_trainable *trainable, long layer)
{
    char gate[80];
    const size_t length = (size_t)snprintf(gate, sizeof gate,
                                           "model_llm.model.model.layers.%ld.self_attn.adaption_gate", layer);
    for (size_t i = 0; i < lay_trainable_count(trainable); i++)
        if (strncmp(lay_trainable_parameter(trainable, i)->name, gate, length) == 0)
            return true;
    return false;
}

/* What an LLM tensor of a Hugging Face directory is called in the whole module. In LayAlign's adapted layers
 * the attention sits one level deeper. */
static void whole_llm_name(const struct lay_train_save *save, const char *name, char *whole, size_t size)
{
    const char *inner = name, *rest;
    skip_prefix(&inner, "model.");
    const long layer = attention_layer(inner, &rest);
    if (save->method == LAY_LANGBRIDGE)
        snprintf(whole, size, strncmp(name, "lm_head.", 8) == 0 ? "lb.%s" : "lb.lm.%s", inner);
    else if (strncmp(name, "lm_head.", 8) == 0)
        snprintf(whole, size, "model_llm.model.%s", name);
    else if (layer >= 0 && is_adapted(save->trainable, layer))
        snprintf(whole, size, "model_llm.model.model.layers.%ld.self_attn.model.%s", layer, rest);
    else
        snprintf(whole, size, "model_llm.model.model.%s", inner);
}

/* What a tensor of a Hugging Face directory is called inside the encoder, whatever stands in front; NULL for
 * tensors that belong to no encoder (decoder, heads). *stack: whether "encoder." stood there. */
static const char *inner_encoder_name(const char *name, bool *stack)
{
    static const char *const others[] = {"decoder.", "lm_head.", "final_logits_bias", "pooler."};
    const char *inner = name;
    if (!skip_prefix(&inner, "model.encoder.") && !skip_prefix(&inner, "roberta."))
        skip_prefix(&inner, "model.");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strncmp(inner, others[i], strlen(others[i])) == 0)
            return NULL;
    *stack = skip_prefix(&inner, "encoder.");
    return strcmp(inner, "shared.weight") == 0 ? "embed_tokens.weight" : inner;
}

/* whole_llm_name for the encoder; false for tensors that belong to no encoder. */
static bool whole_encoder_name(const struct lay_train_save *save, const char *name, char *whole, size_t size)
{
    bool stack = false;
    const char *inner = inner_encoder_name(name, &stack);
    if (!inner)
        return false;
    const bool table = strcmp(inner, "embed_tokens.weight") == 0;
    if (save->method == LAY_LANGBRIDGE)
        snprintf(whole, size,
                 table   ? "lb.enc.shared.weight"
                 : stack ? "lb.enc.encoder.%s"
                         : "lb.enc.%s",
                 inner);
    else /* XLM-R's stack is itself called encoder */
        snprintf(whole, size,
                 stack && strncmp(inner, "layer.", 6) == 0 ? "encoder_mt.encoder.%s" : "encoder_mt.%s",
                 inner);
    return true;
}

static bool same_in_encoder(const char *a, const char *b)
{
    bool stack;
    a = inner_encoder_name(a, &stack);
    b = inner_encoder_name(b, &stack);
    return a && b && strcmp(a, b) == 0;
}

/* What the directory that an encoder came from calls one of its parameters. */
static const char *directory_name(const struct lay_train_save *save, const char *name)
{
    const struct lay_checkpoint *stored = save->encoder;
    const char *found = NULL;
    for (size_t i = 0; stored && i < lay_checkpoint_count(stored); i++) {
        const char *candidate = lay_checkpoint_at(stored, i)->name;
        if (strcmp(candidate, name) == 0)
            return name;
        if (!found && same_in_encoder(candidate, name))
            found = candidate;
    }
    return found ? found : name;
}

/* --- modules --- */

static bool is_trained(const struct lay_trainable *trainable, enum lay_module module)
{
    for (size_t i = 0; i < lay_trainable_count(trainable); i++)
        if (lay_trainable_parameter(trainable, i)->module == module)
            return true;
    return false;
}

/* Whether a stored tensor would be the old value of a trained one; `name` is what it would be called in the
 * list. */
static bool is_stale(const struct lay_train_save *save, const struct list *list, enum lay_module module,
                     const struct lay_tensor *stored, const char *name)
{
    if (list_find(list, name) >= 0)
        return true;
    for (size_t i = 0; module == LAY_MODULE_ENCODER && i < lay_trainable_count(save->trainable); i++) {
        const struct lay_parameter *parameter = lay_trainable_parameter(save->trainable, i);
        if (parameter->module == module && same_in_encoder(parameter->name, stored->name))
            return true;
    }
    /* the decoder's name for the same table */
    const char *last = strrchr(name, '.');
    const bool table = last && last - name >= 12 && strcmp(last - 12, "embed_tokens.weight") == 0;
    return table && (list_find(list, "shared.weight") >= 0 || list_find(list, "model.shared.weight") >= 0);
}

/* All tensors of a module: trained ones as they are now, the others as stored. Names by `rename`; NULL: as in
 * the directory. */
static enum lay_status add_module(const struct lay_train_save *save, struct list *list,
                                  enum lay_module module, bool whole, struct lay_err *err)
{
    const struct lay_checkpoint *stored = module == LAY_MODULE_LLM ? save->llm : save->encoder;
    char name[200];
    for (size_t i = 0; i < lay_trainable_count(save->trainable); i++) {
        const struct lay_parameter *parameter = lay_trainable_parameter(save->trainable, i);
        if (parameter->module != module)
            continue;
        snprintf(name, sizeof name, "%s", parameter->name);
        if (whole && module == LAY_MODULE_LLM)
            whole_llm_name(save, parameter->name, name, sizeof name);
        else if (whole && module == LAY_MODULE_ENCODER)
            whole_encoder_name(save, parameter->name, name, sizeof name);
        else if (module == LAY_MODULE_ENCODER)
            snprintf(name, sizeof name, "%s", directory_name(save, parameter->name));
        LAY_TRY(add_parameter(list, parameter, name, save->dtype, err));
    }
    for (size_t i = 0; stored && i < lay_checkpoint_count(stored); i++) {
        const struct lay_tensor *tensor = lay_checkpoint_at(stored, i);
        snprintf(name, sizeof name, "%s", tensor->name);
        if (whole && module == LAY_MODULE_LLM)
            whole_llm_name(save, tensor->name, name, sizeof name);
        else if (whole && !whole_encoder_name(save, tensor->name, name, sizeof name))
            continue;
        if (!is_stale(save, list, module, tensor, name) && lay_dtype_is_floating(tensor->dtype))
            LAY_TRY(add_stored(list, tensor, name, err));
    }
    return LAY_OK;
}

static enum lay_status add_bridge(const struct lay_train_save *save, struct list *list, const char *strip,
                                  struct lay_err *err)
{
    for (size_t i = 0; i < lay_trainable_count(save->trainable); i++) {
        const struct lay_parameter *parameter = lay_trainable_parameter(save->trainable, i);
        const char *name = parameter->name;
        if (parameter->module != LAY_MODULE_BRIDGE)
            continue;
        skip_prefix(&name, strip);
        LAY_TRY(add_parameter(list, parameter, name, save->dtype, err));
    }
    return LAY_OK;
}

/* Whether a tensor of a bridge's checkpoint belongs to the bridge: LayAlign's and LangBridge's may hold
 * copies of encoder and LLM. MindMerger's mapping may stand there with or without its module's name. */
static bool whole_bridge_name(const char *name, char *whole, size_t size)
{
    static const char *const modules[] = {"mapping.", "encoder_aligner.", "lb.alignment.", "mlp.",
                                          "end_boundary"};
    const bool gate = strstr(name, ".adaption_gate") != NULL;
    for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
        if (strncmp(name, modules[i], strlen(modules[i])) != 0)
            continue;
        snprintf(whole, size, i < 3 ? "%s" : "mapping.%s", name);
        return true;
    }
    snprintf(whole, size, "%s", name);
    return gate;
}

static enum lay_status add_untrained(const struct lay_train_save *save, struct lay_weights *weights,
                                     struct list *list, const char *strip, struct lay_err *err)
{
    LAY_TRY(lay_bridge_sources(weights, save->method, save->bridge, err));
    for (size_t i = 0; i < lay_checkpoint_count(save->bridge); i++) {
        const struct lay_tensor *stored = lay_checkpoint_at(save->bridge, i), *tensor;
        char whole[200];
        const char *name = whole;
        if (!whole_bridge_name(stored->name, whole, sizeof whole))
            continue;
        skip_prefix(&name, strip);
        if (list_find(list, name) >= 0)
            continue;
        LAY_TRY(lay_weights_get(weights, stored->name, stored->rank, stored->shape, &tensor, err));
        LAY_TRY(add_stored(list, tensor, name, err));
    }
    return LAY_OK;
}

/* The bridge's own tensors, trained ones first. */
static enum lay_status add_whole_bridge(const struct lay_train_save *save, struct list *list,
                                        const char *strip, struct lay_err *err)
{
    struct lay_weights *weights;
    LAY_TRY(add_bridge(save, list, strip, err));
    LAY_TRY(lay_weights_create(&weights, err));
    const enum lay_status status = add_untrained(save, weights, list, strip, err);
    lay_weights_destroy(weights);
    return status;
}

/* The whole module, in the order of the official code's state dict. */
static enum lay_status add_whole(const struct lay_train_save *save, struct list *list, struct lay_err *err)
{
    const bool langbridge = save->method == LAY_LANGBRIDGE;
    LAY_TRY(add_module(save, list, LAY_MODULE_ENCODER, true, err));
    if (langbridge)
        LAY_TRY(add_alias(list, "lb.enc.encoder.embed_tokens.weight", "lb.enc.shared.weight", err));
    LAY_TRY(add_module(save, list, LAY_MODULE_LLM, true, err));
    const char *table =
        langbridge ? "lb.lm.embed_tokens.weight" : "model_llm.model.model.embed_tokens.weight";
    LAY_TRY(add_alias(list, langbridge ? "lb.lm_head.weight" : "model_llm.model.lm_head.weight", table, err));
    LAY_TRY(add_alias(list, langbridge ? "lb.embeddings.weight" : "llm_embedding_layer.weight", table, err));
    return add_whole_bridge(save, list, "", err);
}

static enum lay_status write_langbridge_config(const struct list *list, const char *dir, struct lay_err *err)
{
    struct lay_str text = {0};
    const int64_t linear = list_find(list, "lb.alignment.linear.weight");
    const int64_t at = linear >= 0 ? linear : list_find(list, "lb.alignment.ffn.0.weight");
    const int64_t eos = list_find(list, "lb.alignment.enc_eos");
    if (at < 0 || eos < 0)
        return lay_fail(err, LAY_ERR_INTERNAL, "a LangBridge bridge without alignment");
    lay_str_printf(&text,
                   "{\n  \"alignments\": \"%s\",\n  \"architectures\": [\n    \"LangBridgeModel\"\n  ],\n"
                   "  \"dim_enc\": %lld,\n  \"dim_lm\": %lld\n}\n",
                   linear >= 0 ? "linear" : "ffn", (long long)list->items[at].spec.shape[1],
                   (long long)list->items[eos].spec.shape[0]);
    const enum lay_status status = lay_file_write_in(dir, "config.json", &text, err);
    lay_str_free(&text);
    return status;
}

static enum lay_status write_bridge(const struct lay_train_save *save, const char *dir, struct lay_err *err)
{
    struct list list = {0};
    const bool wrapped = save->bin && save->method == LAY_MINDMERGER;
    char *path = lay_path_join(dir, save->bin ? "pytorch_model.bin" : "model.safetensors");
    enum lay_status status = path ? LAY_OK : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = save->bin && !wrapped ? add_whole(save, &list, err)
                                       : add_whole_bridge(save, &list, wrapped ? "mapping." : "", err);
    if (status == LAY_OK && save->bin)
        status = lay_torch_write(path, wrapped ? "model_state_dict" : NULL, list.items, list.count, err);
    else if (status == LAY_OK)
        status = write_safetensors(&list, path, err);
    if (status == LAY_OK && save->method == LAY_LANGBRIDGE)
        status = write_langbridge_config(&list, dir, err);
    list_free(&list);
    lay_free(path);
    return status;
}

/* --- directories of trained models --- */

/* Configurations and tokenizers; not weights and their indices. */
static bool goes_along(const char *name)
{
    static const char *const wanted[] = {".json", ".model", ".txt"};
    const size_t length = strlen(name);
    if (strstr(name, ".index.json"))
        return false;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        const size_t n = strlen(wanted[i]);
        if (length > n && strcmp(name + length - n, wanted[i]) == 0)
            return true;
    }
    return false;
}

static enum lay_status copy_file(const char *from, const char *to, const char *name, struct lay_err *err)
{
    struct lay_str content = {0};
    char *path = lay_path_join(from, name);
    enum lay_status status =
        path ? lay_file_read(path, OTHER_FILE_MAX, &content, err) : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_file_write_in(to, name, &content, err);
    lay_str_free(&content);
    lay_free(path);
    return status;
}

static enum lay_status copy_others(const char *from, const char *to, struct lay_err *err)
{
    struct lay_dir list;
    enum lay_status status = LAY_OK;
    LAY_TRY(lay_dir_list(from, &list, err));
    for (size_t i = 0; i < list.count && status == LAY_OK; i++)
        if (goes_along(list.names[i]))
            status = copy_file(from, to, list.names[i], err);
    lay_dir_free(&list);
    return status;
}

static enum lay_status write_model(const struct lay_train_save *save, enum lay_module module,
                                   const char *from, const char *dir, struct lay_err *err)
{
    struct list list = {0};
    char *path = lay_path_join(dir, "model.safetensors");
    enum lay_status status = path ? copy_others(from, dir, err) : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = add_module(save, &list, module, false, err);
    if (status == LAY_OK)
        status = write_safetensors(&list, path, err);
    list_free(&list);
    lay_free(path);
    return status;
}

enum lay_status lay_train_save(const struct lay_train_save *save, const char *dir, struct lay_err *err)
{
    const struct {
        enum lay_module module;
        const char *name, *from;
    } parts[] = {{LAY_MODULE_BRIDGE, "bridge", NULL},
                 {LAY_MODULE_LLM, "llm", save->llm_dir},
                 {LAY_MODULE_ENCODER, "encoder", save->encoder_dir}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (!is_trained(save->trainable, parts[i].module))
            continue;
        char *part = lay_path_join(dir, parts[i].name);
        enum lay_status status = part ? lay_mkdirs(part, err) : lay_no_memory(err, "a path");
        if (status == LAY_OK)
            status = parts[i].from ? write_model(save, parts[i].module, parts[i].from, part, err)
                                   : write_bridge(save, part, err);
        lay_free(part);
        LAY_TRY(status);
    }
    return LAY_OK;
}
