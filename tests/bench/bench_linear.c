/* Rates of linear layers: GFLOP/s and GB/s of packed weights read, best of many.
 *   bench_linear [f32|bf16 [in out]…]      threads: OMP_NUM_THREADS, instruction set: ONEDNN_MAX_CPU_ISA */
#include "engine/base/clock.h"
#include "engine/dnn/linear.h"
#include "tests/bench/filled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The best of several calls over enough copies of the weights that none is still in a cache. */
static double best_time(struct lay_linear **layers, int n_layers, const float *x, float *y, int64_t rows)
{
    double best = 1e9;
    const double start = lay_clock_now();
    for (int i = 0; i < 8 * n_layers || lay_clock_now() - start < 0.3; i++) {
        const double t = lay_clock_now();
        if (lay_linear_forward(layers[i % n_layers], x, y, rows, false, NULL) != LAY_OK)
            exit(1);
        const double took = lay_clock_now() - t;
        best = took < best ? took : best;
    }
    return best;
}

static void run(struct lay_dnn *dnn, enum lay_dtype compute, int64_t in, int64_t out)
{
    enum { COPIES = 4, MAX_ROWS = 512 };
    static const int64_t row_counts[] = {1, 4, 8, 16, 32, 64, 128, 256, 512};
    float *w = filled(in * out), *x = filled(MAX_ROWS * in), *y = filled(MAX_ROWS * out);
    const struct lay_matrix part = {w, LAY_F32, out, in, false};
    struct lay_linear *layers[COPIES];
    double pack = 0;
    for (int i = 0; i < COPIES; i++) {
        const double t = lay_clock_now();
        if (lay_linear_create(dnn, compute, &part, 1, NULL, &layers[i], NULL) != LAY_OK)
            exit(1);
        pack = lay_clock_now() - t;
    }
    printf("%s in %d out %d, packed in %.0f ms\n", lay_dtype_name(compute), (int)in, (int)out, 1e3 * pack);
    for (size_t i = 0; i < sizeof row_counts / sizeof *row_counts; i++) {
        const int64_t rows = row_counts[i];
        const double t = best_time(layers, COPIES, x, y, rows);
        printf("  rows %4d  %9.3f ms  %7.0f GFLOP/s  %5.1f GB/s\n", (int)rows, 1e3 * t,
               2e-9 * (double)rows * (double)in * (double)out / t,
               1e-9 * (double)lay_linear_bytes(layers[0]) / t);
    }
    for (int i = 0; i < COPIES; i++)
        lay_linear_destroy(layers[i]);
    free(w);
    free(x);
    free(y);
}

int main(int argc, char **argv)
{
    static const int64_t shapes[][2] = {
        {4096, 11008}, {2048, 2048}, {2048, 5632}, {5632, 2048}, {2048, 32000}};
    struct lay_dnn *dnn = NULL;
    struct lay_err err = {0};
    if (lay_dnn_create(&dnn, &err) != LAY_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    printf("oneDNN %s, %s, bf16 %s\n", lay_dnn_version(), lay_dnn_isa(), lay_dnn_bf16_support());
    for (int c = 0; c < 2; c++) {
        const enum lay_dtype compute = c ? LAY_BF16 : LAY_F32;
        if (argc > 1 && strcmp(argv[1], lay_dtype_name(compute)) != 0)
            continue;
        for (int i = 2; i + 1 < argc; i += 2)
            run(dnn, compute, atoll(argv[i]), atoll(argv[i + 1]));
        for (size_t i = 0; argc < 4 && i < sizeof shapes / sizeof *shapes; i++)
            run(dnn, compute, shapes[i][0], shapes[i][1]);
    }
    lay_dnn_destroy(dnn);
    return 0;
}
