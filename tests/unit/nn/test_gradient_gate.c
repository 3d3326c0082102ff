/* The gradients of gates that read the hidden state against finite differences, and against themselves:
 * threads and splits must not change a bit. */
#include "engine/nn/gate.h"
#include "engine/nn/gradient.h"

#include "differences.h"

enum gated { GATED_X, GATED_H, GATED_WEIGHT, GATED_BIAS };
struct gate {
    int64_t rows, n, width;
    const float *x, *h, *weight;
    float bias;
    enum gated variable;
};

/* Σ dy · tanh(bias + weight · h) x; x [rows, width], h [rows, n]. */
static double gate_value(const struct function *f, const double *v)
{
    const struct gate *c = f->context;
    double total = 0;
    for (int64_t r = 0; r < c->rows; r++) {
        double u = c->variable == GATED_BIAS ? v[0] : (double)c->bias;
        for (int64_t i = 0; i < c->n; i++)
            u += (c->variable == GATED_WEIGHT ? v[i] : (double)c->weight[i]) *
                 (c->variable == GATED_H ? v[r * c->n + i] : (double)c->h[r * c->n + i]);
        for (int64_t e = 0; e < c->width; e++) {
            const int64_t at = r * c->width + e;
            total += (double)f->weight[at] * tanh(u) * (c->variable == GATED_X ? v[at] : (double)c->x[at]);
        }
    }
    return total;
}

static void check_gate(int64_t rows, int64_t n, int64_t width)
{
    float *x = random_floats(rows * width, 1), *h = random_floats(rows * n, 1), *w = random_floats(n, 0.3f);
    float *dy = random_floats(rows * width, 1), *dx = copied(dy, rows * width),
          *gate = random_floats(rows, 1);
    float *y = calloc((size_t)(rows * width), sizeof *y), *du = random_floats(rows, 1), dbias = 0;
    float *dh = calloc((size_t)(rows * n), sizeof *dh), *dw = calloc((size_t)n, sizeof *dw);
    assert_true(y && dh && dw);
    struct gate c = {rows, n, width, x, h, w, 0.2f, GATED_X};
    struct function f = {gate_value, &c, dy};
    lay_gate_rows(h, w, c.bias, gate, rows, n);
    lay_add_gated(x, gate, y, rows, width);
    double value = 0, *wide = widened(x, rows * width);
    for (int64_t i = 0; i < rows * width; i++)
        value += (double)dy[i] * (double)y[i];
    assert_true(fabs(value - gate_value(&f, wide)) < 1e-5 * (double)(rows * width));
    free(wide);
    lay_gated_backward(x, gate, dx, du, rows, width);
    lay_gate_inputs(du, w, dh, rows, n);
    lay_gate_weight(du, h, dw, &dbias, rows, n);
    check(&f, x, dx, rows * width, "gate, attention");
    c.variable = GATED_H;
    check(&f, h, dh, rows * n, "gate, hidden state");
    c.variable = GATED_WEIGHT;
    check(&f, w, dw, n, "gate, weight");
    c.variable = GATED_BIAS;
    check(&f, &c.bias, &dbias, 1, "gate, bias");
    free(x), free(h), free(w), free(dy), free(dx), free(gate), free(y), free(du), free(dh), free(dw);
}

static void hidden_gates(void **state)
{
    (void)state;
    check_gate(1, 1, 1);
    for (int trial = 0; trial < 6; trial++)
        check_gate(random_int(1, 9), random_int(2, 70), random_int(1, 50));
    check_gate(3, 16, 32);
}

/* Rows in one call, or in two, and any number of threads: the same bits. */
static void gates_by_parts(void **state)
{
    (void)state;
    enum { ROWS = 67, N = 300, CUT = 23 };
    const int before = omp_get_max_threads();
    float *h = random_floats(ROWS * N, 1), *du = random_floats(ROWS, 1), *w = random_floats(N, 1);
    float whole[N + 1] = {0}, parts[N + 1] = {0}, gates[2][ROWS];
    omp_set_num_threads(1);
    lay_gate_weight(du, h, whole, whole + N, ROWS, N);
    lay_gate_rows(h, w, 0.1f, gates[0], ROWS, N);
    omp_set_num_threads(2);
    lay_gate_weight(du, h, parts, parts + N, CUT, N);
    lay_gate_weight(du + CUT, h + CUT * N, parts, parts + N, ROWS - CUT, N);
    for (int64_t r = 0; r < ROWS; r++)
        lay_gate_rows(h + r * N, w, 0.1f, gates[1] + r, 1, N);
    omp_set_num_threads(before);
    assert_memory_equal(whole, parts, sizeof whole);
    assert_memory_equal(gates[0], gates[1], sizeof *gates);
    free(h), free(du), free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_gates),
        cmocka_unit_test(gates_by_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
