#include "harness/train/state.h"

#include "engine/base/file.h"
#include "engine/base/mem.h"
#include "engine/store/checkpoint.h"
#include "engine/store/safetensors_write.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define STATE_FILE "state.safetensors"
#define NAME_SIZE 140

/* The three tensors of a parameter. */
static const char *const prefixes[] = {"value.", "first.", "second."};
enum { N_PREFIXES = sizeof prefixes / sizeof *prefixes };

static float *data_of(const struct lay_train_state *state, size_t parameter, int prefix)
{
    float *const data[N_PREFIXES] = {lay_trainable_parameter(state->trainable, parameter)->value,
                                     state->first[parameter], state->second[parameter]};
    return data[prefix];
}

enum lay_status lay_train_state_begin(struct lay_trainable *trainable, struct lay_train_state *state,
                                      struct lay_err *err)
{
    const size_t count = lay_trainable_count(trainable);
    *state = (struct lay_train_state){.trainable = trainable, .best = INFINITY, .saved = -1};
    state->first = lay_alloc(count, sizeof *state->first);
    state->second = lay_alloc(count, sizeof *state->second);
    bool complete = state->first && state->second;
    for (size_t i = 0; i < count && complete; i++) {
        const size_t elements = lay_trainable_parameter(trainable, i)->count;
        state->first[i] = lay_alloc_aligned(elements, sizeof(float));
        state->second[i] = lay_alloc_aligned(elements, sizeof(float));
        complete = state->first[i] && state->second[i];
    }
    return complete ? LAY_OK : lay_no_memory(err, "the optimiser's moments");
}

void lay_train_state_free(struct lay_train_state *state)
{
    for (size_t i = 0; state->trainable && i < lay_trainable_count(state->trainable); i++) {
        if (state->first)
            lay_free(state->first[i]);
        if (state->second)
            lay_free(state->second[i]);
    }
    lay_free(state->first);
    lay_free(state->second);
    lay_train_log_free(&state->log);
    *state = (struct lay_train_state){0};
}

/* --- loading --- */

static enum lay_status find(const struct lay_checkpoint *file, const char *name, enum lay_dtype dtype,
                            const struct lay_tensor **tensor, struct lay_err *err)
{
    *tensor = lay_checkpoint_find(file, name);
    if (!*tensor || (*tensor)->dtype != dtype)
        return lay_fail(
            err, LAY_ERR_INPUT,
            "%s: holds no tensor \"%s\" of type %s, so it is not the state of this run; remove the "
            "directory to begin anew",
            lay_checkpoint_path(file), name, lay_dtype_name(dtype));
    return LAY_OK;
}

static enum lay_status load_parameter(struct lay_train_state *state, const struct lay_checkpoint *file,
                                      size_t i, struct lay_err *err)
{
    const struct lay_parameter *parameter = lay_trainable_parameter(state->trainable, i);
    for (int p = 0; p < N_PREFIXES; p++) {
        char name[NAME_SIZE];
        const struct lay_tensor *tensor;
        snprintf(name, sizeof name, "%s%s", prefixes[p], parameter->name);
        LAY_TRY(find(file, name, LAY_F32, &tensor, err));
        if (tensor->count != parameter->count)
            return lay_fail(err, LAY_ERR_INPUT, "%s: \"%s\" has %zu elements, the model's has %zu",
                            lay_checkpoint_path(file), name, tensor->count, parameter->count);
        memcpy(data_of(state, i, p), tensor->data, tensor->bytes);
    }
    return LAY_OK;
}

static enum lay_status load_log(struct lay_train_state *state, const struct lay_checkpoint *file,
                                struct lay_err *err)
{
    const struct lay_tensor *rows, *best;
    LAY_TRY(find(file, "log", LAY_F64, &rows, err));
    LAY_TRY(find(file, "best", LAY_F64, &best, err));
    if (rows->count % LAY_TRAIN_COLUMNS || best->count != 1)
        return lay_fail(err, LAY_ERR_INPUT, "%s: \"log\" or \"best\" has another shape than this version's",
                        lay_checkpoint_path(file));
    for (size_t i = 0; i < rows->count / LAY_TRAIN_COLUMNS; i++) {
        struct lay_train_row row;
        memcpy(&row, (const char *)rows->data + i * sizeof row, sizeof row);
        LAY_TRY(lay_train_log_add(&state->log, &row, err));
    }
    memcpy(&state->best, best->data, sizeof state->best);
    state->saved = (int64_t)state->log.count;
    return LAY_OK;
}

bool lay_train_state_exists(const char *dir)
{
    char *path = lay_path_join(dir, STATE_FILE);
    const bool exists = path && lay_path_exists(path);
    lay_free(path);
    return exists;
}

enum lay_status lay_train_state_load(struct lay_train_state *state, const char *dir, struct lay_err *err)
{
    struct lay_checkpoint *file = NULL;
    enum lay_status status = LAY_OK;
    char *path = lay_path_join(dir, STATE_FILE);
    if (!path)
        return lay_no_memory(err, "a path");
    if (lay_path_exists(path)) {
        struct lay_err inner = {0};
        status = lay_checkpoint_open(path, &file, &inner);
        if (status != LAY_OK)
            (void)lay_fail(err, status,
                           "%s; what the training would go on from is damaged: remove %s to begin anew",
                           inner.message, dir);
        for (size_t i = 0; status == LAY_OK && i < lay_trainable_count(state->trainable); i++)
            status = load_parameter(state, file, i, err);
        if (status == LAY_OK)
            status = load_log(state, file, err);
    }
    lay_checkpoint_close(file);
    lay_free(path);
    return status;
}

/* --- saving --- */

struct names {
    char (*text)[NAME_SIZE];
    struct lay_tensor_spec *specs;
    size_t count;
};

static void make_specs(const struct lay_train_state *state, struct names *names)
{
    size_t n = 0;
    for (size_t i = 0; i < lay_trainable_count(state->trainable); i++) {
        const struct lay_parameter *parameter = lay_trainable_parameter(state->trainable, i);
        for (int p = 0; p < N_PREFIXES; p++, n++) {
            snprintf(names->text[n], NAME_SIZE, "%s%s", prefixes[p], parameter->name);
            names->specs[n] =
                (struct lay_tensor_spec){.name = names->text[n], .dtype = LAY_F32, .rank = parameter->rank};
            memcpy(names->specs[n].shape, parameter->shape, sizeof parameter->shape);
        }
    }
    names->specs[n++] = (struct lay_tensor_spec){
        .name = "log", .dtype = LAY_F64, .rank = 2, .shape = {(int64_t)state->log.count, LAY_TRAIN_COLUMNS}};
    names->specs[n++] = (struct lay_tensor_spec){.name = "best", .dtype = LAY_F64, .rank = 1, .shape = {1}};
    names->count = n;
}

static enum lay_status put_data(const struct lay_train_state *state, struct lay_safetensors_writer *writer,
                                struct lay_err *err)
{
    for (size_t i = 0; i < lay_trainable_count(state->trainable); i++)
        for (int p = 0; p < N_PREFIXES; p++)
            LAY_TRY(lay_safetensors_put(writer, data_of(state, i, p),
                                        lay_trainable_parameter(state->trainable, i)->count * sizeof(float),
                                        err));
    LAY_TRY(lay_safetensors_put(writer, state->log.rows, state->log.count * sizeof *state->log.rows, err));
    return lay_safetensors_put(writer, &state->best, sizeof state->best, err);
}

enum lay_status lay_train_state_save(struct lay_train_state *state, const char *dir, struct lay_err *err)
{
    const size_t most = lay_trainable_count(state->trainable) * N_PREFIXES + 2;
    struct lay_safetensors_writer *writer = NULL;
    struct names names = {lay_alloc(most, sizeof *names.text), lay_alloc(most, sizeof *names.specs), 0};
    char *path = lay_path_join(dir, STATE_FILE);
    enum lay_status status =
        names.text && names.specs && path ? LAY_OK : lay_no_memory(err, "the state of the training");
    if (status == LAY_OK) {
        make_specs(state, &names);
        status = lay_safetensors_create(path, names.specs, names.count, &writer, err);
    }
    if (status == LAY_OK) {
        status = put_data(state, writer, err);
        if (status == LAY_OK)
            status = lay_safetensors_finish(writer, err);
        else
            lay_safetensors_abort(writer);
    }
    if (status == LAY_OK)
        state->saved = (int64_t)state->log.count;
    lay_free(names.text);
    lay_free(names.specs);
    lay_free(path);
    return status;
}
