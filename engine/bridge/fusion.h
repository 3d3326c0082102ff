/* What LayAlign's aligner has learned about layers: fc1 and the gates (models.md, LayAlign). */
#ifndef LAY_BRIDGE_FUSION_H
#define LAY_BRIDGE_FUSION_H

#include <stdint.h>

/* Views of a loaded bridge. Rows 2i and 2i + 1 of the weights make the keys and the values of LLM layer
 * language_layers[i]. */
struct lay_fusion {
    int64_t n_encoder_layers, n_language_layers; /* m, K */
    const int64_t *encoder_layers;               /* [m] indices of hidden states */
    const int64_t *language_layers;              /* [K] */
    const float *weights;                        /* [2K, m]; NULL: fusion average */
    const float *bias;                           /* [2K]; NULL as well */
    const float *gates; /* [LLM layers]; read those of language_layers; NULL: gates read the hidden state */
};

#endif
