#include "harness/verify/verify.h"

#include "engine/base/mem.h"

#include <stdio.h>
#include <string.h>

enum { ELEMENTS_MAX = 1 << 24 }; /* of one input tensor */

double lay_verify_element(const struct lay_tensor *tensor, size_t i)
{
    const char *at = (const char *)tensor->data + i * lay_dtype_size(tensor->dtype);
    int64_t wide;
    int32_t narrow;
    double real;
    float f;
    switch (tensor->dtype) {
    case LAY_I64:
        memcpy(&wide, at, sizeof wide);
        return (double)wide;
    case LAY_I32:
        memcpy(&narrow, at, sizeof narrow);
        return (double)narrow;
    case LAY_F64:
        memcpy(&real, at, sizeof real);
        return real;
    case LAY_F32:
    case LAY_F16:
    case LAY_BF16:
        lay_to_f32(tensor->dtype, at, &f, 1);
        return (double)f;
    case LAY_U8:
    case LAY_BOOL:
        return (double)*(const unsigned char *)at;
    case LAY_I8:
        return (double)*(const signed char *)at;
    default:
        return 0.0 / 0.0;
    }
}

static const struct lay_tensor *find(const struct lay_verify_case *c, const char *prefix, const char *name)
{
    char full[LAY_VERIFY_NAME];
    if (snprintf(full, sizeof full, "%s%s", prefix, name) >= (int)sizeof full)
        return NULL;
    return lay_checkpoint_find(c->expected, full);
}

bool lay_verify_next_prefix(const struct lay_checkpoint *expected, size_t *at, char prefix[LAY_VERIFY_NAME])
{
    for (; *at < lay_checkpoint_count(expected); ++*at) {
        const char *name = lay_checkpoint_at(expected, *at)->name, *dot = strrchr(name, '.');
        const size_t length = dot ? (size_t)(dot + 1 - name) : 0;
        if (!dot || length >= LAY_VERIFY_NAME)
            continue;
        const bool encoder = strcmp(dot, ".enc_ids") == 0;
        char twin[LAY_VERIFY_NAME + 8];
        snprintf(twin, sizeof twin, "%.*senc_ids", (int)length, name);
        if (!encoder && (strcmp(dot, ".prompt_ids") != 0 || lay_checkpoint_find(expected, twin)))
            continue;
        snprintf(prefix, LAY_VERIFY_NAME, "%.*s", (int)length, name);
        ++*at;
        return true;
    }
    return false;
}

/* An integer matrix [B, T] and its mask (NULL: all ones). */
struct grid {
    const struct lay_tensor *ids, *mask;
    int64_t T;
};

static enum lay_status open_grid(const struct lay_verify_case *c, const char *prefix, const char *ids,
                                 const char *mask, int64_t *B, struct grid *grid, struct lay_err *err)
{
    *grid = (struct grid){find(c, prefix, ids), find(c, prefix, mask), 0};
    if (!grid->ids)
        return LAY_OK;
    if (grid->ids->rank != 2 || grid->ids->count > ELEMENTS_MAX || (*B && grid->ids->shape[0] != *B))
        return lay_fail(err, LAY_ERR_INPUT,
                        "%s: %s must be a matrix [batch, tokens] with the batch of its example",
                        grid->ids->file, grid->ids->name);
    if (grid->mask && (grid->mask->rank != 2 || grid->mask->shape[0] != grid->ids->shape[0] ||
                       grid->mask->shape[1] != grid->ids->shape[1]))
        return lay_fail(err, LAY_ERR_INPUT, "%s: %s must have the shape of %s", grid->ids->file,
                        grid->mask->name, grid->ids->name);
    *B = grid->ids->shape[0];
    grid->T = grid->ids->shape[1];
    return LAY_OK;
}

static bool is_on(const struct grid *grid, int64_t b, int64_t t)
{
    return !grid->mask || lay_verify_element(grid->mask, (size_t)(b * grid->T + t)) != 0;
}

static enum lay_status token(const struct grid *grid, int64_t b, int64_t t, int64_t vocab_size, int32_t *id,
                             struct lay_err *err)
{
    const double value = lay_verify_element(grid->ids, (size_t)(b * grid->T + t));
    if (!(value >= 0 && value < (double)vocab_size))
        return lay_fail(err, LAY_ERR_INPUT, "%s: %s[%lld, %lld] is no id of the vocabulary of %lld tokens",
                        grid->ids->file, grid->ids->name, (long long)b, (long long)t, (long long)vocab_size);
    *id = (int32_t)value;
    return LAY_OK;
}

static enum lay_status read_sources(struct lay_verify_inputs *in, const struct grid *grid, int64_t vocab_size,
                                    struct lay_err *err)
{
    for (int64_t b = 0; b < in->B; b++) {
        for (int64_t t = 0; t < in->n; t++) {
            LAY_TRY(token(grid, b, t, vocab_size, &in->source[b * in->n + t], err));
            if (is_on(grid, b, t) && in->valid[b]++ != t)
                return lay_fail(err, LAY_ERR_INPUT, "%s: %s must be padded on the right", grid->ids->file,
                                grid->ids->name);
        }
        if (in->valid[b] == 0)
            return lay_fail(err, LAY_ERR_INPUT, "%s: row %lld of %s has no tokens", grid->ids->file,
                            (long long)b, grid->ids->name);
    }
    return LAY_OK;
}

/* Appends the tokens of a grid from column `first` on; `labels` (NULL: as is_target says) marks targets. */
static enum lay_status append_text(struct lay_verify_inputs *in, const struct grid *grid, int64_t first,
                                   bool is_target, const struct lay_tensor *labels, int64_t vocab_size,
                                   struct lay_err *err)
{
    for (int64_t b = 0; grid->ids && b < in->B; b++)
        for (int64_t t = first; t < grid->T; t++) {
            if (!is_on(grid, b, t))
                continue;
            const int64_t at = b * in->max_text + in->n_text[b]++;
            LAY_TRY(token(grid, b, t, vocab_size, &in->text[at], err));
            in->is_target[at] =
                labels ? lay_verify_element(labels, (size_t)(b * grid->T + t)) >= 0 : is_target;
        }
    return LAY_OK;
}

static enum lay_status read(const struct lay_verify_case *c, const char *prefix,
                            const struct lay_verify_models *models, struct lay_verify_inputs *in,
                            struct lay_err *err)
{
    struct grid source, prompt, target, whole;
    snprintf(in->prefix, sizeof in->prefix, "%s", prefix);
    LAY_TRY(open_grid(c, prefix, "enc_ids", "enc_mask", &in->B, &source, err));
    LAY_TRY(open_grid(c, prefix, "prompt_ids", "prompt_mask", &in->B, &prompt, err));
    LAY_TRY(open_grid(c, prefix, "label_ids", "label_mask", &in->B, &target, err));
    LAY_TRY(open_grid(c, prefix, "input_ids", "input_mask", &in->B, &whole, err));
    const struct lay_tensor *labels = find(c, prefix, "labels");
    if (labels && (!whole.ids || labels->count != whole.ids->count))
        return lay_fail(err, LAY_ERR_INPUT, "%s: %s must have the shape of input_ids", labels->file,
                        labels->name);
    if (models->encoder && !source.ids)
        return lay_fail(err, LAY_ERR_INPUT, "%s: %senc_ids is missing", c->dir, prefix);
    in->training = target.ids || whole.ids;
    in->n = models->encoder ? source.T : 0;
    in->max_text = prompt.T + target.T + whole.T;
    const size_t B = (size_t)in->B, n = (size_t)in->n, width = (size_t)in->max_text;
    in->source = lay_alloc(B * n + 1, sizeof *in->source);
    in->valid = lay_alloc(B, sizeof *in->valid);
    in->text = lay_alloc(B * width + 1, sizeof *in->text);
    in->is_target = lay_alloc(B * width + 1, sizeof *in->is_target);
    in->n_text = lay_alloc(B, sizeof *in->n_text);
    if (!in->source || !in->valid || !in->text || !in->is_target || !in->n_text)
        return lay_no_memory(err, "the inputs of a case");
    if (models->encoder)
        LAY_TRY(read_sources(in, &source, models->encoder_config.vocab_size, err));
    const int64_t vocab_size = models->llm_config.vocab_size;
    LAY_TRY(append_text(in, &prompt, 0, false, NULL, vocab_size, err));
    LAY_TRY(append_text(in, &target, 0, true, NULL, vocab_size, err));
    /* LangBridge: input_ids start with the bos, which stands in front of the soft prompt. */
    return append_text(in, &whole, 1, true, labels, vocab_size, err);
}

enum lay_status lay_verify_inputs_read(const struct lay_verify_case *c, const char *prefix,
                                       const struct lay_verify_models *models,
                                       struct lay_verify_inputs *inputs, struct lay_err *err)
{
    *inputs = (struct lay_verify_inputs){0};
    const enum lay_status status = read(c, prefix, models, inputs, err);
    if (status != LAY_OK)
        lay_verify_inputs_free(inputs);
    return status;
}

void lay_verify_inputs_free(struct lay_verify_inputs *inputs)
{
    lay_free(inputs->source);
    lay_free(inputs->valid);
    lay_free(inputs->text);
    lay_free(inputs->is_target);
    lay_free(inputs->n_text);
    *inputs = (struct lay_verify_inputs){0};
}
