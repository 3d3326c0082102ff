/* `layeval verify`: recomputes a case, a folder with models, inputs and the outputs another implementation
 * got for them, tensor by tensor.
 *
 *   verify_case.c     the folder: case.json, expected.safetensors, the storage forms of the models
 *   verify_models.c   loads one storage form
 *   verify_inputs.c   the inputs of one example or batch, taken out of expected.safetensors
 *   verify_compute.c  recomputes an example; the results carry the names of the expected tensors
 *   verify_gradients.c  the gradients of its loss
 *   verify_compare.c  compares by name and sums up by family */
#ifndef LAY_HARNESS_VERIFY_H
#define LAY_HARNESS_VERIFY_H

#include "engine/base/json.h"
#include "engine/bridge/bridge.h"
#include "engine/store/checkpoint.h"

#define LAY_VERIFY_NAME 128 /* bytes of a tensor name */
#define LAY_VERIFY_FORMS 24

/* Which files the models of a case are read from. Strings are owned. */
struct lay_verify_form {
    char *encoder, *llm, *bridge; /* weight files or directories; NULL when the method has none */
    bool own_copies;              /* encoder and LLM from the bridge's copies where it has some */
    char keys[32];                /* "bf16ckpt.": expected tensors meant for this form only; "" else */
};

struct lay_verify_case {
    char *dir;
    cJSON *json;
    struct lay_checkpoint *expected;
    struct lay_bridge_options bridge; /* method, layers, form */
    int64_t bos, eos;                 /* −1: as the LLM's configuration says; −1: no generated_ids_eos */
    struct lay_verify_form forms[LAY_VERIFY_FORMS];
    size_t n_forms;
};

/* What the command line overrides; NULL: every form found in the case. Paths. */
struct lay_verify_overrides {
    const char *encoder, *llm, *bridge;
};

enum lay_status lay_verify_case_open(const char *dir, const struct lay_verify_overrides *overrides,
                                     struct lay_verify_case *c, struct lay_err *err);
void lay_verify_case_close(struct lay_verify_case *c);

/* The models of one form. */
struct lay_verify_models {
    struct lay_dnn *dnn;
    struct lay_encoder_config encoder_config;
    struct lay_llm_config llm_config;
    struct lay_checkpoint *checkpoints[3]; /* encoder, LLM, bridge */
    struct lay_weights *weights[3];
    struct lay_encoder *encoder; /* NULL: plain */
    struct lay_llm *llm;
    struct lay_bridge *bridge; /* NULL: plain */
    enum lay_dtype dtype;
    struct lay_trainable *trainable; /* the same models for gradients; NULL until they are asked for */
};

enum lay_status lay_verify_models_load(const struct lay_verify_case *c, const struct lay_verify_form *form,
                                       enum lay_dtype dtype, struct lay_verify_models *models,
                                       struct lay_err *err);
void lay_verify_models_close(struct lay_verify_models *models);

/* The inputs of one example (B = 1) or batch. A row's LLM input is [bos] source boundary text. */
struct lay_verify_inputs {
    char prefix[LAY_VERIFY_NAME]; /* "ex0." */
    int64_t B;
    int64_t n;        /* encoder tokens of the longest source, pads included; 0 without encoder */
    int32_t *source;  /* [B, n], padded on the right */
    int64_t *valid;   /* [B] tokens of the source that are no pads */
    int64_t max_text; /* width of the two arrays below */
    int32_t *text;    /* [B, max_text] prompt and, in training, target tokens */
    bool *is_target;  /* [B, max_text] counts in the loss */
    int64_t *n_text;  /* [B] */
    bool training;    /* positions run over the padded row, as in the official loss */
};

/* Names of the examples in the expected file: what stands in front of ".enc_ids" or ".prompt_ids". Returns
 * the next one behind *at in order of name; false when there is none. */
bool lay_verify_next_prefix(const struct lay_checkpoint *expected, size_t *at, char prefix[LAY_VERIFY_NAME]);
enum lay_status lay_verify_inputs_read(const struct lay_verify_case *c, const char *prefix,
                                       const struct lay_verify_models *models,
                                       struct lay_verify_inputs *inputs, struct lay_err *err);
void lay_verify_inputs_free(struct lay_verify_inputs *inputs);

/* A recomputed tensor [B, T, width]. rows[b · T + t] is the row of `data` for that place, −1 where nothing
 * comparable stands (pads). Owned. */
struct lay_verify_result {
    char name[LAY_VERIFY_NAME]; /* "encoder.hidden.0" */
    int64_t B, T, width;
    float *data;
    int64_t *rows;
    struct lay_verify_result *next;
};

/* Recomputes all that `expected` holds for these inputs under the names keys + prefix + …. Free with
 * lay_verify_results_free. */
enum lay_status lay_verify_compute(const struct lay_verify_case *c, const struct lay_verify_models *models,
                                   const struct lay_verify_inputs *inputs, const char *keys,
                                   struct lay_verify_result **results, struct lay_err *err);
void lay_verify_results_free(struct lay_verify_result *results);

/* Adds the gradients of the parameters that training changes ("grad.NAME") where any are expected. */
enum lay_status lay_verify_gradients(const struct lay_verify_case *c, const struct lay_verify_form *form,
                                     struct lay_verify_models *models, const struct lay_verify_inputs *inputs,
                                     struct lay_verify_result **results, struct lay_err *err);

/* Tensors whose names differ in numbers only. */
struct lay_verify_family {
    char name[LAY_VERIFY_NAME];
    int64_t compared;                   /* tensors */
    int64_t partly;                     /* of those: with places left out (pads) */
    double largest;                     /* absolute difference */
    double limit;                       /* of it; 0: must be equal */
    double error_squares, size_squares; /* sums over differences and expected values */
    int64_t rows, agreed; /* logits: rows, and those whose largest element is the expected one */
    bool judged;
    bool failed;
    char worst[LAY_VERIFY_NAME]; /* tensor of the largest difference, or of another shape */
    int64_t skipped;             /* tensors not compared */
    const char *reason;          /* why */
};

#define LAY_VERIFY_FAMILIES 128
struct lay_verify_report {
    struct lay_verify_family families[LAY_VERIFY_FAMILIES];
    size_t n;
    enum lay_dtype dtype; /* of the products */
    bool failed;
};

/* f32 is judged by the largest difference of every family. bf16 and int8 are judged by the error of a family
 * relative to its size, √(Σ difference² / Σ expected²): at most 2.5 % and 12 %, three times what rounding the
 * operands of the 27 products from the first to the last adds up to (0.16 % a product in bf16; in int8 steps
 * of a 127th of the largest of a row, 0.77 %). What follows from tokens of their own choice is reported and
 * not judged. */
double lay_verify_relative_error(const struct lay_verify_family *family);
double lay_verify_relative_limit(enum lay_dtype dtype); /* 0 for f32 */

/* Compares every expected tensor of that prefix with the result of its name. */
enum lay_status lay_verify_compare(const struct lay_verify_case *c, const char *keys, const char *prefix,
                                   const struct lay_verify_result *results, struct lay_verify_report *report,
                                   struct lay_err *err);
/* Expected tensors that no prefix claims. */
enum lay_status lay_verify_leftovers(const struct lay_verify_case *c, const char *keys,
                                     struct lay_verify_report *report, struct lay_err *err);

/* Element i of a tensor of any numeric type. */
double lay_verify_element(const struct lay_tensor *tensor, size_t i);

#endif
