/* LayAlign's fusion of encoder layers: learned (fc1 of the aligner), or their mean (the paper's ablation). */
#ifndef LAY_NN_FUSE_H
#define LAY_NN_FUSE_H

#include <stdint.h>

/* For every element e < n and output o < count: out[o · n + e] = ReLU(bias[o] + Σ_j weight[o · m + j]
 * layers[j][e]), j = 0 … m-1 in this order. layers: m arrays of n floats; weight [count, m]; bias [count];
 * out [count, n]. Layers are read once for several outputs, so ask for as many as there is memory for.
 * Parallel over elements, each computed by one thread in a fixed order. */
void lay_fuse_layers(const float *const *layers, int64_t m, const float *weight, const float *bias,
                     int64_t count, float *out, int64_t n);

/* a[e] = (Σ_j layers[j][e]) / m, j in order. Parallel over elements. */
void lay_mean_layers(const float *const *layers, int64_t m, float *a, int64_t n);

#endif
