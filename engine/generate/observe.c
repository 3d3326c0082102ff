#include "engine/generate/observe.h"

#include "engine/base/mem.h"
#include "engine/generate/generate.h"
#include "engine/generate/workspace.h"

#include <math.h>
#include <string.h>

/* Requests first … first + n − 1 in one pass. Arrays have room for the largest group. */
struct group {
    const struct lay_models *models;
    const struct lay_prompt_ids *ids; /* of all requests */
    void (*heard)(void *context, const struct lay_observation *observation);
    void *context;
    struct lay_kv_pool *pool;
    struct lay_encoded *encoded;

    size_t first;
    int64_t n;
    const struct lay_prompt_ids **requests; /* [n] */
    struct lay_prepared *prepared;          /* [n] */
    struct lay_kv_seq *kv;                  /* [n] */
    struct lay_llm_span *spans;             /* [n] */
    float *x;                               /* [rows, H] */
    double *base_norm;                      /* [rows] of the layer that is being computed */
    double *ratio;                          /* [n, LLM layers] */
    float **hidden;                         /* [states] of [Σ n_source, d], copies */
    const float **views;                    /* [states] the same, from one request's first token on */
};

/* The size of the group that starts at `first`; *rows and *source are its rows of LLM and encoder. */
static int64_t group_size(const struct lay_models *models, const struct lay_prompt_ids *ids, size_t count,
                          size_t first, int64_t *rows, int64_t *source)
{
    int64_t n = 0;
    *rows = *source = 0;
    for (size_t i = first; i < count; i++, n++) {
        const int64_t more_rows = lay_prepared_rows(models, &ids[i]), more_source = ids[i].n_source;
        if (n > 0 &&
            (*rows + more_rows > LAY_STEP_PREFILL_ROWS || *source + more_source > LAY_STEP_ENCODER_ROWS))
            break;
        *rows += more_rows;
        *source += more_source;
    }
    return n;
}

static size_t pages_of(const struct group *g, size_t request)
{
    const struct lay_prompt_ids *ids = &g->ids[request];
    return (size_t)(lay_kv_pages_for(lay_prepared_rows(g->models, ids)) +
                    lay_kv_pages_for(lay_prepared_adapter_tokens(g->models, ids)));
}

static int64_t hidden_states(const struct lay_models *models)
{
    return models->bridge ? lay_encoder_config(models->encoder)->num_hidden_layers + 1 : 0;
}

static enum lay_status create(struct group *g, size_t count, struct lay_err *err)
{
    const struct lay_llm_config *config = lay_llm_config(g->models->llm);
    int64_t most = 0, most_rows = 0, most_source = 0;
    size_t most_pages = 0;
    for (size_t first = 0; first < count;) {
        int64_t rows, source;
        size_t pages = 0;
        const int64_t n = group_size(g->models, g->ids, count, first, &rows, &source);
        for (int64_t i = 0; i < n; i++)
            pages += pages_of(g, first++);
        most = n > most ? n : most;
        most_rows = rows > most_rows ? rows : most_rows;
        most_source = source > most_source ? source : most_source;
        most_pages = pages > most_pages ? pages : most_pages;
    }
    g->requests = lay_alloc((size_t)most, sizeof *g->requests);
    g->prepared = lay_alloc((size_t)most, sizeof *g->prepared);
    g->kv = lay_alloc((size_t)most, sizeof *g->kv);
    g->spans = lay_alloc((size_t)most, sizeof *g->spans);
    g->x = lay_alloc_aligned((size_t)(most_rows * config->hidden_size), sizeof *g->x);
    g->base_norm = lay_alloc((size_t)most_rows, sizeof *g->base_norm);
    g->ratio = lay_alloc((size_t)(most * config->num_hidden_layers), sizeof *g->ratio);
    g->hidden = lay_alloc((size_t)hidden_states(g->models), sizeof *g->hidden);
    g->views = lay_alloc((size_t)hidden_states(g->models), sizeof *g->views);
    bool complete = g->requests && g->prepared && g->kv && g->spans && g->x && g->base_norm && g->ratio &&
                    g->hidden && g->views;
    for (int64_t i = 0; complete && i < hidden_states(g->models); i++) {
        const int64_t d = lay_encoder_config(g->models->encoder)->hidden_size;
        g->hidden[i] = lay_alloc((size_t)(most_source * d), sizeof **g->hidden);
        complete = g->hidden[i] != NULL;
    }
    if (!complete)
        return lay_no_memory(err, "the states of a forward pass");
    const struct lay_kv_shape shape = lay_llm_kv_shape(g->models->llm);
    const size_t bytes = most_pages * lay_kv_page_bytes(&shape);
    return lay_workspace_take(g->models, bytes, SIZE_MAX, &g->pool, &g->encoded, err);
}

static void destroy(struct group *g)
{
    for (int64_t i = 0; g->hidden && i < hidden_states(g->models); i++)
        lay_free(g->hidden[i]);
    lay_free(g->hidden);
    lay_free(g->views);
    lay_free(g->requests);
    lay_free(g->prepared);
    lay_free(g->kv);
    lay_free(g->spans);
    lay_free(g->x);
    lay_free(g->base_norm);
    lay_free(g->ratio);
    lay_workspace_give(g->models, g->pool, g->encoded);
}

/* --- what is heard on the way --- */

static void keep_hidden(void *context, float *const *hidden)
{
    const struct group *g = context;
    const int64_t d = lay_encoder_config(g->models->encoder)->hidden_size;
    int64_t tokens = 0;
    for (int64_t i = 0; i < g->n; i++)
        tokens += g->requests[i]->n_source;
    for (int64_t i = 0; i < hidden_states(g->models); i++)
        memcpy(g->hidden[i], hidden[i], (size_t)(tokens * d) * sizeof(float));
}

static double norm(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    return sqrt(sum);
}

/* Rows whose self-attention is exactly zero have no ratio and do not count. */
static double mean_ratio(const double *base_norm, const float *data, int64_t rows, int64_t cols)
{
    double sum = 0;
    int64_t counted = 0;
    for (int64_t r = 0; r < rows; r++)
        if (base_norm[r] > 0) {
            sum += norm(data + r * cols, cols) / base_norm[r];
            counted++;
        }
    return counted > 0 ? sum / (double)counted : NAN;
}

/* Of a layer with a gate the LLM names the self-attention first. */
static void measure_adapter(void *context, const char *name, int64_t layer, const float *data, int64_t rows,
                            int64_t cols)
{
    struct group *g = context;
    const int64_t layers = lay_llm_config(g->models->llm)->num_hidden_layers;
    if (strcmp(name, "attn_base_out") == 0)
        for (int64_t r = 0; r < rows; r++)
            g->base_norm[r] = norm(data + r * cols, cols);
    if (strcmp(name, "attn_adapter_out") != 0)
        return;
    int64_t row = 0;
    for (int64_t i = 0; i < g->n; i++) {
        const int64_t n_rows = g->spans[i].n_rows;
        g->ratio[i * layers + layer] = mean_ratio(g->base_norm + row, data + row * cols, n_rows, cols);
        row += n_rows;
    }
}

static void deliver(const struct group *g)
{
    const struct lay_llm_config *llm = lay_llm_config(g->models->llm);
    const int64_t states = hidden_states(g->models);
    const int64_t d = states ? lay_encoder_config(g->models->encoder)->hidden_size : 0;
    int64_t row = 0, token = 0;
    for (int64_t i = 0; i < g->n; i++) {
        for (int64_t s = 0; s < states; s++)
            g->views[s] = g->hidden[s] + token * d;
        const struct lay_observation observation = {.request = g->first + (size_t)i,
                                                    .n_source = states ? g->requests[i]->n_source : 0,
                                                    .n_hidden = states,
                                                    .encoder_width = d,
                                                    .hidden = g->views,
                                                    .n_rows = g->spans[i].n_rows,
                                                    .llm_width = llm->hidden_size,
                                                    .states = g->x + row * llm->hidden_size,
                                                    .llm_layers = llm->num_hidden_layers,
                                                    .adapter_ratio = g->ratio + i * llm->num_hidden_layers};
        g->heard(g->context, &observation);
        row += g->spans[i].n_rows;
        token += observation.n_source;
    }
}

/* --- the pass --- */

static enum lay_status forward(struct group *g, struct lay_err *err)
{
    const struct lay_llm_config *config = lay_llm_config(g->models->llm);
    const struct lay_llm_adapter *adapter = g->models->bridge ? lay_bridge_adapter(g->models->bridge) : NULL;
    const struct lay_llm_taps taps = {measure_adapter, g};
    int64_t row = 0;
    for (int64_t i = 0; i < g->n * config->num_hidden_layers; i++)
        g->ratio[i] = NAN;
    for (int64_t i = 0; i < g->n; i++) {
        struct lay_prepared *prepared = &g->prepared[i];
        memcpy(g->x + row * config->hidden_size, prepared->inputs,
               (size_t)(prepared->n_inputs * config->hidden_size) * sizeof(float));
        row += prepared->n_inputs;
        LAY_TRY(lay_kv_reserve(g->pool, &g->kv[i], prepared->n_inputs, err));
        g->spans[i] = (struct lay_llm_span){.kv = &g->kv[i],
                                            .adapter = prepared->adapter.n_tokens ? &prepared->adapter : NULL,
                                            .n_rows = prepared->n_inputs};
    }
    return lay_llm_forward(g->models->llm, g->pool, g->spans, g->n, adapter, g->x, adapter ? &taps : NULL,
                           err);
}

static enum lay_status run(struct group *g, struct lay_err *err)
{
    const struct lay_prepare_listener listener = {keep_hidden, g};
    for (int64_t i = 0; i < g->n; i++)
        g->requests[i] = &g->ids[g->first + (size_t)i];
    LAY_TRY(
        lay_prepare_heard(g->models, g->pool, g->requests, g->n, g->encoded, &listener, g->prepared, err));
    const enum lay_status status = forward(g, err);
    if (status == LAY_OK)
        deliver(g);
    for (int64_t i = 0; i < g->n; i++) {
        lay_kv_release(g->pool, &g->kv[i]);
        lay_prepared_release(&g->prepared[i], g->pool);
    }
    return status;
}

enum lay_status lay_observe(const struct lay_models *models, const struct lay_prompt_ids *ids, size_t count,
                            const volatile sig_atomic_t *stop,
                            void (*heard)(void *context, const struct lay_observation *observation),
                            void *context, struct lay_err *err)
{
    struct group group = {.models = models, .ids = ids, .heard = heard, .context = context};
    if (count == 0)
        return LAY_OK;
    enum lay_status status = create(&group, count, err);
    while (status == LAY_OK && group.first < count) {
        int64_t rows, source;
        if (stop && *stop)
            status = lay_fail(err, LAY_ERR_INTERRUPTED, "interrupted");
        group.n = group_size(models, ids, count, group.first, &rows, &source);
        if (status == LAY_OK)
            status = run(&group, err);
        group.first += (size_t)group.n;
    }
    destroy(&group);
    return status;
}
