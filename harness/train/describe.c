#include "harness/train/describe.h"

#include "engine/base/file.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "engine/dnn/linear.h"

#include <string.h>

static cJSON *layers(const int64_t *list, int64_t count)
{
    if (count < 0)
        return cJSON_CreateString("all");
    cJSON *array = cJSON_CreateArray();
    for (int64_t i = 0; i < count; i++)
        lay_json_add(array, NULL, cJSON_CreateNumber((double)list[i]));
    return array;
}

/* Names, types, shapes and sizes: not the data, which may be large. A sample of each tensor's bytes tells two
 * models of one shape apart. False where memory ran out for the text behind the hash. */
static bool add_weights(cJSON *object, const char *key, const struct lay_checkpoint *checkpoint)
{
    enum { SAMPLE = 64 };
    struct lay_str text = {0};
    char hex[LAY_HASH_HEX], shape[80];
    for (size_t i = 0; checkpoint && i < lay_checkpoint_count(checkpoint); i++) {
        const struct lay_tensor *tensor = lay_checkpoint_at(checkpoint, i);
        lay_str_printf(&text, "%s %s %s ", tensor->name, lay_dtype_name(tensor->dtype),
                       lay_tensor_shape_text(tensor, shape, sizeof shape));
        if (!tensor->maker)
            lay_str_append(&text, tensor->data, tensor->bytes < SAMPLE ? tensor->bytes : SAMPLE);
    }
    lay_hash_hex(lay_hash_bytes(lay_str_text(&text), text.length), hex);
    if (checkpoint)
        cJSON_AddStringToObject(object, key, hex);
    const bool whole = !text.failed;
    lay_str_free(&text);
    return whole;
}

static bool add_system(cJSON *manifest, const struct lay_train_options *o, const struct lay_train_parts *p)
{
    cJSON *system = cJSON_AddObjectToObject(manifest, "system");
    const struct lay_bridge_options *bridge = &p->file.bridge;
    cJSON_AddStringToObject(system, "name", p->file.name);
    cJSON_AddStringToObject(system, "method", lay_method_name(bridge->method));
    cJSON_AddStringToObject(system, "llm_tokenizer_hash", lay_tokenizer_hash(p->llm_tokenizer));
    if (!add_weights(system, "llm", p->llm))
        return false;
    if (bridge->method == LAY_PLAIN)
        return true;
    cJSON_AddStringToObject(system, "encoder_tokenizer_hash", lay_tokenizer_hash(p->encoder_tokenizer));
    if (!add_weights(system, "encoder", p->encoder) || (o->init && !add_weights(system, "bridge", p->bridge)))
        return false;
    if (!o->init)
        cJSON_AddStringToObject(system, "bridge", "new");
    lay_json_add(system, "encoder_layers", layers(bridge->encoder_layers, bridge->n_encoder_layers));
    lay_json_add(system, "language_layers", layers(bridge->language_layers, bridge->n_language_layers));
    for (int key = 0; key < LAY_FORM_KEYS; key++)
        cJSON_AddStringToObject(system, lay_form_key(key), lay_form_name(&bridge->form, key));
    cJSON_AddBoolToObject(system, "soft_prompt", p->file.soft_prompt);
    cJSON_AddBoolToObject(system, "adapter_attention", !bridge->no_adapter);
    return true;
}

static void add_data(cJSON *manifest, const struct lay_train_options *o, const struct lay_train_parts *p,
                     const struct lay_prompt_set *prompts, const struct lay_train_samples *samples)
{
    cJSON *data = cJSON_AddObjectToObject(manifest, "data");
    cJSON_AddStringToObject(data, "prompt_set", lay_prompt_set_name(prompts));
    cJSON_AddStringToObject(data, "prompt_set_hash", lay_prompt_set_hash(prompts));
    cJSON_AddBoolToObject(data, "text_prompt", p->text_prompt);
    cJSON_AddNumberToObject(data, "source_length", (double)o->source_length);
    cJSON_AddNumberToObject(data, "prompt_length", (double)o->prompt_length);
    cJSON_AddNumberToObject(data, "target_length", (double)o->target_length);
    cJSON_AddNumberToObject(data, "dev", (double)samples->n_dev);
    cJSON *files = cJSON_AddArrayToObject(data, "files");
    for (int32_t i = 0; i < samples->set.n_files; i++) {
        const struct lay_train_file *file = &samples->set.files[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "file", lay_path_basename(file->path));
        cJSON_AddStringToObject(item, "hash", file->hash);
        cJSON_AddNumberToObject(item, "items", (double)file->items);
        lay_json_add(files, NULL, item);
    }
}

static void add_training(cJSON *manifest, const struct lay_train_options *o, const struct lay_train_parts *p,
                         const struct lay_schedule *schedule)
{
    cJSON *t = cJSON_AddObjectToObject(manifest, "training");
    const struct {
        const char *name;
        double value;
    } numbers[] = {{"steps", (double)schedule->steps},
                   {"warm_up_steps", (double)schedule->warm_up},
                   {"batch", (double)o->batch},
                   {"official_micro_batch", (double)o->official_micro_batch},
                   {"learning_rate", schedule->learning_rate},
                   {"beta1", o->adamw.beta1},
                   {"beta2", o->adamw.beta2},
                   {"epsilon", o->adamw.epsilon},
                   {"weight_decay", o->adamw.weight_decay},
                   {"clip", o->clip},
                   {"dev_every", (double)o->dev_every},
                   {"seed", (double)o->seed}};
    const struct {
        const char *name;
        bool value;
    } switches[] = {{"train_bridge", p->train_bridge},
                    {"train_llm", p->train_llm},
                    {"train_encoder", p->train_encoder},
                    {"train_head", p->train_head}};
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        cJSON_AddBoolToObject(t, switches[i].name, switches[i].value);
    cJSON_AddStringToObject(t, "schedule", lay_schedule_name(schedule->kind));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        cJSON_AddNumberToObject(t, numbers[i].name, numbers[i].value);
    if (o->dropout > 0) /* manifests of before there was any go on */
        cJSON_AddNumberToObject(t, "dropout", o->dropout);
    cJSON_AddStringToObject(t, "compute", lay_dtype_name(o->compute));
    cJSON_AddStringToObject(t, "saved_as", lay_dtype_name(o->save_dtype));
    cJSON_AddStringToObject(t, "save_format", o->bin ? "bin" : "safetensors");
}

enum lay_status lay_train_describe(const struct lay_train_options *options,
                                   const struct lay_train_parts *parts, const struct lay_prompt_set *prompts,
                                   const struct lay_train_samples *samples,
                                   const struct lay_schedule *schedule, cJSON **manifest, struct lay_err *err)
{
    lay_mem_watch_cjson(); /* a manifest with a member missing would be another training's */
    cJSON *built = cJSON_CreateObject();
    cJSON_AddStringToObject(built, "layeval", LAYEVAL_VERSION);
    cJSON_AddStringToObject(built, "onednn", lay_dnn_version());
    cJSON_AddStringToObject(built, "isa", lay_dnn_isa());
    cJSON_AddStringToObject(built, "stage", options->translation ? "translation" : "task");
    const bool whole = add_system(built, options, parts);
    add_data(built, options, parts, prompts, samples);
    add_training(built, options, parts, schedule);
    *manifest = built;
    if (whole && !lay_mem_cjson_failed())
        return LAY_OK;
    cJSON_Delete(built);
    *manifest = NULL;
    return lay_no_memory(err, "a manifest");
}
