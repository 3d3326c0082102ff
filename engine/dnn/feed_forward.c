#include "engine/base/profile.h"
#include "engine/dnn/internal.h"

/* With the rows between the layers in memory, f32. */
static enum lay_status run_apart(const struct lay_feed_forward *f, const float *x, float *y, int64_t rows,
                                 struct lay_err *err)
{
    const int64_t wide = f->in->out, narrow = f->out->in;
    struct lay_scratch *scratch = &f->in->dnn->between;
    LAY_TRY(lay_scratch_reserve(scratch, (size_t)(rows * (wide + narrow)) * sizeof(float),
                                "rows between two layers", err));
    float *from = (float *)(void *)scratch->data, *to = from + rows * wide;
    LAY_TRY(lay_linear_forward(f->in, x, from, rows, false, err));
    lay_profile_lap(LAY_OP_MLP_IN);
#pragma omp parallel for schedule(static) if (rows > 1 && rows * wide > 8192) /* every row by itself */
    for (int64_t r = 0; r < rows; r++)
        f->between(f->context, from + r * wide, to + r * narrow);
    lay_profile_lap(LAY_OP_ACTIVATION);
    LAY_TRY(lay_linear_forward(f->out, to, y, rows, true, err));
    lay_profile_lap(LAY_OP_MLP_OUT);
    return LAY_OK;
}

enum lay_status lay_feed_forward_run(const struct lay_feed_forward *f, const float *x, float *y, int64_t rows,
                                     struct lay_err *err)
{
    const bool quantised = f->in->form == LAY_LINEAR_QUANTISED && f->out->form == LAY_LINEAR_QUANTISED;
    const int64_t block = lay_block_rows(rows);
    for (int64_t r = 0; r < rows; r += block) {
        const int64_t n = rows - r < block ? rows - r : block;
        LAY_TRY((quantised ? lay_feed_forward_quantised : run_apart)(f, x + r * f->in->in,
                                                                     y + r * f->out->out, n, err));
    }
    return LAY_OK;
}
