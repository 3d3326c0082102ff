/* LayAlign's gate from the hidden state (paper, Table 8): one number per row and layer. */
#ifndef LAY_NN_GATE_H
#define LAY_NN_GATE_H

#include <stdint.h>

/* gate[r] = tanh(bias + weight · h[r]); h [rows, n], weight [n]. The sum's order depends on n alone. */
void lay_gate_rows(const float *h, const float *weight, float bias, float *gate, int64_t rows, int64_t n);

/* y[r] += gate[r] · x[r]; x and y [rows, n]. */
void lay_add_gated(const float *x, const float *gate, float *y, int64_t rows, int64_t n);

#endif
