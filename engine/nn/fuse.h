/* LayAlign's learned fusion over encoder layers (fc1 of the aligner). */
#ifndef LAY_NN_FUSE_H
#define LAY_NN_FUSE_H

#include <stdint.h>

/* For every element e < n: a[e] = ReLU(bias[0] + Σ_j weight[j] layers[j][e]) and b[e] the same with weight[m
 * + j] and bias[1]; j = 0 … m-1 in this order. layers: m arrays of n floats; weight [2, m]. Parallel over
 * elements, each computed by one thread in a fixed order. */
void lay_fuse_layers(const float *const *layers, int64_t m, const float *weight, const float *bias, float *a,
                     float *b, int64_t n);

#endif
