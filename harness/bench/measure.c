#include "harness/bench/measure.h"

#include "engine/base/clock.h"
#include "engine/base/mem.h"
#include "harness/bench/sampler.h"

#include <omp.h>
#include <stdlib.h>

/* One repetition. */
struct sample {
    double wall;
    size_t peak;
    struct lay_generate_stats stats;
    struct lay_profile profile;
};

/* The inputs of a cell: the same random ids in every repetition. */
struct inputs {
    struct lay_prompt_ids *ids; /* [count] */
    int32_t *source, *prompt;   /* [count · source], [count · text] */
    size_t count;
};

const char *lay_part_name(enum lay_part part)
{
    static const char *const names[LAY_PART_COUNT] = {"encoder", "aligner", "prefill", "decode", "head"};
    return names[part];
}

/* --- inputs --- */

static void random_ids(int32_t *ids, int64_t n, int64_t vocab, uint64_t *state)
{
    for (int64_t i = 0; i < n; i++) {
        *state = *state * 6364136223846793005u + 1442695040888963407u;
        ids[i] = (int32_t)((*state >> 33) % (uint64_t)vocab);
    }
}

static int64_t text_tokens(const struct lay_subject *s, const struct lay_cell *cell)
{
    if (!s->models.llm)
        return 0;
    return cell->prompt - 1 - (s->models.bridge && !s->models.no_soft_prompt ? cell->source + 1 : 0);
}

static int64_t source_tokens(const struct lay_subject *s, const struct lay_cell *cell)
{
    return !s->models.encoder ? 0 : s->models.llm ? cell->source : cell->prompt;
}

static enum lay_status check_sizes(const struct lay_subject *s, const struct lay_cell *cell,
                                   struct lay_err *err)
{
    if (s->models.llm && text_tokens(s, cell) < 0)
        return lay_fail(err, LAY_ERR_USAGE,
                        "--prompt %lld: the prompt's rows include bos, the %lld source tokens and a "
                        "boundary; give more or lower --source",
                        (long long)cell->prompt, (long long)cell->source);
    const int64_t limit = s->models.llm ? lay_llm_config(s->models.llm)->max_position_embeddings : 0;
    if (s->models.llm && cell->prompt + cell->new_tokens > limit)
        return lay_fail(err, LAY_ERR_USAGE, "--prompt %lld and --new %lld: %s has %lld positions",
                        (long long)cell->prompt, (long long)cell->new_tokens, s->name, (long long)limit);
    return LAY_OK;
}

static void inputs_free(struct inputs *in)
{
    lay_free(in->ids);
    lay_free(in->source);
    lay_free(in->prompt);
}

static enum lay_status inputs_create(const struct lay_subject *s, const struct lay_cell *cell, size_t count,
                                     struct inputs *in, struct lay_err *err)
{
    const int64_t n_source = source_tokens(s, cell), n_text = text_tokens(s, cell);
    uint64_t state = cell->seed * 2 + 1;
    *in = (struct inputs){.count = count};
    in->ids = lay_alloc(count, sizeof *in->ids);
    in->source = lay_alloc(count * (size_t)n_source + 1, sizeof *in->source);
    in->prompt = lay_alloc(count * (size_t)n_text + 1, sizeof *in->prompt);
    if (!in->ids || !in->source || !in->prompt)
        return lay_no_memory(err, "random prompts");
    for (size_t i = 0; i < count; i++) {
        int32_t *source = in->source + i * (size_t)n_source, *prompt = in->prompt + i * (size_t)n_text;
        if (s->models.encoder)
            random_ids(source, n_source, lay_encoder_config(s->models.encoder)->vocab_size, &state);
        if (s->models.llm)
            random_ids(prompt, n_text, lay_llm_config(s->models.llm)->vocab_size, &state);
        in->ids[i] =
            (struct lay_prompt_ids){s->models.encoder ? source : NULL, n_source, n_source, prompt, n_text};
    }
    return LAY_OK;
}

/* --- one repetition --- */

static int ignore(void *context, const struct lay_generation *generation)
{
    (void)context;
    (void)generation;
    return 0;
}

static enum lay_status generate(const struct lay_subject *s, const struct lay_cell *cell,
                                const struct inputs *in, const int64_t *ends, size_t kv_bytes,
                                struct sample *sample, struct lay_err *err)
{
    const struct lay_generate_options options = {.kv_bytes = kv_bytes,
                                                 .batch_size = cell->batch,
                                                 .max_new_tokens = cell->new_tokens,
                                                 .ignore_eos = true,
                                                 .stop = cell->stop,
                                                 .done = ignore,
                                                 .stats = &sample->stats,
                                                 .ends = ends};
    return lay_generate(&s->models, in->ids, in->count, &options, err);
}

/* The hidden states that a bridge would read are wanted here, too: the last one. */
static enum lay_status encode(const struct lay_subject *s, const struct lay_cell *cell,
                              const struct inputs *in, float *const *hidden, struct sample *sample,
                              struct lay_err *err)
{
    enum { MOST = 64 };
    const size_t fit = (size_t)(LAY_STEP_ENCODER_ROWS / cell->prompt);
    const size_t step = fit < 1 ? 1 : fit > MOST ? MOST : fit;
    int64_t lengths[MOST];
    for (size_t i = 0; i < MOST; i++)
        lengths[i] = cell->prompt;
    lay_profile_phase(LAY_PHASE_ENCODER);
    for (size_t first = 0; first < in->count; first += step) {
        const size_t n = in->count - first < step ? in->count - first : step;
        const struct lay_encoder_batch batch = {
            .ids = in->ids[first].source, .lengths = lengths, .n_seqs = (int64_t)n};
        if (cell->stop && *cell->stop)
            return lay_fail(err, LAY_ERR_INTERRUPTED, "interrupted");
        LAY_TRY(lay_encoder_forward(s->models.encoder, &batch, hidden, err));
        sample->stats.encoder_tokens += (int64_t)n * cell->prompt;
    }
    return LAY_OK;
}

static enum lay_status encode_all(const struct lay_subject *s, const struct lay_cell *cell,
                                  const struct inputs *in, struct sample *sample, struct lay_err *err)
{
    const struct lay_encoder_config *c = lay_encoder_config(s->models.encoder);
    const int64_t rows = cell->prompt > LAY_STEP_ENCODER_ROWS ? cell->prompt : LAY_STEP_ENCODER_ROWS;
    float **hidden = lay_alloc((size_t)c->num_hidden_layers + 1, sizeof *hidden);
    float *last = lay_alloc_aligned((size_t)rows * (size_t)c->hidden_size, sizeof *last);
    enum lay_status status = LAY_OK;
    if (hidden && last) {
        hidden[c->num_hidden_layers] = last;
        status = encode(s, cell, in, hidden, sample, err);
    } else {
        status = lay_no_memory(err, "the encoder's states");
    }
    lay_free(hidden);
    lay_free(last);
    return status;
}

static enum lay_status run_once(const struct lay_subject *s, const struct lay_cell *cell,
                                const struct inputs *in, const int64_t *ends, size_t kv_bytes,
                                struct sample *sample, struct lay_err *err)
{
    struct lay_sampler *sampler;
    *sample = (struct sample){0};
    LAY_TRY(lay_sampler_start(&sampler, err));
    lay_profile_start(&sample->profile);
    lay_profile = &sample->profile;
    const double start = lay_clock_now();
    const enum lay_status status = s->models.llm ? generate(s, cell, in, ends, kv_bytes, sample, err)
                                                 : encode_all(s, cell, in, sample, err);
    sample->wall = lay_clock_now() - start;
    lay_profile_lap(LAY_OP_SCHEDULE);
    lay_profile = NULL;
    sample->peak = lay_sampler_stop(sampler);
    return status;
}

/* --- repetitions --- */

static int by_wall(const void *a, const void *b)
{
    const double x = ((const struct sample *)a)->wall, y = ((const struct sample *)b)->wall;
    return x < y ? -1 : x > y;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* The median of an even number is the mean of the middle two. */
static struct lay_spread spread(double *values, size_t n)
{
    qsort(values, n, sizeof *values, by_value);
    return (struct lay_spread){(values[(n - 1) / 2] + values[n / 2]) / 2, values[0], values[n - 1]};
}

static double rate(double count, double seconds)
{
    return count > 0 && seconds > 0 ? count / seconds : 0;
}

static double prefill_of(const struct sample *s)
{
    return rate((double)s->stats.prefill_tokens, s->stats.llm_seconds - s->stats.pure_decode_seconds);
}

static double decode_of(const struct sample *s)
{
    return rate((double)s->stats.pure_decode_tokens, s->stats.pure_decode_seconds);
}

static double encoder_of(const struct sample *s)
{
    return rate((double)s->stats.encoder_tokens, lay_profile_phase_seconds(&s->profile, LAY_PHASE_ENCODER));
}

static struct lay_spread spread_of(const struct sample *samples, size_t n,
                                   double (*value)(const struct sample *sample), double *scratch)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = value(&samples[i]);
    return spread(scratch, n);
}

/* Prompt rows and new tokens of all sequences; source tokens of an encoder alone. */
static double cell_tokens(const struct lay_subject *s, const struct lay_cell *cell)
{
    return (double)cell->batch * (double)(cell->prompt + (s->models.llm ? cell->new_tokens : 0));
}

static void split_parts(const struct lay_profile *p, double seconds[LAY_PART_COUNT])
{
    static const enum lay_phase phases[] = {LAY_PHASE_ENCODER, LAY_PHASE_ALIGNER, LAY_PHASE_PREFILL,
                                            LAY_PHASE_DECODE};
    seconds[LAY_PART_HEAD] = 0;
    for (int i = 0; i < 4; i++) {
        seconds[i] = lay_profile_phase_seconds(p, phases[i]) - p->seconds[phases[i]][LAY_OP_HEAD];
        seconds[LAY_PART_HEAD] += p->seconds[phases[i]][LAY_OP_HEAD];
    }
}

/* Sorts the samples. */
static enum lay_status summarise(const struct lay_subject *s, const struct lay_cell *cell,
                                 struct sample *samples, struct lay_measurement *r, struct lay_err *err)
{
    const size_t n = (size_t)cell->repetitions;
    const double tokens = cell_tokens(s, cell);
    double *scratch = lay_alloc(n, sizeof *scratch);
    if (!scratch)
        return lay_no_memory(err, "the repetitions");
    qsort(samples, n, sizeof *samples, by_wall);
    r->wall = (struct lay_spread){(samples[(n - 1) / 2].wall + samples[n / 2].wall) / 2, samples[0].wall,
                                  samples[n - 1].wall};
    r->total = (struct lay_spread){tokens / r->wall.median, tokens / r->wall.max, tokens / r->wall.min};
    r->prefill = spread_of(samples, n, prefill_of, scratch);
    r->decode = spread_of(samples, n, decode_of, scratch);
    r->encoder = spread_of(samples, n, encoder_of, scratch);
    r->profile = samples[(n - 1) / 2].profile;
    r->stats = samples[(n - 1) / 2].stats;
    split_parts(&r->profile, r->seconds);
    lay_free(scratch);
    return LAY_OK;
}

/* --- the bound --- */

static int64_t encoder_step(const struct lay_cell *cell, int64_t tokens)
{
    const int64_t fit = LAY_STEP_ENCODER_ROWS / tokens;
    const int64_t sequences = fit < 1 ? 1 : fit < cell->batch ? fit : cell->batch;
    return sequences * tokens;
}

static enum lay_status bound_encoder(const struct lay_subject *s, const struct lay_cell *cell,
                                     struct lay_bounds *bounds, struct lay_measurement *r,
                                     struct lay_err *err)
{
    const int64_t tokens = source_tokens(s, cell);
    if (tokens == 0)
        return LAY_OK;
    const double rows = (double)(cell->batch * tokens);
    const struct lay_product_list encoder = lay_products_encoder(lay_encoder_config(s->models.encoder));
    LAY_TRY(lay_bound_seconds(bounds, &encoder, rows, encoder_step(cell, tokens),
                              &r->bound_seconds[LAY_PART_ENCODER], err));
    r->bound_encoder = rate(rows, r->bound_seconds[LAY_PART_ENCODER]);
    if (!s->models.bridge)
        return LAY_OK;
    const struct lay_product_list aligner =
        lay_products_aligner(lay_encoder_config(s->models.encoder), lay_llm_config(s->models.llm),
                             lay_bridge_adapter_count(s->models.bridge), !s->models.no_soft_prompt);
    return lay_bound_seconds(bounds, &aligner, rows, encoder_step(cell, tokens),
                             &r->bound_seconds[LAY_PART_ALIGNER], err);
}

/* Ideally all prompt rows come in full steps and then all sequences decode together. What the scheduler did
 * instead (decode rows that rode with prompts) counts for the parts, not for the total. */
static enum lay_status bound_llm(const struct lay_subject *s, const struct lay_cell *cell,
                                 struct lay_bounds *bounds, struct lay_measurement *r, struct lay_err *err)
{
    const struct lay_product_list layers = lay_products_llm(lay_llm_config(s->models.llm)),
                                  head = lay_products_head(lay_llm_config(s->models.llm));
    const int64_t all = cell->prompt * cell->batch;
    const int64_t step = all < LAY_STEP_PREFILL_ROWS ? all : LAY_STEP_PREFILL_ROWS;
    const double batch = (double)cell->batch, new_tokens = (double)cell->new_tokens;
    const double riding = (double)(r->stats.decode_tokens - r->stats.pure_decode_tokens);
    double prompt, one_step, one_head;
    LAY_TRY(lay_bound_seconds(bounds, &layers, (double)all, step, &prompt, err));
    LAY_TRY(lay_bound_seconds(bounds, &layers, batch, cell->batch, &one_step, err));
    LAY_TRY(lay_bound_seconds(bounds, &head, batch, cell->batch, &one_head, err));
    r->bound_seconds[LAY_PART_PREFILL] = prompt * (1 + riding / (double)all);
    r->bound_seconds[LAY_PART_DECODE] = one_step * (double)r->stats.pure_decode_tokens / batch;
    r->bound_seconds[LAY_PART_HEAD] = one_head * new_tokens;
    r->bound_prefill = rate((double)all, prompt);
    r->bound_decode = rate(batch, one_step + one_head);
    const double ideal = prompt + (new_tokens - 1) * one_step + new_tokens * one_head +
                         r->bound_seconds[LAY_PART_ENCODER] + r->bound_seconds[LAY_PART_ALIGNER];
    r->bound_total = rate(cell_tokens(s, cell), ideal);
    return LAY_OK;
}

static enum lay_status measure_bound(const struct lay_subject *s, const struct lay_cell *cell,
                                     struct lay_bounds *bounds, struct lay_measurement *r,
                                     struct lay_err *err)
{
    LAY_TRY(lay_bound_memory(bounds, &r->read_bytes, &r->copy_bytes, err));
    LAY_TRY(bound_encoder(s, cell, bounds, r, err));
    if (s->models.llm)
        LAY_TRY(bound_llm(s, cell, bounds, r, err));
    else
        r->bound_total = r->bound_encoder;
    return LAY_OK;
}

/* --- the cell --- */

static enum lay_status kv_budget(const struct lay_subject *s, const struct lay_cell *cell, size_t *bytes,
                                 struct lay_err *err)
{
    const size_t packed = lay_subject_packed_bytes(s);
    *bytes = SIZE_MAX;
    if (cell->memory == 0)
        return LAY_OK;
    if (cell->memory <= packed)
        return lay_fail(err, LAY_ERR_INPUT, "--memory: %s alone takes %.2f GB in %s", s->name,
                        1e-9 * (double)packed, lay_dtype_name(s->dtype));
    *bytes = cell->memory - packed;
    return LAY_OK;
}

static size_t pages_bytes(const struct lay_subject *s, const struct lay_cell *cell, const struct inputs *in)
{
    return s->models.llm ? (size_t)cell->batch * lay_generate_kv_bytes(&s->models, in->ids, cell->new_tokens)
                         : 0;
}

/* Rounds of the bound stand between the repetitions, so that both see the machine at the same times. */
static enum lay_status repeat(const struct lay_subject *s, const struct lay_cell *cell,
                              struct lay_bounds *bounds, struct sample *samples, struct lay_measurement *r,
                              struct lay_err *err)
{
    struct inputs in;
    size_t kv = 0;
    enum lay_status status = inputs_create(s, cell, (size_t)cell->batch, &in, err);
    if (status == LAY_OK)
        status = kv_budget(s, cell, &kv, err);
    if (status == LAY_OK)
        r->kv_bytes = pages_bytes(s, cell, &in);
    for (int64_t i = -cell->warm_up; i < cell->repetitions && status == LAY_OK; i++) {
        struct sample *sample = &samples[i < 0 ? 0 : i];
        status = run_once(s, cell, &in, NULL, kv, sample, err);
        r->peak_bytes = sample->peak > r->peak_bytes ? sample->peak : r->peak_bytes;
        if (status == LAY_OK && bounds && i >= 0) {
            status = measure_bound(s, cell, bounds, r, err);
            if (i + 1 < cell->repetitions)
                lay_bounds_rest(bounds);
        }
    }
    inputs_free(&in);
    return status;
}

/* Answers of the given lengths: sequences end at different steps and others take their place. */
static enum lay_status run_lengths(const struct lay_subject *s, const struct lay_cell *cell,
                                   struct sample *samples, struct lay_measurement *r, struct lay_err *err)
{
    struct inputs in;
    struct lay_cell longest = *cell;
    size_t kv = 0;
    for (size_t i = 0; i < cell->n_lengths; i++) {
        longest.new_tokens = cell->lengths[i] > longest.new_tokens ? cell->lengths[i] : longest.new_tokens;
        r->lengths_tokens += (double)(cell->prompt + cell->lengths[i]);
    }
    LAY_TRY(check_sizes(s, &longest, err));
    enum lay_status status = inputs_create(s, &longest, cell->n_lengths, &in, err);
    if (status == LAY_OK)
        status = kv_budget(s, cell, &kv, err);
    for (int64_t i = 0; i < cell->repetitions && status == LAY_OK; i++) {
        status = run_once(s, &longest, &in, cell->lengths, kv, &samples[i], err);
        r->peak_bytes = samples[i].peak > r->peak_bytes ? samples[i].peak : r->peak_bytes;
    }
    inputs_free(&in);
    LAY_TRY(status);
    const size_t n = (size_t)cell->repetitions;
    qsort(samples, n, sizeof *samples, by_wall);
    r->lengths_wall = (samples[(n - 1) / 2].wall + samples[n / 2].wall) / 2;
    return LAY_OK;
}

enum lay_status lay_measure(const struct lay_subject *subject, const struct lay_cell *cell,
                            struct lay_bounds *bounds, struct lay_measurement *result, struct lay_err *err)
{
    *result = (struct lay_measurement){0};
    LAY_TRY(check_sizes(subject, cell, err));
    struct sample *samples = lay_alloc((size_t)cell->repetitions, sizeof *samples);
    if (!samples)
        return lay_no_memory(err, "the repetitions");
    omp_set_num_threads(cell->threads);
    if (bounds)
        lay_bounds_begin(bounds);
    enum lay_status status = repeat(subject, cell, bounds, samples, result, err);
    if (status == LAY_OK)
        status = summarise(subject, cell, samples, result, err);
    if (status == LAY_OK && bounds)
        status = measure_bound(subject, cell, bounds, result, err);
    if (bounds) {
        result->steadiness = lay_bounds_steadiness(bounds);
        lay_bounds_rest(bounds);
    }
    if (status == LAY_OK && cell->n_lengths > 0)
        status = run_lengths(subject, cell, samples, result, err);
    lay_free(samples);
    return status;
}
