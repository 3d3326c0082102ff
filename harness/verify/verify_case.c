#include "harness/verify/verify.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"

#include <stdio.h>
#include <string.h>

/* --- case.json --------------------------------------------------------------------------------------------
 */

static enum lay_status read_layers(const cJSON *aligner, const char *where, const char *key, int64_t *layers,
                                   int64_t *n, struct lay_err *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(aligner, key);
    const cJSON *item;
    if (!list || cJSON_IsNull(list))
        return LAY_OK;
    *n = 0;
    cJSON_ArrayForEach(item, list)
    {
        if (!cJSON_IsNumber(item) || *n == LAY_BRIDGE_MAX_LAYERS || item->valuedouble < 0 ||
            item->valuedouble > 1e6)
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" must be a list of at most %d layer numbers",
                            where, key, LAY_BRIDGE_MAX_LAYERS);
        layers[(*n)++] = (int64_t)item->valuedouble;
    }
    return LAY_OK;
}

static enum lay_status read_case_json(struct lay_verify_case *c, const char *where, struct lay_err *err)
{
    const char *method = NULL;
    struct lay_bridge_options *b = &c->bridge;
    LAY_TRY(lay_json_read(where, &c->json, err));
    LAY_TRY(lay_json_get_string(c->json, where, "method", &method, err));
    if (!method)
        return lay_json_missing(where, "method", err);
    LAY_TRY(lay_method_by_name(method, where, &b->method, err));
    LAY_TRY(lay_json_get_int(c->json, where, "llm_bos_id", &c->bos, err));
    LAY_TRY(lay_json_get_int(c->json, where, "eos_variant_id", &c->eos, err));
    if (c->bos < -1 || c->bos > INT32_MAX || c->eos < -1 || c->eos > INT32_MAX)
        return lay_fail(err, LAY_ERR_INPUT, "%s: llm_bos_id and eos_variant_id must be token ids", where);
    const cJSON *aligner = cJSON_GetObjectItemCaseSensitive(c->json, "aligner");
    if (!aligner)
        return LAY_OK;
    LAY_TRY(read_layers(aligner, where, "encoder_layers", b->encoder_layers, &b->n_encoder_layers, err));
    LAY_TRY(read_layers(aligner, where, "language_layers", b->language_layers, &b->n_language_layers, err));
    return lay_form_read(aligner, where, &b->form, err);
}

/* --- storage forms ----------------------------------------------------------------------------------------
 */

#define VARIANTS_MAX 8
struct variants {
    char *paths[VARIANTS_MAX];
    size_t n;
};

static void variants_free(struct variants *variants)
{
    for (size_t i = 0; i < variants->n; i++)
        lay_free(variants->paths[i]);
}

static enum lay_status add_variant(struct variants *variants, const char *dir, const char *file,
                                   struct lay_err *err)
{
    if (variants->n == VARIANTS_MAX)
        return LAY_OK;
    char *path = lay_path_join(dir, file);
    if (!path)
        return lay_no_memory(err, "a path");
    if (file[0] && !lay_path_exists(path)) {
        lay_free(path);
        return LAY_OK;
    }
    variants->paths[variants->n++] = path;
    return LAY_OK;
}

/* Every weight file in a directory; a sharded checkpoint counts as one. */
static enum lay_status add_directory(struct variants *variants, const char *dir, struct lay_err *err)
{
    static const char *const files[] = {"model.safetensors", "model.safetensors.index.json",
                                        "pytorch_model.bin", "pytorch_model.bin.index.json"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        LAY_TRY(add_variant(variants, dir, files[i], err));
    return LAY_OK;
}

/* The weights of `what` ("llm") in llm/, llm_sharded/ and so on, or the one that the command line names. */
static enum lay_status find_variants(const struct lay_verify_case *c, const char *what, const char *override,
                                     struct variants *variants, struct lay_err *err)
{
    struct lay_dir dir;
    if (override)
        return lay_path_is_dir(override) ? add_directory(variants, override, err)
                                         : add_variant(variants, NULL, override, err);
    LAY_TRY(lay_dir_list(c->dir, &dir, err));
    enum lay_status status = LAY_OK;
    const size_t length = strlen(what);
    for (size_t i = 0; i < dir.count && status == LAY_OK; i++) {
        const char *name = dir.names[i];
        if (strncmp(name, what, length) != 0 || (name[length] && name[length] != '_'))
            continue;
        char *path = lay_path_join(c->dir, name);
        if (!path)
            status = lay_no_memory(err, "a path");
        else if (lay_path_is_dir(path))
            status = add_directory(variants, path, err);
        lay_free(path);
    }
    lay_dir_free(&dir);
    return status;
}

static enum lay_status require(const struct lay_verify_case *c, const struct variants *variants,
                               const char *what, const char *override, struct lay_err *err)
{
    if (variants->n > 0)
        return LAY_OK;
    return lay_fail(
        err, LAY_ERR_INPUT,
        "%s: no model.safetensors, pytorch_model.bin or index of one for the %s; the folder must be "
        "named \"%s\" or be given with --%s",
        override ? override : c->dir, what, what, what);
}

/* bridge_bf16/… → "bf16ckpt.": the names such a form's own expectations start with. */
static void keys_of(const char *bridge, char keys[32])
{
    char *dir = bridge ? lay_path_dirname(bridge) : NULL;
    const char *name = dir ? lay_path_basename(dir) : "";
    keys[0] = '\0';
    if (strncmp(name, "bridge_", 7) == 0)
        snprintf(keys, 32, "%.20sckpt.", name + 7);
    lay_free(dir);
}

static enum lay_status copy_path(const struct variants *variants, size_t i, char **path, struct lay_err *err)
{
    if (variants->n == 0)
        return LAY_OK;
    *path = lay_strdup(variants->paths[i < variants->n ? i : variants->n - 1]);
    return *path ? LAY_OK : lay_no_memory(err, "a path");
}

/* The i-th variant of each, the last one where there are fewer. */
static enum lay_status add_form(struct lay_verify_case *c, const struct variants *encoders,
                                const struct variants *llms, const struct variants *bridges, size_t encoder,
                                size_t llm, size_t bridge, bool own_copies, struct lay_err *err)
{
    if (c->n_forms == LAY_VERIFY_FORMS)
        return LAY_OK;
    struct lay_verify_form *form = &c->forms[c->n_forms++];
    form->own_copies = own_copies;
    LAY_TRY(copy_path(encoders, encoder, &form->encoder, err));
    LAY_TRY(copy_path(llms, llm, &form->llm, err));
    LAY_TRY(copy_path(bridges, bridge, &form->bridge, err));
    keys_of(form->bridge, form->keys);
    return LAY_OK;
}

static size_t most(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Every file takes part at least once. Where the bridge holds copies of encoder and LLM (LayAlign,
 * LangBridge) each bridge file runs with its copies, and the encoder's and LLM's own files with the first
 * bridge file's mapping alone. */
static enum lay_status list_forms(struct lay_verify_case *c, const struct lay_verify_overrides *o,
                                  struct lay_err *err)
{
    const enum lay_method method = c->bridge.method;
    const bool copies = method == LAY_LAYALIGN || method == LAY_LANGBRIDGE;
    struct variants encoders = {0}, llms = {0}, bridges = {0};
    enum lay_status status;
    LAY_TRY_GOTO(status, find_variants(c, "llm", o->llm, &llms, err), done);
    if (!copies)
        LAY_TRY_GOTO(status, require(c, &llms, "llm", o->llm, err), done);
    if (method != LAY_PLAIN) {
        LAY_TRY_GOTO(status, find_variants(c, "encoder", o->encoder, &encoders, err), done);
        LAY_TRY_GOTO(status, find_variants(c, "bridge", o->bridge, &bridges, err), done);
        if (!copies)
            LAY_TRY_GOTO(status, require(c, &encoders, "encoder", o->encoder, err), done);
        LAY_TRY_GOTO(status, require(c, &bridges, "bridge", o->bridge, err), done);
    }
    for (size_t i = 0; copies && i < bridges.n; i++)
        LAY_TRY_GOTO(status, add_form(c, &encoders, &llms, &bridges, 0, 0, i, true, err), done);
    /* A form with expectations of its own (bridge_bf16) has them for its copies. */
    const bool plain_keys = c->n_forms > 0 && !c->forms[0].keys[0];
    const size_t own = encoders.n && llms.n && plain_keys ? most(encoders.n, llms.n) : 0;
    const size_t rounds = copies ? own : most(most(encoders.n, llms.n), bridges.n);
    for (size_t i = 0; i < rounds; i++)
        LAY_TRY_GOTO(status, add_form(c, &encoders, &llms, &bridges, i, i, copies ? 0 : i, false, err), done);
done:
    variants_free(&encoders);
    variants_free(&llms);
    variants_free(&bridges);
    return status;
}

/* --- the case ----------------------------------------------------------------------------------------------
 */

static enum lay_status open_case(struct lay_verify_case *c, const struct lay_verify_overrides *overrides,
                                 struct lay_err *err)
{
    enum lay_status status;
    char *json = lay_path_join(c->dir, "case.json"),
         *expected = lay_path_join(c->dir, "expected.safetensors");
    if (!json || !expected)
        status = lay_no_memory(err, "a path");
    else
        status = read_case_json(c, json, err);
    if (status == LAY_OK)
        status = lay_checkpoint_open(expected, &c->expected, err);
    if (status == LAY_OK)
        status = list_forms(c, overrides, err);
    lay_free(json);
    lay_free(expected);
    return status;
}

enum lay_status lay_verify_case_open(const char *dir, const struct lay_verify_overrides *overrides,
                                     struct lay_verify_case *c, struct lay_err *err)
{
    *c = (struct lay_verify_case){.dir = lay_strdup(dir), .bos = -1, .eos = -1};
    c->bridge.n_encoder_layers = c->bridge.n_language_layers = -1;
    if (!c->dir)
        return lay_no_memory(err, "a path");
    const enum lay_status status = open_case(c, overrides, err);
    if (status != LAY_OK)
        lay_verify_case_close(c);
    return status;
}

void lay_verify_case_close(struct lay_verify_case *c)
{
    for (size_t i = 0; i < c->n_forms; i++) {
        lay_free(c->forms[i].encoder);
        lay_free(c->forms[i].llm);
        lay_free(c->forms[i].bridge);
    }
    lay_checkpoint_close(c->expected);
    cJSON_Delete(c->json);
    lay_free(c->dir);
    *c = (struct lay_verify_case){0};
}
