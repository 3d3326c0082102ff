/* Activations in double, by their definitions (PyTorch: ReLU, GELU exact and "tanh", SiLU). */
#ifndef LAY_TESTS_UNIT_ACTIVATION_H
#define LAY_TESTS_UNIT_ACTIVATION_H

#include "engine/nn/kernels.h"

#include <math.h>

static inline double reference_activation(enum lay_activation act, double x)
{
    switch (act) {
    case LAY_RELU:
        return x > 0 ? x : 0;
    case LAY_GELU_TANH:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case LAY_GELU_ERF:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case LAY_SILU:
        break;
    }
    return x / (1 + exp(-x));
}

#endif
