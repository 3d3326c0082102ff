/* A bridge checkpoint with chosen tensors of small numbers, written and opened again. */
#ifndef LAY_TESTS_BRIDGE_FIXTURE_H
#define LAY_TESTS_BRIDGE_FIXTURE_H

#include "engine/base/mem.h"
#include "engine/bridge/bridge.h"
#include "engine/store/safetensors_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "tests/random.h"
#include "tests/unit/ok.h"

struct tensor {
    const char *name;
    int rank;
    int64_t shape[3];
    float *data; /* filled in by checkpoint_open; free with tensors_free */
};

struct fixture {
    char path[64];
    struct lay_checkpoint *checkpoint;
    struct lay_weights *weights;
    struct lay_dnn *dnn;
};

static inline size_t count_of(const struct tensor *t)
{
    size_t count = 1;
    for (int i = 0; i < t->rank; i++)
        count *= (size_t)t->shape[i];
    return count;
}

static inline void checkpoint_open(struct fixture *f, struct tensor *tensors, size_t n,
                                   enum lay_method method)
{
    struct lay_tensor_spec specs[32];
    struct lay_safetensors_writer *writer;
    *f = (struct fixture){.path = "/tmp/layeval-bridge-XXXXXX"};
    const int file = mkstemp(f->path);
    assert_true(file >= 0 && n <= 32);
    close(file);
    strcat(f->path, ".safetensors");
    for (size_t i = 0; i < n; i++) {
        specs[i] =
            (struct lay_tensor_spec){.name = tensors[i].name, .dtype = LAY_F32, .rank = tensors[i].rank};
        memcpy(specs[i].shape, tensors[i].shape, sizeof tensors[i].shape);
        tensors[i].data = lay_alloc(count_of(&tensors[i]), sizeof(float));
        random_fill(tensors[i].data, count_of(&tensors[i]), (uint32_t)(i + 1) * 7919u);
    }
    ok(lay_safetensors_create(f->path, specs, n, &writer, err));
    for (size_t i = 0; i < n; i++)
        ok(lay_safetensors_put(writer, tensors[i].data, count_of(&tensors[i]) * sizeof(float), err));
    ok(lay_safetensors_finish(writer, err));
    ok(lay_checkpoint_open(f->path, &f->checkpoint, err));
    ok(lay_weights_create(&f->weights, err));
    ok(lay_bridge_sources(f->weights, method, f->checkpoint, err));
    ok(lay_dnn_create(&f->dnn, err));
}

static inline void checkpoint_close(struct fixture *f, struct tensor *tensors, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        lay_free(tensors[i].data);
        tensors[i].data = NULL;
    }
    lay_weights_destroy(f->weights);
    lay_checkpoint_close(f->checkpoint);
    lay_dnn_destroy(f->dnn);
    unlink(f->path);
    f->path[strlen(f->path) - strlen(".safetensors")] = '\0';
    unlink(f->path);
}

static inline const float *data_of(const struct tensor *tensors, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return tensors[i].data;
    fail_msg("no tensor %s", name);
    return NULL;
}

/* y [rows, out] = x [rows, in] Wᵀ + b, in double. */
static inline void naive_linear(const double *x, const float *w, const float *b, double *y, int64_t rows,
                                int64_t out, int64_t in)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t o = 0; o < out; o++) {
            double sum = (double)b[o];
            for (int64_t i = 0; i < in; i++)
                sum += x[r * in + i] * (double)w[o * in + i];
            y[r * out + o] = sum;
        }
}

#endif
