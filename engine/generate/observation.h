/* What one forward pass over a request leaves to look at. */
#ifndef LAY_GENERATE_OBSERVATION_H
#define LAY_GENERATE_OBSERVATION_H

#include <stddef.h>
#include <stdint.h>

/* Arrays are valid while it is heard. Without an encoder n_source and n_hidden are 0. */
struct lay_observation {
    size_t request;
    int64_t n_source;           /* tokens the encoder read, special ones included */
    int64_t n_hidden;           /* hidden states of the encoder: layers + 1, the embedding output first */
    int64_t encoder_width;      /* d */
    const float *const *hidden; /* [n_hidden] of [n_source, d] */
    int64_t n_rows;             /* rows the LLM read: bos, soft prompt, text */
    int64_t llm_width;          /* H */
    const float *states;        /* [n_rows, H] after the final norm */
    int64_t llm_layers;
    /* [llm_layers] mean over the rows of |o_proj(gate · adapter attention)| / |o_proj(self-attention)|,
     * Euclidean norms; NaN for a layer without adapter attention. */
    const double *adapter_ratio;
};

#endif
