#include "engine/base/clock.h"
#include "engine/base/hash.h"
#include "engine/base/mem.h"
#include "harness/bench/subject.h"
#include "harness/selftest/selftest.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

enum { REQUESTS = 20, LONGEST = 24, NEW_TOKENS = 10 };

static const struct {
    const char *name, *llm, *encoder;
    enum lay_method method;
} systems[] = {
    {"tiny-qwen2", "tiny-qwen2", NULL, LAY_PLAIN},
    {"tiny-nllb + mindmerger + tiny-mistral", "tiny-mistral", "tiny-nllb", LAY_MINDMERGER},
    {"tiny-mt5 + layalign + tiny", "tiny", "tiny-mt5", LAY_LAYALIGN},
};
const size_t lay_selftest_systems = sizeof systems / sizeof *systems;

enum order { FORWARDS, BACKWARDS, SHUFFLED };
static const char *const order_names[] = {"in order", "backwards", "shuffled"};

/* The first is what the others are compared with. */
static const struct run {
    int64_t batch;
    int threads;
    enum order order;
} runs[] = {
    {1, 1, FORWARDS},   {1, 4, BACKWARDS}, {5, 1, SHUFFLED},  {5, 2, FORWARDS},
    {32, 1, BACKWARDS}, {32, 2, SHUFFLED}, {32, 4, FORWARDS},
};
enum { RUNS = sizeof runs / sizeof *runs };

/* Random token ids of requests of many lengths. */
struct requests {
    int32_t sources[REQUESTS][LONGEST], prompts[REQUESTS][LONGEST];
    int64_t n_source[REQUESTS], n_prompt[REQUESTS];
};

/* What a run gave: a hash over each request's tokens and over the bits of all logits behind them. */
struct outcome {
    struct lay_hash hash[REQUESTS];
    const size_t *order; /* of the run: request of each place */
    int64_t vocab_size;
};

static void fill_ids(int32_t *ids, int64_t n, int64_t vocab_size, uint64_t seed)
{
    float values[LONGEST];
    const struct lay_shape_tensor tensor = {.name = "ids", .rank = 1, .count = LONGEST, .scale = 1.0f};
    lay_shape_fill(seed, &tensor, 0, LONGEST, values); /* within ±√3 */
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)(((double)values[i] + 2.0) / 4.0 * (double)(vocab_size - 4)) + 4;
}

static void fill_requests(struct requests *r, const struct lay_subject *subject)
{
    const int64_t words = lay_llm_config(subject->models.llm)->vocab_size;
    const int64_t letters =
        subject->models.encoder ? lay_encoder_config(subject->models.encoder)->vocab_size : 0;
    for (int i = 0; i < REQUESTS; i++) {
        r->n_prompt[i] = 1 + i * 7 % (LONGEST - 1);
        r->n_source[i] = letters ? 1 + i * 5 % (LONGEST - 1) : 0;
        fill_ids(r->prompts[i], r->n_prompt[i], words, 2 * (uint64_t)i);
        fill_ids(r->sources[i], r->n_source[i], letters, 2 * (uint64_t)i + 1);
    }
}

static void set_order(enum order order, size_t requests[REQUESTS])
{
    for (size_t i = 0; i < REQUESTS; i++)
        requests[i] = order == FORWARDS    ? i
                      : order == BACKWARDS ? REQUESTS - 1 - i
                                           : i * 7 % REQUESTS; /* 7 and 20 have no common factor */
}

static void mix(struct outcome *outcome, size_t place, const void *bytes, size_t length)
{
    struct lay_hash *hash = &outcome->hash[outcome->order[place]];
    const struct lay_hash both[] = {*hash, lay_hash_bytes(bytes, length)};
    *hash = lay_hash_bytes(both, sizeof both);
}

static void hear_logits(void *context, size_t request, size_t index, const float *logits)
{
    struct outcome *outcome = context;
    (void)index;
    mix(outcome, request, logits, (size_t)outcome->vocab_size * sizeof *logits);
}

static int take(void *context, const struct lay_generation *generation)
{
    mix(context, generation->request, generation->ids, generation->n_ids * sizeof *generation->ids);
    return 0;
}

static enum lay_status answer(const struct lay_subject *subject, const struct requests *r,
                              const struct run *run, struct outcome *outcome, struct lay_err *err)
{
    struct lay_prompt_ids ids[REQUESTS];
    size_t order[REQUESTS], kv_bytes = 0;
    set_order(run->order, order);
    *outcome =
        (struct outcome){.order = order, .vocab_size = lay_llm_config(subject->models.llm)->vocab_size};
    for (size_t i = 0; i < REQUESTS; i++) {
        const size_t q = order[i];
        ids[i] = (struct lay_prompt_ids){.source = r->sources[q],
                                         .n_source = r->n_source[q],
                                         .padded_source = r->n_source[q],
                                         .prompt = r->prompts[q],
                                         .n_prompt = r->n_prompt[q]};
        kv_bytes += lay_generate_kv_bytes(&subject->models, &ids[i], NEW_TOKENS);
    }
    const struct lay_generate_options options = {.kv_bytes = kv_bytes,
                                                 .batch_size = run->batch,
                                                 .max_new_tokens = NEW_TOKENS,
                                                 .ignore_eos = true,
                                                 .done = take,
                                                 .logits = hear_logits,
                                                 .context = outcome};
    const int threads = omp_get_max_threads();
    omp_set_num_threads(run->threads);
    const enum lay_status status = lay_generate(&subject->models, ids, REQUESTS, &options, err);
    omp_set_num_threads(threads);
    return status;
}

static void compare(const struct outcome *expected, const struct outcome *got, const struct run *run,
                    struct lay_selftest_answers *answers)
{
    answers->runs++;
    for (size_t i = 0; i < REQUESTS && answers->holds; i++) {
        if (memcmp(&expected->hash[i], &got->hash[i], sizeof got->hash[i]) == 0)
            continue;
        answers->holds = false;
        snprintf(answers->where, sizeof answers->where,
                 "request %zu differs in batches of %lld on %d threads, %s, from alone on one thread", i,
                 (long long)run->batch, run->threads, order_names[run->order]);
    }
}

static enum lay_status try_runs(const struct lay_subject *subject, struct lay_selftest_answers *answers,
                                struct lay_err *err)
{
    struct requests requests;
    struct outcome expected, outcome;
    fill_requests(&requests, subject);
    LAY_TRY(answer(subject, &requests, &runs[0], &expected, err));
    for (size_t i = 1; i < RUNS; i++) {
        LAY_TRY(answer(subject, &requests, &runs[i], &outcome, err));
        compare(&expected, &outcome, &runs[i], answers);
    }
    return LAY_OK;
}

enum lay_status lay_selftest_try_answers(size_t which, enum lay_dtype dtype,
                                         struct lay_selftest_answers *answers, struct lay_err *err)
{
    const double start = lay_clock_now();
    struct lay_subject_source source = {
        .llm = lay_shape_find(systems[which].llm), .method = systems[which].method, .seed = 7};
    struct lay_subject subject;
    *answers = (struct lay_selftest_answers){
        .system = systems[which].name, .dtype = dtype, .requests = REQUESTS, .holds = true};
    if (systems[which].encoder)
        source.encoder = lay_shape_find(systems[which].encoder);
    LAY_TRY(lay_subject_open(&source, dtype, &subject, err));
    const enum lay_status status = try_runs(&subject, answers, err);
    lay_subject_close(&subject);
    answers->seconds = lay_clock_now() - start;
    return status;
}
