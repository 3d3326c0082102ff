#include "engine/dnn/invariance.h"

#include "engine/base/mem.h"
#include "engine/dnn/internal.h"

#include <omp.h>
#include <string.h>

const struct lay_invariance_trial lay_invariance_few[] = {
    {0, 1, 1, false},  {47, 1, 2, true},  {20, 1, 4, false}, {3, 5, 2, false},  {43, 5, 4, true},
    {16, 32, 1, true}, {1, 32, 2, false}, {7, 17, 4, false}, {0, 48, 2, false},
};
const size_t lay_invariance_few_count = sizeof lay_invariance_few / sizeof *lay_invariance_few;

size_t lay_invariance_many(const int64_t *rows, size_t n,
                           struct lay_invariance_trial trials[LAY_INVARIANCE_TRIALS_MAX])
{
    static const int threads[] = {1, 2, 4};
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t t = 0; t < 3 && count < LAY_INVARIANCE_TRIALS_MAX; t++) {
            const int64_t last = LAY_INVARIANCE_ROWS - rows[i];
            const int64_t places[] = {0, last / 2, last}; /* every place with another number of threads */
            trials[count] =
                (struct lay_invariance_trial){places[(i + t) % 3], rows[i], threads[t], count % 2};
            count++;
        }
    return count;
}

/* Input rows, the products to compare with and the product of a trial. */
struct rows {
    float *x;           /* [LAY_INVARIANCE_ROWS, in] */
    float *expected[2]; /* [LAY_INVARIANCE_ROWS, out], plain and added to the residual */
    float *residual;    /* [LAY_INVARIANCE_ROWS, out] */
    float *y;           /* [LAY_INVARIANCE_ROWS, out] */
};

/* −1 … 1 from a counter (the finaliser of splitmix64): the same on every machine. */
static float uniform(uint64_t counter)
{
    uint64_t z = (counter + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (float)((int32_t)((z ^ (z >> 31)) >> 40) - (1 << 23)) / (float)(1 << 23);
}

static void fill(float *x, int64_t rows, int64_t cols)
{
    static const float scales[] = {1.0f, 0.01f, 30.0f, 1.0f};
    for (int64_t i = 0; i < rows * cols; i++)
        x[i] = uniform((uint64_t)i) * scales[i / cols % 4];
}

static enum lay_status rows_create(struct rows *r, int64_t in, int64_t out, struct lay_err *err)
{
    const size_t inputs = (size_t)(LAY_INVARIANCE_ROWS * in), outputs = (size_t)(LAY_INVARIANCE_ROWS * out);
    r->x = lay_alloc_aligned(inputs, sizeof *r->x);
    float **const results[] = {&r->expected[0], &r->expected[1], &r->residual, &r->y};
    bool made = r->x != NULL;
    for (size_t i = 0; i < 4 && made; i++)
        made = (*results[i] = lay_alloc_aligned(outputs, sizeof(float))) != NULL;
    if (!made)
        return lay_no_memory(err, "a test of invariance");
    fill(r->x, LAY_INVARIANCE_ROWS, in);
    fill(r->residual, LAY_INVARIANCE_ROWS, out);
    return LAY_OK;
}

static void rows_free(struct rows *r)
{
    float *const all[] = {r->x, r->expected[0], r->expected[1], r->residual, r->y};
    for (size_t i = 0; i < 5; i++)
        lay_free(all[i]);
}

static enum lay_status multiply(const struct lay_invariance_product *p, const struct rows *r,
                                const struct lay_invariance_trial *trial, float *y, struct lay_err *err)
{
    const int threads = omp_get_max_threads();
    if (trial->accumulate)
        memcpy(y, r->residual + trial->first * p->out, (size_t)(trial->rows * p->out) * sizeof *y);
    omp_set_num_threads(trial->threads);
    const enum lay_status status =
        p->multiply(p->context, r->x + trial->first * p->in, y, trial->rows, trial->accumulate, err);
    omp_set_num_threads(threads);
    return status;
}

/* Whether the trial's rows are those expected; notes the first that is not. */
static void compare(const struct lay_invariance_product *p, const struct rows *r,
                    const struct lay_invariance_trial *trial, struct lay_invariance *verdict)
{
    const size_t bytes = (size_t)p->out * sizeof(float);
    verdict->products++;
    for (int64_t i = 0; i < trial->rows && verdict->holds; i++) {
        const float *expected = r->expected[trial->accumulate] + (trial->first + i) * p->out;
        if (memcmp(r->y + i * p->out, expected, bytes) == 0)
            continue;
        verdict->holds = false;
        verdict->in = p->in;
        verdict->out = p->out;
        verdict->trial = *trial;
        verdict->row = trial->first + i;
    }
}

static enum lay_status try_all(const struct lay_invariance_product *p, struct rows *r,
                               const struct lay_invariance_trial *trials, size_t n,
                               struct lay_invariance *verdict, struct lay_err *err)
{
    LAY_TRY(rows_create(r, p->in, p->out, err));
    for (int accumulate = 0; accumulate < 2; accumulate++) {
        const struct lay_invariance_trial all = {0, LAY_INVARIANCE_ROWS, 1, accumulate};
        LAY_TRY(multiply(p, r, &all, r->expected[accumulate], err));
    }
    for (size_t i = 0; i < n; i++) {
        LAY_TRY(multiply(p, r, &trials[i], r->y, err));
        compare(p, r, &trials[i], verdict);
    }
    verdict->layers++;
    return LAY_OK;
}

enum lay_status lay_invariance_try(const struct lay_invariance_product *product,
                                   const struct lay_invariance_trial *trials, size_t n,
                                   struct lay_invariance *verdict, struct lay_err *err)
{
    struct rows rows = {0};
    const enum lay_status status = try_all(product, &rows, trials, n, verdict, err);
    rows_free(&rows);
    return status;
}

static enum lay_status forward(const void *context, const float *x, float *y, int64_t rows, bool accumulate,
                               struct lay_err *err)
{
    return lay_linear_forward(context, x, y, rows, accumulate, err);
}

enum lay_status lay_linear_invariance(const struct lay_linear *linear,
                                      const struct lay_invariance_trial *trials, size_t n,
                                      struct lay_invariance *verdict, struct lay_err *err)
{
    const struct lay_invariance_product product = {linear->in, linear->out, forward, linear};
    return lay_invariance_try(&product, trials, n, verdict, err);
}

/* Whether a layer that comes later in the list multiplies in the same way. */
static bool tried_later(const struct lay_linear *l)
{
    for (const struct lay_linear *other = l->next; other; other = other->next)
        if (other->in == l->in && other->out == l->out && other->compute == l->compute &&
            (other->bias != NULL) == (l->bias != NULL))
            return true;
    return false;
}

enum lay_status lay_dnn_invariance(struct lay_dnn *dnn, const struct lay_invariance_trial *trials, size_t n,
                                   struct lay_invariance *verdict, struct lay_err *err)
{
    for (const struct lay_linear *l = dnn->linears; l; l = l->next)
        if (!tried_later(l))
            LAY_TRY(lay_linear_invariance(l, trials, n, verdict, err));
    return LAY_OK;
}

void lay_invariance_print(const struct lay_invariance *verdict, struct lay_str *text)
{
    if (verdict->holds)
        lay_str_printf(
            text,
            "tried on this machine: in %lld products of %lld layer shapes with 1 to %d rows on 1, 2 and 4 "
            "threads every row had the same bits",
            (long long)verdict->products, (long long)verdict->layers, LAY_INVARIANCE_ROWS);
    else
        lay_str_printf(
            text,
            "tried on this machine: a layer of %lld inputs and %lld outputs gave a row other bits among "
            "%lld rows on %d threads than among %d on one; `layeval selftest` shows more",
            (long long)verdict->in, (long long)verdict->out, (long long)verdict->trial.rows,
            verdict->trial.threads, LAY_INVARIANCE_ROWS);
}
