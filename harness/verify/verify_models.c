#include "harness/verify/verify.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/train/trainable.h"

enum { ENCODER, LLM, BRIDGE };

/* The directory whose config.json belongs to a weight file or directory. */
static char *config_dir(const char *path)
{
    return lay_path_is_dir(path) ? lay_strdup(path) : lay_path_dirname(path);
}

/* Where config.json stands: beside the weights, or in the case's own folder when those come from the bridge.
 */
static char *model_dir(const struct lay_verify_case *c, const char *path, const char *name)
{
    return path ? config_dir(path) : lay_path_join(c->dir, name);
}

static enum lay_status read_configs(const struct lay_verify_case *c, const struct lay_verify_form *form,
                                    struct lay_verify_models *m, struct lay_err *err)
{
    char *llm = model_dir(c, form->llm, "llm"), *encoder = model_dir(c, form->encoder, "encoder");
    enum lay_status status = llm && encoder ? LAY_OK : lay_no_memory(err, "a path");
    if (status == LAY_OK)
        status = lay_llm_config_read(llm, &m->llm_config, err);
    if (status == LAY_OK && c->bridge.method != LAY_PLAIN)
        status = lay_encoder_config_read(encoder, &m->encoder_config, err);
    lay_free(llm);
    lay_free(encoder);
    return status;
}

static enum lay_status open_checkpoints(const struct lay_verify_form *form, struct lay_verify_models *m,
                                        struct lay_err *err)
{
    const char *const paths[] = {form->encoder, form->llm, form->bridge};
    for (int i = 0; i < 3; i++) {
        if (paths[i])
            LAY_TRY(lay_checkpoint_open(paths[i], &m->checkpoints[i], err));
        LAY_TRY(lay_weights_create(&m->weights[i], err));
    }
    return LAY_OK;
}

static enum lay_status load(const struct lay_verify_case *c, const struct lay_verify_form *form,
                            enum lay_dtype dtype, struct lay_verify_models *m, struct lay_err *err)
{
    const enum lay_method method = c->bridge.method;
    LAY_TRY(read_configs(c, form, m, err));
    LAY_TRY(lay_dnn_create(&m->dnn, err));
    LAY_TRY(open_checkpoints(form, m, err));
    const struct lay_checkpoint *copies = form->own_copies ? m->checkpoints[BRIDGE] : NULL;
    LAY_TRY(lay_llm_sources(m->weights[LLM], method, m->checkpoints[LLM], copies, err));
    LAY_TRY(lay_llm_load(m->dnn, &m->llm_config, m->weights[LLM], lay_precision_of(dtype), &m->llm, err));
    if (method == LAY_PLAIN)
        return LAY_OK;
    LAY_TRY(lay_encoder_sources(m->weights[ENCODER], method, m->checkpoints[ENCODER], copies, err));
    LAY_TRY(lay_encoder_load(m->dnn, &m->encoder_config, m->weights[ENCODER], lay_precision_of(dtype),
                             &m->encoder, err));
    LAY_TRY(lay_bridge_sources(m->weights[BRIDGE], method, m->checkpoints[BRIDGE], err));
    return lay_bridge_load(m->dnn, &c->bridge, m->weights[BRIDGE], &m->encoder_config, &m->llm_config,
                           lay_precision_of(dtype), &m->bridge, err);
}

enum lay_status lay_verify_models_load(const struct lay_verify_case *c, const struct lay_verify_form *form,
                                       enum lay_dtype dtype, struct lay_verify_models *models,
                                       struct lay_err *err)
{
    *models = (struct lay_verify_models){.dtype = dtype};
    const enum lay_status status = load(c, form, dtype, models, err);
    if (status != LAY_OK)
        lay_verify_models_close(models);
    return status;
}

void lay_verify_models_close(struct lay_verify_models *m)
{
    lay_trainable_destroy(m->trainable);
    lay_bridge_destroy(m->bridge);
    lay_encoder_destroy(m->encoder);
    lay_llm_destroy(m->llm);
    for (int i = 0; i < 3; i++) {
        lay_weights_destroy(m->weights[i]);
        lay_checkpoint_close(m->checkpoints[i]);
    }
    lay_dnn_destroy(m->dnn);
    *m = (struct lay_verify_models){0};
}
