/* What an aligner holds in memory. Private to engine/bridge. */
#ifndef LAY_BRIDGE_ALIGNER_STATE_H
#define LAY_BRIDGE_ALIGNER_STATE_H

#include "engine/bridge/method.h"

#define LAY_PROJECTOR "encoder_aligner.projector."

/* A structure's linear layers behind the fusion, by their names in the projector. */
struct lay_aligner_structure {
    const char *inner[2]; /* NULL: none */
    const char *outer[2];
    enum lay_activation activation; /* between the two */
    bool narrow;                    /* inner keeps the encoder's width d; else it gives H */
};
extern const struct lay_aligner_structure lay_aligner_structures[];
/* What its outer layer reads, of an encoder of width d and an LLM of width H. */
int64_t lay_aligner_inner_width(const struct lay_aligner_structure *structure, int64_t d, int64_t H);

struct lay_aligner {
    struct lay_form form;
    const struct lay_aligner_structure *structure;
    int64_t d, H;
    int64_t m, K;
    int64_t *encoder_layers;  /* [m] indices of hidden states */
    int64_t *language_layers; /* [K] */
    float *fc1, *fc1_bias;    /* [2K, m], [2K]; fusion average: NULL */
    struct lay_linear *inner; /* [inner width, d]; NULL: structure Linear */
    struct lay_linear *outer; /* [H, d or inner width] */
    int64_t inner_width;
    float *gates;       /* [LLM layers] gates; hidden ones: their biases */
    float *gate_weight; /* [LLM layers, H]; NULL: scalar gates */
    bool *has_gate;
    struct lay_llm_adapter adapter; /* views of the three above */
    const float **fused;            /* [m] the chosen hidden states, work memory */
    struct lay_work r;              /* [n, 2, rows, d]: r_k and r_v of language layers r_first … */
    int64_t r_first;
    struct lay_work between; /* [rows, inner width] */
};

/* r [n, 2, size]: r_k and r_v of language layers first … first + n − 1, from the m chosen hidden states of
 * `size` numbers. */
void lay_aligner_fuse_rows(const struct lay_aligner *aligner, const float *const *layers, int64_t first,
                           int64_t n, float *r, int64_t size);
/* What the gate of an LLM layer is called: "layers.3.self_attn.adaption_gate" + end. */
void lay_aligner_gate_name(char name[80], int64_t layer, const char *end);

#endif
