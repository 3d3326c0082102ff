#include "engine/model/learned.h"

#include "engine/base/mem.h"
#include "engine/nn/gradient.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MAX_BYTES = 160 };

void lay_learning_free(struct lay_learning *learning)
{
    for (int i = 0; i < learning->n_rooms; i++)
        lay_linear_destroy(learning->rooms[i]);
    learning->n_rooms = 0;
    lay_parameters_free(&learning->parameters);
}

static int64_t count_parts(const char *const *parts)
{
    int64_t n = 0;
    while (parts[n])
        n++;
    return n;
}

static enum lay_status read_tensor(const struct lay_loader *loader, const char *prefix, const char *part,
                                   const char *suffix, int rank, const int64_t *shape, float *to,
                                   struct lay_err *err)
{
    char name[NAME_MAX_BYTES];
    const struct lay_tensor *tensor;
    snprintf(name, sizeof name, "%s%s%s", prefix, part, suffix);
    LAY_TRY(lay_weights_get(loader->weights, name, rank, shape, &tensor, err));
    return lay_tensor_to_f32(tensor, to, err);
}

enum lay_status lay_learned_read(struct lay_learned *l, const struct lay_loader *loader, const char *prefix,
                                 const char *const *parts, int64_t out, int64_t in, bool bias,
                                 struct lay_err *err)
{
    const int64_t n = count_parts(parts), shape[] = {out, in};
    const size_t rows = (size_t)(n * out), count = rows * (size_t)in;
    l->out = n * out;
    l->in = in;
    l->weight = lay_alloc_aligned(count, sizeof *l->weight);
    l->weight_gradient = lay_alloc_aligned(count, sizeof *l->weight_gradient);
    if (!l->weight || !l->weight_gradient)
        return lay_no_memory(err, "trainable weights");
    if (bias) {
        l->bias = lay_alloc_aligned(rows, sizeof *l->bias);
        l->bias_gradient = lay_alloc_aligned(rows, sizeof *l->bias_gradient);
        if (!l->bias || !l->bias_gradient)
            return lay_no_memory(err, "trainable weights");
    }
    for (int64_t i = 0; i < n; i++) {
        LAY_TRY(read_tensor(loader, prefix, parts[i], ".weight", 2, shape, l->weight + i * out * in, err));
        if (bias)
            LAY_TRY(read_tensor(loader, prefix, parts[i], ".bias", 1, shape, l->bias + i * out, err));
    }
    return LAY_OK;
}

/* The master [out, in] as the weights [in, out] of the transposed layer. */
static struct lay_matrix turned(const struct lay_learned *l)
{
    return (struct lay_matrix){l->weight, LAY_F32, l->in, l->out, true};
}

enum lay_status lay_learned_attach(struct lay_learned *l, struct lay_learning *learning,
                                   struct lay_linear *forward, struct lay_err *err)
{
    l->forward = forward;
    l->out = lay_linear_out(forward);
    l->in = lay_linear_in(forward);
    if (l->weight) {
        const struct lay_matrix matrix = turned(l);
        return lay_linear_create(learning->dnn, learning->compute, &matrix, 1, NULL, &l->back, err);
    }
    return learning->keep_transposed ? lay_linear_transpose(forward, &l->back, err) : LAY_OK;
}

enum lay_status lay_learned_list(struct lay_learned *l, struct lay_learning *learning, enum lay_module module,
                                 const char *official, const char *prefix, const char *const *parts,
                                 struct lay_err *err)
{
    const int64_t n = count_parts(parts);
    assert(n > 0);
    const int64_t shape[] = {l->out / n, l->in};
    if (!l->weight)
        return LAY_OK;
    for (int64_t i = 0; i < n; i++) {
        char name[NAME_MAX_BYTES];
        const int64_t at = i * shape[0];
        snprintf(name, sizeof name, "%s%s.weight", prefix, parts[i]);
        LAY_TRY(lay_parameter_add(&learning->parameters, module, official, name, 2, shape,
                                  l->weight + at * l->in, l->weight_gradient + at * l->in, err));
        snprintf(name, sizeof name, "%s%s.bias", prefix, parts[i]);
        if (l->bias)
            LAY_TRY(lay_parameter_add(&learning->parameters, module, official, name, 1, shape, l->bias + at,
                                      l->bias_gradient + at, err));
    }
    return LAY_OK;
}

enum lay_status lay_learned_refresh(struct lay_learned *l, struct lay_err *err)
{
    if (!l->weight)
        return LAY_OK;
    const struct lay_matrix plain = {l->weight, LAY_F32, l->out, l->in, false}, transposed = turned(l);
    LAY_TRY(lay_linear_refill(l->forward, &plain, 1, l->bias, err));
    return lay_linear_refill(l->back, &transposed, 1, NULL, err);
}

void lay_learned_free(struct lay_learned *l)
{
    lay_linear_destroy(l->back);
    lay_free(l->weight);
    lay_free(l->weight_gradient);
    lay_free(l->bias);
    lay_free(l->bias_gradient);
    *l = (struct lay_learned){0};
}

/* --- pieces --- */

enum lay_status lay_pieces_cut(struct lay_pieces *pieces, const int64_t *lengths, int64_t n,
                               int64_t piece_rows, struct lay_err *err)
{
    int64_t row = 0;
    pieces->count = 0;
    for (int64_t s = 0; s < n; s++)
        for (int64_t end = row + lengths[s]; row < end;) {
            if (!lay_grow((void **)&pieces->items, &pieces->capacity, pieces->count + 1,
                          sizeof *pieces->items))
                return lay_no_memory(err, "the pieces of a batch");
            const int64_t rows = end - row < piece_rows ? end - row : piece_rows;
            pieces->items[pieces->count++] = (struct lay_segment){row, rows};
            row += rows;
        }
    return LAY_OK;
}

void lay_pieces_free(struct lay_pieces *pieces)
{
    lay_free(pieces->items);
    *pieces = (struct lay_pieces){0};
}

/* --- backward --- */

enum lay_status lay_learned_weights(const struct lay_learned *l, struct lay_learning *learning,
                                    const float *x, const float *dy, const struct lay_segment *pieces,
                                    size_t n, struct lay_err *err)
{
    if (!l->weight)
        return LAY_OK;
    for (size_t i = 0; l->bias && i < n; i++)
        lay_add_rows(dy + pieces[i].first * l->out, l->bias_gradient, pieces[i].rows, l->out);
    return lay_weight_gradient(learning->dnn, learning->compute, dy, x, l->out, l->in, pieces, (int64_t)n,
                               l->weight_gradient, err);
}

/* The layer's transposed weights in the room of its shape. */
static enum lay_status fill_room(const struct lay_learned *l, struct lay_learning *learning,
                                 struct lay_linear **room, struct lay_err *err)
{
    for (int i = 0; i < learning->n_rooms; i++) {
        *room = learning->rooms[i];
        if (lay_linear_in(*room) == l->out && lay_linear_out(*room) == l->in)
            return lay_linear_transpose_into(l->forward, *room, err);
    }
    if (learning->n_rooms == LAY_LEARNED_ROOMS)
        return lay_fail(err, LAY_ERR_INTERNAL, "more than %d shapes of layers", LAY_LEARNED_ROOMS);
    LAY_TRY(lay_linear_transpose(l->forward, room, err));
    learning->rooms[learning->n_rooms++] = *room;
    return LAY_OK;
}

enum lay_status lay_learned_inputs(const struct lay_learned *l, struct lay_learning *learning,
                                   const float *dy, float *dx, int64_t rows, bool accumulate,
                                   struct lay_err *err)
{
    struct lay_linear *back = l->back;
    if (rows == 0)
        return LAY_OK;
    if (!back)
        LAY_TRY(fill_room(l, learning, &back, err));
    return lay_linear_forward(back, dy, dx, rows, accumulate, err);
}
