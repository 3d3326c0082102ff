/* What `layeval inspect` finds out about a checkpoint, and its two ways of saying it. */
#ifndef LAY_HARNESS_INSPECT_H
#define LAY_HARNESS_INSPECT_H

#include "engine/base/json.h"
#include "engine/bridge/form.h"
#include "engine/store/checkpoint.h"

#include <stdio.h>

struct lay_inspect_options {
    bool no_hash;    /* do not read the data */
    bool hashes;     /* show the hash of each tensor */
    bool no_tensors; /* leave the table of tensors out */
    int64_t limit;   /* show so many tensors; 0: all */
};

/* A LayAlign bridge's adapter. Row 2i of fc1 makes the keys of languages_layers[i], row 2i+1 its values. */
struct lay_inspect_aligner {
    int64_t *layers; /* LLM layers that have a gate, ascending */
    float *gates;    /* [n_layers]; gates that read the hidden state: their biases */
    int64_t n_layers;
    struct lay_form form;
    float *weights; /* [2 * n_layers, fused]; NULL: the encoder layers are averaged */
    float *biases;  /* [2 * n_layers] */
    int64_t fused;  /* encoder layers; averaged: not known, 0 */
};

struct lay_inspection {
    struct lay_checkpoint *checkpoint;
    struct lay_hash *hashes; /* per tensor; NULL with no_hash */
    bool *finite;            /* per tensor; NULL with no_hash */
    struct lay_hash hash;    /* over all tensors: name, dtype, shape, data */
    size_t parameters, bytes;
    cJSON *config;      /* main fields of config.json; NULL when there is none */
    const char *bridge; /* "LayAlign", "MindMerger", "LangBridge"; NULL: no bridge */
    bool has_aligner;
    struct lay_inspect_aligner aligner;
};

/* Free `inspection` with lay_inspect_close in any case. */
enum lay_status lay_inspect_open(const char *path, const struct lay_inspect_options *options,
                                 struct lay_inspection *inspection, struct lay_err *err);
void lay_inspect_close(struct lay_inspection *inspection);

void lay_inspect_print(const struct lay_inspection *inspection, const struct lay_inspect_options *options,
                       FILE *stream);
/* One JSON object. */
enum lay_status lay_inspect_print_json(const struct lay_inspection *inspection,
                                       const struct lay_inspect_options *options, FILE *stream,
                                       struct lay_err *err);

#endif
