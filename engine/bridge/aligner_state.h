/* What an aligner holds in memory. Private to engine/bridge. */
#ifndef LAY_BRIDGE_ALIGNER_STATE_H
#define LAY_BRIDGE_ALIGNER_STATE_H

#include "engine/bridge/method.h"

struct lay_aligner {
    int64_t d, H;
    int64_t m, K;
    int64_t *encoder_layers;  /* [m] indices of hidden states */
    int64_t *language_layers; /* [K] */
    float *fc1, *fc1_bias;    /* [2K, m], [2K] */
    struct lay_linear *fc2;   /* [H, d] */
    struct lay_linear *fc3;   /* [H, H]; NULL: structure Linear */
    float *gates;             /* [LLM layers] */
    bool *has_gate;
    struct lay_llm_adapter adapter; /* views of the two above */
    const float **fused;            /* [m] the chosen hidden states, work memory */
    struct lay_work r;              /* [n, 2, rows, d]: r_k and r_v of language layers r_first … */
    int64_t r_first;
    struct lay_work inner; /* [rows, H], structure MLP */
};

#endif
